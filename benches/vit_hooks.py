"""How fast others are: images per second of CLIP ViT-B/32's image tower (random weights) on given threads.

hooks      transformers, with forward hooks on q_proj, k_proj and the activation of all 12 layers, each reduced to
           the mean over tokens: what Hebb puts into its graph for `query-key` and `mlp`
plain      transformers without hooks
products   torch's matrix products of the same shapes and nothing else: what transformers could reach at most
onnx       ONNX Runtime from Python, without any tap, on --onnx MODEL.onnx (--export writes one by torch.onnx)

python benches/vit_hooks.py [--threads 2] [--batch 32] [--rounds 5] [--only hooks,plain,products,onnx] [--onnx MODEL.onnx]
Rounds of the ways alternate, so that a machine's moods meet all of them; one JSON object a line and round, the
first round of each (warm-up) left out.
"""

import argparse
import json
import os
import sys
import time


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", type=lambda text: text.split(","), default=["hooks", "plain", "products", "onnx"])
    parser.add_argument("--attention", default="sdpa", help="transformers' attention: sdpa or eager")
    parser.add_argument("--serve", help="one way, a round for each line on standard input, answered with its seconds")
    parser.add_argument("--onnx", help="the graph to run; its one input takes the pixels")
    parser.add_argument("--export", help="writes the same tower as a graph to this path, and ends")
    return parser.parse_args()


def make_tower(attention):
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModel

    torch.manual_seed(0)
    config = CLIPVisionConfig(patch_size=32)
    config._attn_implementation = attention
    return CLIPVisionModel(config).eval()


def transformers_round(tower, pixels, with_hooks):
    """One pass over the batch; what the hooks keep is what a study keeps: means over tokens."""
    import torch

    kept = {}
    if with_hooks:
        encoder = getattr(tower, "vision_model", tower).encoder
        for number, layer in enumerate(encoder.layers):
            modules = dict(q=layer.self_attn.q_proj, k=layer.self_attn.k_proj, mlp=layer.mlp.activation_fn)
            for kind, module in modules.items():
                def keep(_module, _inputs, output, key=(number, kind)):
                    kept[key] = output.mean(1)
                module.register_forward_hook(keep)

    def run():
        with torch.inference_mode():
            tower(pixel_values=pixels)
        if with_hooks:
            assert len(kept) == 36
            units = [kept[number, "q"] * kept[number, "k"] for number in range(12)]
            torch.cat(units + [kept[number, "mlp"] for number in range(12)], 1).numpy()
            kept.clear()

    def timed():
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    return timed


def products_round(batch):
    """Every matrix product of the tower, each over weights of its own, as a pass finds them."""
    import torch

    tokens, width, hidden, heads, layers = 50, 768, 3072, 12, 12
    patches, patch_weight = torch.randn(batch * 49, 3 * 32 * 32), torch.randn(width, 3 * 32 * 32)
    narrow, wide = torch.randn(batch * tokens, width), torch.randn(batch * tokens, hidden)
    weights = [([torch.randn(width, width) for _ in range(4)], torch.randn(hidden, width), torch.randn(width, hidden))
               for _ in range(layers)]
    per_head = torch.randn(batch * heads, tokens, width // heads)

    def timed():
        start = time.perf_counter()
        with torch.inference_mode():
            torch.nn.functional.linear(patches, patch_weight)
            for projections, up, down in weights:
                for projection in projections:
                    torch.nn.functional.linear(narrow, projection)
                logits = torch.bmm(per_head, per_head.transpose(1, 2))
                torch.bmm(logits, per_head)
                torch.nn.functional.linear(narrow, up)
                torch.nn.functional.linear(wide, down)
        return time.perf_counter() - start

    return timed


def onnx_round(path, pixels, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    pixels = pixels.numpy()

    def timed():
        start = time.perf_counter()
        session.run(None, {name: pixels})
        return time.perf_counter() - start

    return timed


def export(tower, pixels, path):
    import torch

    class LastHidden(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.tower = tower

        def forward(self, pixel_values):
            return self.tower(pixel_values=pixel_values).last_hidden_state

    torch.onnx.export(LastHidden().eval(), (pixels[:2],), path, input_names=["pixel_values"],
                      output_names=["last_hidden_state"], dynamic_axes={"pixel_values": {0: "n"}}, dynamo=False)


def main():
    arguments = parse()
    # Before torch and ONNX Runtime are loaded, which read it once.
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    import torch

    torch.set_num_threads(arguments.threads)
    pixels = torch.randn(arguments.batch, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    if arguments.export:
        export(make_tower("eager"), pixels, arguments.export)
        return
    ways = []
    for way in [arguments.serve] if arguments.serve else arguments.only:
        if way in ("hooks", "plain"):
            # A tower for each: hooks stay for the whole run.
            ways.append((way, transformers_round(make_tower(arguments.attention), pixels, way == "hooks")))
        elif way == "products":
            ways.append((way, products_round(arguments.batch)))
        elif way == "onnx" and arguments.onnx:
            ways.append((way, onnx_round(arguments.onnx, pixels, arguments.threads)))
    if arguments.serve:
        for _ in sys.stdin:
            print(ways[0][1](), flush=True)
        return
    for number in range(arguments.rounds + 1):
        for way, timed in ways:
            seconds = timed()
            if number:
                print(json.dumps(dict(way=way, round=number, threads=arguments.threads, batch=arguments.batch,
                                      seconds=round(seconds, 4), images_per_s=round(arguments.batch / seconds, 2))),
                      flush=True)


if __name__ == "__main__":
    main()
