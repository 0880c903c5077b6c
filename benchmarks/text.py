"""The names of the 400 Kinetics classes, and all texts about them, against the same padded to 77 tokens."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from benchmarks.baseline import UsualText, padded
from benchmarks.encoder import random_model
from benchmarks.machine import Machine
from benchmarks.timing import Row, Settings, assert_alike, assert_same, compare, missing
from claver.models import Claver
from claver.models.tokenizer import packaged_clip_tokenizer
from claver.text import Actions, PromptBank
from claver.text.cache import tower_key
from claver.text.encoding import encode_texts
from claver.text.text_bank import TextBank

AREA = "class names"


@torch.inference_mode()
def rows(settings: Settings, machine: Machine) -> list[Row]:
    tokens = class_tokens("kinetics400")
    if tokens is None:
        return [missing(AREA, "Kinetics-400", "needs the package instant-clip-tokenizer")]
    tokens = tokens[:10] if settings.quick else tokens
    model = random_model("B/32", "mean", quick=settings.quick)
    usual, half, wide = UsualText(model).eval(), copy.deepcopy(model).bfloat16(), padded(tokens)
    expected = usual(wide)
    assert_same(model.encode_text(tokens), expected)
    assert_alike(half.encode_text(tokens), expected)
    works = {"fp32": lambda: model.encode_text(tokens), "bf16": lambda: half.encode_text(tokens)}
    fp32, bf16 = compare(AREA, "padded to 77, all computed, fp32", lambda: usual(wide), works, settings)
    note = "no fast bf16 here" if machine.slow_half else ""
    name = f"{len(tokens)} Kinetics class names, B/32"
    names = [fp32.labelled(f"{name}, fp32", target=15), bf16.labelled(f"{name}, bf16", target=40, note=note)]
    return [*names, *bank_rows(model, usual, settings, machine)]


def bank_rows(model: Claver, usual: UsualText, settings: Settings, machine: Machine) -> list[Row]:
    """Every text that comes with Kinetics-400: encoded as a user's first run does, and found again as the next ones do.

    The whole bank takes minutes when padded, so one round is enough.
    """
    bank = PromptBank.shipped("kinetics400")
    actions = bank.actions(bank.names[:5] if settings.quick else None)
    texts = [text for own in actions.texts for text in own]
    model.tokenizer = packaged_clip_tokenizer()
    assert model.tokenizer is not None
    some = texts[:: max(1, len(texts) // (5 if settings.quick else 50))]
    assert_same(encode_texts(model, some, cache=False), usual(padded(model.tokenizer(some))))
    with TemporaryDirectory() as place:
        folder = Path(place) / "texts"
        once = replace(settings, budget=0.0, least=1)
        works = {
            "half": lambda: _first(model, actions, folder, torch.bfloat16),
            "first": lambda: _first(model, actions, folder),
            "again": lambda: _again(model, actions, folder),
        }
        half, first, again = compare(
            AREA, "padded to 77, all computed, fp32", lambda: _padded(model, usual, texts), works, once
        )
    name = f"all {len(texts):,} texts about {len(actions)} Kinetics classes, B/32"
    start = settings.clock()
    tower_key(model, torch.float32)
    note = f"of which hashing the weights takes {settings.clock() - start:.2f} s"
    return [
        first.labelled(f"{name}, first run, fp32"),
        half.labelled(f"{name}, first run, bf16", target=25, note="no fast bf16 here" if machine.slow_half else ""),
        again.labelled(f"{name}, from the cache, fp32", note=note),
    ]


def _padded(model: Claver, usual: UsualText, texts: Sequence[str]) -> None:
    assert model.tokenizer is not None
    for tokens in padded(model.tokenizer(texts)).split(256):
        usual(tokens)


def _first(model: Claver, actions: Actions, folder: Path, dtype: torch.dtype | None = None) -> None:
    rmtree(folder, ignore_errors=True)
    TextBank.encode(model, actions, dtype=dtype, cache=folder)


def _again(model: Claver, actions: Actions, folder: Path) -> None:
    assert list(folder.iterdir()), "the first run leaves a file"
    TextBank.encode(model, actions, cache=folder)


def class_tokens(name: str) -> Tensor | None:
    """Ids [C, L] of a class list's names, L the longest; None without CLIP's vocabulary."""
    tokenizer = packaged_clip_tokenizer()
    lines = (files("claver.data") / "lists" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return tokenizer([line for line in lines if line and not line.startswith("#")]) if tokenizer else None
