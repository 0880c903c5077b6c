"""The names of the 400 Kinetics classes through the text tower, against all of them padded to 77 tokens."""

from __future__ import annotations

import copy
from importlib.resources import files

import torch
from torch import Tensor

from benchmarks.baseline import UsualText, padded
from benchmarks.encoder import random_model
from benchmarks.machine import Machine
from benchmarks.timing import Row, Settings, assert_alike, assert_same, compare, missing
from claver.models.tokenizer import packaged_clip_tokenizer

AREA = "class names"


@torch.inference_mode()
def rows(settings: Settings, machine: Machine) -> list[Row]:
    tokens = class_tokens("kinetics400")
    if tokens is None:
        return [missing(AREA, "Kinetics-400", "needs the package instant-clip-tokenizer")]
    tokens = tokens[:40] if settings.quick else tokens
    model = random_model("B/32", "mean")
    usual, half, wide = UsualText(model).eval(), copy.deepcopy(model).bfloat16(), padded(tokens)
    expected = usual(wide)
    assert_same(model.encode_text(tokens), expected)
    assert_alike(half.encode_text(tokens), expected)
    works = {"fp32": lambda: model.encode_text(tokens), "bf16": lambda: half.encode_text(tokens)}
    fp32, bf16 = compare(AREA, "padded to 77, all computed, fp32", lambda: usual(wide), works, settings)
    note = "no fast bf16 here" if machine.slow_half else ""
    name = f"{len(tokens)} Kinetics class names, B/32"
    return [fp32.labelled(f"{name}, fp32", target=15), bf16.labelled(f"{name}, bf16", target=40, note=note)]


def class_tokens(name: str) -> Tensor | None:
    """Ids [C, L] of a class list's names, L the longest; None without CLIP's vocabulary."""
    tokenizer = packaged_clip_tokenizer()
    lines = (files("claver.prompts") / "lists" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return tokenizer([line for line in lines if line and not line.startswith("#")]) if tokenizer else None
