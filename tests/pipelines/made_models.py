"""Vision models with random weights, a few thousand numbers each, saved as those of the Hub are."""

from pathlib import Path

import torch
from transformers import (
    BertConfig,
    BertModel,
    BitImageProcessorPil,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    ConvNextImageProcessorPil,
    Dinov2Config,
    Dinov2Model,
    ResNetConfig,
    ResNetModel,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessorPil,
)
from transformers.utils import logging

TINY = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2}
logging.disable_progress_bar()


def save(folder: Path, kind: str, seed: int = 0) -> Path:
    """Write a model of this kind: clip, dinov2, resnet, vit (a classifier without a pooler) or bert (which reads text)."""
    torch.manual_seed(seed)
    model, processor = MAKE[kind]()
    model.save_pretrained(folder)
    if processor is not None:
        processor.save_pretrained(folder)
    return folder


def _clip():
    text = {"vocab_size": 50, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1, **TINY}
    config = CLIPConfig(text_config=text, vision_config={"image_size": 32, "patch_size": 16, **TINY}, projection_dim=8)
    return CLIPModel(config), CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})


def _dinov2():
    config = Dinov2Config(image_size=28, patch_size=14, hidden_size=16, num_attention_heads=2, num_hidden_layers=2)
    return Dinov2Model(config), BitImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})


def _resnet():
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 16, 24], depths=[1, 1, 1, 1])
    return ResNetModel(config), ConvNextImageProcessorPil(size={"shortest_edge": 32})


def _vit():
    config = ViTConfig(image_size=32, patch_size=16, **TINY)
    return ViTForImageClassification(config), ViTImageProcessorPil(size={"height": 32, "width": 32})


def _bert():
    return BertModel(BertConfig(vocab_size=50, **TINY)), None


MAKE = {"clip": _clip, "dinov2": _dinov2, "resnet": _resnet, "vit": _vit, "bert": _bert}
