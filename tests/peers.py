"""Peers of random weights, saved as `transformers` saves them, with small tokenizers that really work."""

from pathlib import Path
from typing import Any

import torch

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def save_x_clip(folder: Path, *, seed: int = 0, frames: int = 4, size: int = 32, **settings: Any) -> Any:
    """An X-CLIP of 32 pixels with a tokenizer of letters, whose last ids are start and end; returns the model."""
    from transformers import CLIPTokenizer, VideoMAEImageProcessorPil, XCLIPConfig, XCLIPModel, XCLIPProcessor

    tokens = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer({token: place for place, token in enumerate(tokens)}, [], model_max_length=24)
    text = {"vocab_size": len(tokens), "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    text |= {"num_attention_heads": 2, "max_position_embeddings": 24}
    vision = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision |= {"mit_hidden_size": 20, "mit_intermediate_size": 32, "mit_num_attention_heads": 2}
    vision |= {"image_size": size, "patch_size": 16, "num_frames": frames}
    sizes: dict[str, Any] = {"projection_dim": 20, "prompt_num_attention_heads": 2, "prompt_alpha": 1.0} | settings
    config = XCLIPConfig(text_config=text, vision_config=vision, **sizes)
    model = saved(XCLIPModel(config), folder, seed)
    processor = VideoMAEImageProcessorPil(
        size={"shortest_edge": 40},
        crop_size={"height": size, "width": size},
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    XCLIPProcessor(processor, tokenizer).save_pretrained(folder)
    return model


def save_videoprism(folder: Path, *, seed: int = 0, frames: int = 4) -> Any:
    """A VideoPrism of 36 pixels with a tokenizer of letters, which puts nothing before or after; returns the model."""
    from transformers import VideoPrismClipModel, VideoPrismConfig, VideoPrismTokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((letter, -3.0) for letter in LETTERS)]
    tokenizer = VideoPrismTokenizer([*pieces, ("▁a", -1.0), ("ing", -1.0)], extra_ids=0)
    shared: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    text = shared | {"vocab_size": len(pieces) + 2, "num_hidden_layers": 2, "max_position_embeddings": 20}
    vision = shared | {"num_spatial_layers": 1, "num_temporal_layers": 1, "num_auxiliary_layers": 1}
    vision |= {"image_size": 36, "tubelet_size": [1, 18, 18], "num_frames": frames}
    model = saved(VideoPrismClipModel(VideoPrismConfig(text_config=text, vision_config=vision)), folder, seed)
    tokenizer.save_pretrained(folder)
    # As its processor writes it, which needs torchvision to be made.
    (folder / "video_preprocessor_config.json").write_text(
        '{"video_processor_type": "LlavaOnevisionVideoProcessor", "size": {"height": 36, "width": 36}, "resample": 3,'
        ' "do_resize": true, "do_center_crop": null, "do_convert_rgb": true, "do_rescale": true,'
        ' "rescale_factor": 0.00392156862745098, "do_normalize": false, "do_sample_frames": true}'
    )
    return model


def saved(model: Any, folder: Path, seed: int) -> Any:
    """With larger weights than usual, all of them random, so that answers differ; in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name != "logit_scale":
                value.copy_(torch.randn(value.shape, generator=generator) * 0.6)
    model.eval().save_pretrained(folder)
    return model
