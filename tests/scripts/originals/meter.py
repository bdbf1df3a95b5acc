"""METER's own model code (zdou0830/METER at f4f0934), run as it stands: what it lacks is put in its place.

Needs the packages that METER pins and that still install (`timm` 0.4.12, `einops`, `torchvision`) on a path that
the caller gives. Stand-ins, none of which computes an activation: Lightning's module and metric classes,
names that transformers has moved or dropped, the download of pretrained towers. Two are part of the computation:
transformers 4.6's additive mask, and text layers that return a tuple, as they did in 4.6.
"""

import importlib
import inspect
import subprocess
import sys
import types
import warnings

import torch
import transformers
from torch import nn

from originals.common import installed


def load_package(checkout, site_packages):
    """Imports METER from a checkout; its modules, by their short names."""
    warnings.filterwarnings("ignore", category=UserWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    sys.path[:0] = [str(checkout)]
    sys.path.append(str(site_packages))
    _put_lightning()
    _put_transformers_names()
    names = ("meter_module", "clip_model", "swin_transformer", "swin_helpers", "bert_model")
    modules = {name: importlib.import_module(f"meter.modules.{name}") for name in names}
    modules["transforms"] = importlib.import_module("meter.transforms")
    commit = subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    versions = {"METER": commit.stdout.strip()} | installed("timm", "einops", "torchvision")
    return types.SimpleNamespace(**modules, versions=versions)


def _put_lightning():
    class LightningModule(nn.Module):
        def save_hyperparameters(self):
            config = inspect.currentframe().f_back.f_locals["config"]
            self.hparams = types.SimpleNamespace(config=config)

    class Metric(nn.Module):
        def __init__(self, **_):
            super().__init__()

        def add_state(self, name, default, **_):
            setattr(self, name, default)

    lightning, metrics = types.ModuleType("pytorch_lightning"), types.ModuleType("pytorch_lightning.metrics")
    lightning.LightningModule, metrics.Metric, lightning.metrics = LightningModule, Metric, metrics
    sys.modules |= {"pytorch_lightning": lightning, "pytorch_lightning.metrics": metrics}


def _put_transformers_names():
    modeling, moved = transformers.modeling_utils, transformers.pytorch_utils
    modeling.apply_chunking_to_forward = moved.apply_chunking_to_forward
    modeling.prune_linear_layer = moved.prune_linear_layer
    # Asked for by name at the top of a file, and never called.
    modeling.find_pruneable_heads_and_indices = None
    documentation = importlib.import_module("transformers.file_utils")
    documentation.add_code_sample_docstrings = lambda *_, **__: lambda method: method
    transformers.optimization.AdamW = torch.optim.AdamW


def build(meter, config, roberta, make_image_encoder):
    """`METERTransformerSS` of a configuration, its towers made instead of downloaded."""

    def text_transformer(_name):
        model = transformers.RobertaModel(transformers.RobertaConfig(**roberta), add_pooling_layer=True)
        model.config._attn_implementation = "eager"
        model.get_extended_attention_mask = lambda mask, _shape, _device: (1.0 - mask[:, None, None, :]) * -10000.0
        for layer in model.encoder.layer:
            forward = layer.forward
            layer.forward = lambda *inputs, forward=forward: (forward(*inputs),)
        return model

    module = meter.meter_module
    module.RobertaModel = types.SimpleNamespace(from_pretrained=text_transformer)
    module.build_model = lambda _name, resolution_after: make_image_encoder(resolution_after)
    swin = lambda pretrained, config: make_image_encoder(config["image_size"])
    module.swin = types.SimpleNamespace(**{config["vit"]: swin})
    return module.METERTransformerSS(config).eval()


def config(heads=("itm", "mlm"), **changes):
    """What `run.py with task_mlm_itm_clip_bert clip16 text_roberta` hands to the model, with changes."""
    losses = ("itm", "mlm", "mpp", "vqa", "vcr", "vcr_qar", "nlvr2", "irtr", "contras", "snli")
    losses = {name: int(name in heads) for name in losses}
    return dict(
        exp_name="mlm_itm", seed=0, datasets=["coco", "vg", "sbu", "gcc"], loss_names=losses, batch_size=4096,
        train_transform_keys=["clip"], val_transform_keys=["clip"], image_size=288, patch_size=16, draw_false_image=1,
        image_only=False, resolution_before=224, vqav2_label_size=3129, max_text_len=50, tokenizer="roberta-base",
        vocab_size=50265, whole_word_masking=True, mlm_prob=0.15, draw_false_text=0, num_top_layer=6,
        input_image_embed_size=768, input_text_embed_size=768, vit="ViT-B/16", hidden_size=768, num_heads=12,
        num_layers=6, mlp_ratio=4, drop_rate=0.1, optim_type="adamw", learning_rate=1e-05, weight_decay=0.01,
        decay_power=1, max_epoch=10, max_steps=100000, warmup_steps=0.1, end_lr=0, lr_mult_head=5,
        lr_mult_cross_modal=5, get_recall_metric=False, resume_from=None, fast_dev_run=False, val_check_interval=1.0,
        test_only=False, data_root="", log_dir="result", per_gpu_batchsize=0, num_gpus=8, num_nodes=1, load_path="",
        num_workers=8, precision=32) | changes


def save_checkpoint(model, path, roberta_positions):
    """As Lightning 1.3 does: a dictionary whose callbacks name a class, and transformers 4.6's buffer of positions."""
    state = model.state_dict()
    state["text_transformer.embeddings.position_ids"] = torch.arange(roberta_positions)[None]
    callbacks = types.ModuleType("pytorch_lightning.callbacks.model_checkpoint")
    callback = type("ModelCheckpoint", (), {"__module__": callbacks.__name__, "__qualname__": "ModelCheckpoint"})
    callbacks.ModelCheckpoint = callback
    sys.modules["pytorch_lightning.callbacks"] = types.ModuleType("pytorch_lightning.callbacks")
    sys.modules[callbacks.__name__] = callbacks
    torch.save({
        "epoch": 7, "global_step": 100000, "pytorch-lightning_version": "1.3.2", "state_dict": state,
        "callbacks": {callback: {"monitor": "val/the_metric", "best_model_score": torch.tensor(0.5),
                                 "best_model_path": "result/epoch=7-step=100000.ckpt", "current_score": None,
                                 "dirpath": "result"}},
        "optimizer_states": [], "lr_schedulers": [], "hparams_name": "config",
        "hyper_parameters": {"config": model.hparams.config},
    }, path)
