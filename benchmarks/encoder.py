"""The whole video encoder, frames to frame embeddings, against the usual way with the same weights."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch

from benchmarks.baseline import UsualVideo
from benchmarks.machine import Machine
from benchmarks.timing import Row, Settings, assert_alike, assert_same, compare
from claver.models import Claver, named_config
from claver.models.config import Temporal

AREA = "video encoder"
FRAMES = 8


@torch.inference_mode()
def rows(settings: Settings, machine: Machine) -> list[Row]:
    sizes = ("B/32",) if settings.quick else ("B/32", "B/16")
    kinds: tuple[Temporal, ...] = ("kmct",) if settings.quick else ("kmct", "kmt")
    return [row for size in sizes for kind in kinds for row in _rows(size, kind, settings, machine)]


def _rows(size: str, kind: Temporal, settings: Settings, machine: Machine) -> list[Row]:
    model, video = random_model(size, kind, quick=settings.quick), torch.randn(1, FRAMES, 3, 224, 224)
    usual, half = UsualVideo(model).eval(), copy.deepcopy(model).bfloat16()
    expected = usual(video)
    assert_same(model.encode_video(video), expected)
    assert_alike(half.encode_video(video.bfloat16()), expected)
    works = {
        "fp32": lambda: model.encode_video(video),
        "bf16": lambda: half.encode_video(video.bfloat16()),
    }
    fp32, bf16 = compare(AREA, "MHA, dense float mask, all computed, fp32", lambda: usual(video), works, settings)
    name, note = f"{size}, {kind.upper()}A, {FRAMES} frames", "no fast bf16 here" if machine.slow_half else ""
    return [
        fp32.labelled(f"{name}, fp32", target=1.05),
        bf16.labelled(f"{name}, bf16", target=3.5, note=note),
    ]


def random_model(size: str, kind: Temporal, frames: int = FRAMES, *, quick: bool = False) -> Claver:
    """A model of random weights, the temporal tower's too, so its mask matters; if `quick`, of 2 layers a tower."""
    torch.manual_seed(0)
    config = named_config(size, kind, frames)
    if quick:
        image, text = replace(config.image, layers=2), replace(config.text, layers=2)
        config = replace(config, image=image, text=text, temporal=replace(config.temporal, layers=2))
    model = Claver(config).eval()
    model.temporal.initialize("random")
    return model
