"""`claver convert`: any checkpoint as a model folder that says by itself what it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from claver.cli.formats import check_new_folder
from claver.cli.model import PreprocessOption, TemporalOption
from claver.errors import CheckpointError, ClaverError
from claver.terminal import say, shown

if TYPE_CHECKING:
    from claver.models import Claver

EPILOG = """
[bold]Examples[/]

claver convert vit_h_14.bin --activation gelu --heads 16,16 --output models/vit_h_14\n
claver convert laion/CLIP-ViT-B-16-laion2B-s34B-b88K --output models/laion_b16\n
claver convert facebook/dinov2-base --text sentence-transformers/all-MiniLM-L6-v2 --output models/dino_minilm
"""


def convert(
    source: Annotated[str, typer.Argument(help="Whatever --model takes elsewhere.")],
    output: Annotated[Path, typer.Option(help="The model folder to write; it must be new or empty.")],
    heads: Annotated[
        str | None, typer.Option(help="Attention heads: of the image tower, or IMAGE,TEXT; no weight tells them.")
    ] = None,
    activation: Annotated[
        str | None, typer.Option(help="gelu (most of LAION, DataComp) or quick_gelu (OpenAI, DFN, MetaCLIP).")
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            help="For an image tower alone (DINOv2, DINOv3, ViT, a registered one): the id or folder of a sentence "
            "encoder whose texts it is joined with. Images then have to learn them: see claver train."
        ),
    ] = None,
    temporal: TemporalOption = None,
    preprocess: PreprocessOption = None,
) -> None:
    """Write a checkpoint as a model folder, which every command's --model takes.

    So weights that came without a config are told once how they compute.
    """
    given = None if heads is None else _numbers(heads)
    check_new_folder(output)
    from claver.models import load

    settings: dict[str, Any] = {"activation": activation, "temporal": temporal, "preprocess": preprocess}
    model = load(source, heads=given, text=text, **settings)
    if temporal is None:
        _without_new_tower(model)
    try:
        model.save_pretrained(output)
    except OSError as error:
        raise CheckpointError(f"{output} cannot be written: {error.strerror or error}") from error
    image, words, kind, pixels = (
        model.config.image,
        model.config.text,
        model.config.temporal.kind,
        model.config.preprocess,
    )
    told = f"heads {image.heads} (images) and {words.heads} (texts), {model.config.activation}, temporal {kind}"
    told += f", pictures resized to {pixels.short_side} and cut to {pixels.size}"
    say(shown(f"{output}: {told}"))


def _numbers(heads: str) -> int | tuple[int, int]:
    words = heads.split(",")
    if len(words) > 2 or not all(word.strip().isdecimal() for word in words):
        raise ClaverError(f"--heads is a number, or two separated by a comma, not {heads!r}")
    numbers = [int(word) for word in words]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else numbers[0]


def _without_new_tower(model: Claver) -> None:
    """Leave out a temporal tower that the weights did not have: whoever loads the folder chooses one.

    One of kind `pipeline`, which `load` makes only if asked for, answers otherwise than frames that are averaged.
    """
    from claver.models.temporal import TemporalTower

    outputs = [value for name, value in model.temporal.named_parameters() if name.endswith("out.weight")]
    if not model.temporal.reads_patches and not any(bool(value.any()) for value in outputs):
        model.config = model.config.with_temporal("mean")
        model.temporal = TemporalTower(model.config)
