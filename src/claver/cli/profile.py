"""`claver profile`: what a model costs, part by part, and what of it is saved."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from claver.cli.model import (
    DeviceOption,
    DtypeOption,
    FramesOption,
    TemporalOption,
    ViewsOption,
    open_device,
    settled_dtype,
)
from claver.terminal import Loudness, loudness, put

if TYPE_CHECKING:
    from claver.models import ClaverConfig
    from claver.profile.measure import Measured, Request

EPILOG = """
[bold]Examples[/]

claver profile B/16 --temporal kmct\n
claver profile L/14-336 --frames 16 --views 4x3 --texts 400\n
claver profile runs/k400 --measure --device cuda --dtype bfloat16\n
claver profile B/32 --format json
"""
_LIKE_A_SIZE = re.compile(r"[A-Z]/\d+(-\d+)?")


class Form(StrEnum):
    """How the profile is written."""

    table = "table"
    json = "json"


Model = Annotated[
    str,
    typer.Argument(
        show_default=False,
        help="B/32, B/16, L/14 or L/14-336 with random weights, or what --model takes elsewhere: a Hugging Face id, a "
        "model folder or that of a training run, an OpenAI .pt or a released CLAVER .pth.",
    ),
]


def profile(
    model: Model,
    temporal: TemporalOption = None,
    frames: FramesOption = None,
    views: ViewsOption = "1x1",
    texts: Annotated[int, typer.Option(min=1, help="Texts that are encoded, once for all clips.")] = 1,
    text_tokens: Annotated[int, typer.Option(help="Tokens of each text, with its start and end.")] = 12,
    measure: Annotated[
        bool, typer.Option("--measure", help="Also run both implementations: time and peak memory.")
    ] = False,
    device: DeviceOption = None,
    dtype: DtypeOption = "float32",
    form: Annotated[Form, typer.Option("--format", help="How to write it.")] = Form.table,
) -> None:
    """Count parameters and multiply-adds of every part, in the reference implementation and ours, beside the paper's.

    Nothing is run for that: every operator is counted on shapes alone, in seconds for any size. With --measure a clip
    and the texts are run as well, each implementation in a process of its own.
    """
    from claver.inference.views import Views
    from claver.profile import profile as count
    from claver.profile.measure import Request
    from claver.profile.show import measured_to_dict, show, show_measured
    from claver.progress import Screen

    looks = Views.parse(views)
    many = looks.temporal * looks.crops
    source, config = _model(model, temporal, frames)
    place = open_device(device) if measure or device else "cpu"
    if measure:  # else nothing is computed in it
        dtype = settled_dtype(dtype, place)
    asked = Request(source, config.to_dict(), device=place, dtype=dtype, views=many, text_tokens=text_tokens)
    counted = count(config, texts=texts, text_tokens=text_tokens)
    ran = _measure(asked, texts) if measure else {}
    if form is Form.json:
        values = {"model": model, **counted.to_dict(many)}
        values |= {"measured": measured_to_dict(ran, device=place, dtype=dtype)} if ran else {}
        put(json.dumps(values, indent=2, ensure_ascii=False) + "\n")
        return
    console = Screen(width=None if Screen().is_terminal else 120)
    show(console, counted, name=model, views=many)
    if ran:
        show_measured(console, ran, device=place, dtype=dtype)


def _model(name: str, temporal: str | None, frames: int | None) -> tuple[str | None, ClaverConfig]:
    """Where to load it from, or None for random weights, and its sizes."""
    from claver.models import load, named_config

    if _LIKE_A_SIZE.fullmatch(name) and not Path(name).exists():
        kind, count = "kmt" if temporal is None else temporal, 8 if frames is None else frames
        return None, named_config(name, kind, count)  # type: ignore[arg-type]
    return name, load(name, temporal=temporal, frames=frames).config  # type: ignore[arg-type]


def _measure(asked: Request, texts: int) -> dict[str, Measured]:
    from claver.profile.measure import WAYS, measure
    from claver.progress import Screen

    clip = "clip" if asked.views == 1 else f"clip, {asked.views} views"
    results = {}
    for number, name in {0: clip, texts: "one text" if texts == 1 else f"{texts} texts"}.items():
        for way in WAYS:
            with Screen(stderr=True, quiet=loudness() is Loudness.quiet).status(f"measuring {name}, {way}"):
                results[f"{name}, {way}"] = measure(replace(asked, way=way, texts=number))
    return results
