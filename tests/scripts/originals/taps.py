"""Reads what passes through an original implementation, by forward hooks.

A tap is named MODULE.layerNN.KIND and holds (n_samples, n_tokens, width), float32:
q, k, v     after the bias, before any scaling, heads side by side; xq, xk, xv those of a cross attention
head_out    softmax(q k' / sqrt(head_dim)) v before the output projection; xhead_out of a cross attention
mlp         after the non-linearity
resid       what the block puts out
"""

import copy

import torch
import torch.nn.functional as F


class Taps:
    """Collects tensors by name while a model runs; hooks go when the `with` ends."""

    def __init__(self):
        self.seen = {}
        self._hooks = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for hook in self._hooks:
            hook.remove()

    def put(self, name, value):
        if name in self.seen:
            raise RuntimeError(f"`{name}` was seen twice: its module runs more than once")
        self.seen[name] = value.detach().float().contiguous().clone()

    def output(self, name, module):
        def keep(_module, _inputs, output):
            self.put(name, output[0] if isinstance(output, tuple) else output)
        self._hooks.append(module.register_forward_hook(keep))

    def input(self, name, module):
        self._hooks.append(module.register_forward_pre_hook(lambda _module, inputs: self.put(name, inputs[0])))

    def multihead(self, layer, module, batch_first=False):
        """Query, key, value and head outputs of a self-attending `torch.nn.MultiheadAttention`.

        That module projects inside one function, which no hook sees: its inputs are projected again, and a
        copy whose output projection is the identity puts out what the heads make.
        """
        plain = copy.deepcopy(module)
        with torch.no_grad():
            plain.out_proj.weight.copy_(torch.eye(module.embed_dim))
            plain.out_proj.bias.zero_()
        row_first = (lambda x: x) if batch_first else (lambda x: x.transpose(0, 1))

        def keep(_module, inputs, options):
            projected = F.linear(inputs[0], module.in_proj_weight, module.in_proj_bias)
            for kind, value in zip("qkv", projected.chunk(3, -1)):
                self.put(f"{layer}.{kind}", row_first(value))
            self.put(f"{layer}.head_out", row_first(plain(*inputs, **options)[0]))
        self._hooks.append(module.register_forward_pre_hook(keep, with_kwargs=True))

    def clip(self, module, layers):
        """The blocks of a CLIP tower of transformers."""
        for layer, block in named(module, layers):
            self._projections(layer, block.self_attn, "q_proj", "k_proj", "v_proj", "out_proj")
            self.output(f"{layer}.mlp", block.mlp.activation_fn)
            self.output(f"{layer}.resid", block)

    def vit(self, module, layers):
        """The blocks of transformers' ViT."""
        for layer, block in named(module, layers):
            self._projections(layer, block.attention, "q_proj", "k_proj", "v_proj", "o_proj")
            self.output(f"{layer}.mlp", block.mlp.activation_fn)
            self.output(f"{layer}.resid", block)

    def bert(self, module, layers):
        """The blocks of transformers' BERT and RoBERTa, and METER's, which attend to a second stream too."""
        for layer, block in named(module, layers):
            self._bert_attention(layer, "", block.attention)
            if hasattr(block, "crossattention"):
                self._bert_attention(layer, "x", block.crossattention)
            self.output(f"{layer}.mlp", block.intermediate)
            self.output(f"{layer}.resid", block)

    def openai(self, module, blocks):
        """The blocks of OpenAI's CLIP, which put the tokens before the samples."""
        for layer, block in named(module, blocks):
            self.multihead(layer, block.attn)
            for kind, part in (("mlp", block.mlp.gelu), ("resid", block)):
                def keep(_module, _inputs, output, name=f"{layer}.{kind}"):
                    self.put(name, output.transpose(0, 1))
                self._hooks.append(part.register_forward_hook(keep))

    def swin(self, module, blocks):
        """The blocks of METER's Swin, all stages in a row.

        Attention works on windows: its taps are (n_samples, n_windows * tokens of a window, width), windows
        row by row and then the tokens of each, after the cyclic shift where there is one.
        """
        for layer, block in named(module, blocks):
            def keep(_module, inputs, output, layer=layer, block=block):
                n_samples = len(inputs[0])
                for kind, value in zip("qkv", self.windows.pop("qkv").chunk(3, -1)):
                    self.put(f"{layer}.{kind}", value.reshape(n_samples, -1, block.dim))
                self.put(f"{layer}.head_out", self.windows.pop("head_out").reshape(n_samples, -1, block.dim))
                self.put(f"{layer}.resid", output)
            self.windows = {}
            self._hooks.append(block.attn.qkv.register_forward_hook(
                lambda _module, _inputs, output: self.windows.update(qkv=output)))
            self._hooks.append(block.attn.proj.register_forward_pre_hook(
                lambda _module, inputs: self.windows.update(head_out=inputs[0])))
            self.output(f"{layer}.mlp", block.mlp.act)
            self._hooks.append(block.register_forward_hook(keep))

    def _projections(self, layer, attention, query, key, value, out):
        for kind, part in (("q", query), ("k", key), ("v", value)):
            self.output(f"{layer}.{kind}", getattr(attention, part))
        self.input(f"{layer}.head_out", getattr(attention, out))

    def _bert_attention(self, layer, cross, attention):
        for kind, part in (("q", "query"), ("k", "key"), ("v", "value")):
            self.output(f"{layer}.{cross}{kind}", getattr(attention.self, part))
        self.input(f"{layer}.{cross}head_out", attention.output.dense)


def named(module, blocks):
    return [(f"{module}.layer{number:02}", block) for number, block in enumerate(blocks)]


@torch.no_grad()
def clip_taps(model, pixel_values, input_ids, attention_mask):
    """Of transformers' `CLIPModel`."""
    with Taps() as taps:
        taps.clip("vision", model.vision_model.encoder.layers)
        taps.clip("text", model.text_model.encoder.layers)
        image = model.vision_model(pixel_values=pixel_values).pooler_output
        text = model.text_model(input_ids=input_ids, attention_mask=attention_mask).pooler_output
        taps.put("vision.embedding", model.visual_projection(image))
        taps.put("text.embedding", model.text_projection(text))
    return taps.seen


@torch.no_grad()
def vit_taps(model, pixel_values):
    """Of transformers' `ViTModel`, bare."""
    with Taps() as taps:
        taps.vit("vision", model.layers)
        taps.put("vision.embedding", model(pixel_values=pixel_values).last_hidden_state[:, 0])
    return taps.seen


@torch.no_grad()
def bert_taps(model, input_ids, attention_mask):
    """Of transformers' `BertModel` or `RobertaModel`, bare."""
    with Taps() as taps:
        taps.bert("text", model.encoder.layer)
        last = model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        taps.put("text.embedding", last[:, 0])
        real = attention_mask[:, :, None]
        taps.put("text.mean_pooled", (last * real).sum(1) / real.sum(1))
    return taps.seen


@torch.no_grad()
def openai_taps(model, pixel_values, input_ids):
    """Of OpenAI's `CLIP`."""
    with Taps() as taps:
        taps.openai("vision", model.visual.transformer.resblocks)
        taps.openai("text", model.transformer.resblocks)
        taps.put("vision.embedding", model.encode_image(pixel_values))
        taps.put("text.embedding", model.encode_text(input_ids))
    return taps.seen


@torch.no_grad()
def meter_taps(model, pixel_values, input_ids, attention_mask):
    """Of METER's `METERTransformerSS`, with either image encoder."""
    with Taps() as taps:
        if model.is_clip:
            taps.openai("image", model.vit_model.visual.transformer.resblocks)
        else:
            taps.swin("image", [block for stage in model.vit_model.layers for block in stage.blocks])
        taps.bert("text", model.text_transformer.encoder.layer)
        taps.bert("fusion-image", model.cross_modal_image_layers)
        taps.bert("fusion-text", model.cross_modal_text_layers)
        last = taps.seen
        taps.output("image.tokens", model.vit_model)
        out = model.infer({"image": [pixel_values], "text_ids": input_ids, "text_masks": attention_mask,
                           "text_labels": torch.full_like(input_ids, -100)})
    tokens = last.pop("image.tokens")
    last["image.embedding"] = tokens[:, 0].clone() if model.is_clip else tokens.mean(1)
    n_text_layers = len(model.text_transformer.encoder.layer)
    last["text.embedding"] = last[f"text.layer{n_text_layers - 1:02}.resid"][:, 0].clone()
    text, image = out["cls_feats"].float().chunk(2, -1)
    last["fusion-text.embedding"], last["fusion-image.embedding"] = text.clone(), image.clone()
    return last
