"""`claver blend`: models between a starting point and what was trained from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from claver.cli.formats import check_new_folder
from claver.errors import CheckpointError, ClaverError
from claver.terminal import say, shown

EPILOG = """
[bold]Examples[/]

claver blend openai/clip-vit-base-patch16 runs/k400 --weight 0.5 --output runs/k400_half\n
claver blend openai/clip-vit-base-patch16 runs/k400 --weights 0,0.25,0.5,0.75,1 --output runs/k400_between
"""


def blend(
    start: Annotated[
        str, typer.Argument(help="The model that training started from: whatever --model takes elsewhere.")
    ],
    trained: Annotated[str, typer.Argument(help="The fine-tuned model: a training run, or a model.")],
    output: Annotated[
        Path, typer.Option(help="The model folder to write, new or empty; with --weights, the folder of all.")
    ],
    weight: Annotated[float, typer.Option(help="Of the trained model; 0 to 1.")] = 0.5,
    weights: Annotated[str | None, typer.Option(help="Several, separated by commas: a folder for each.")] = None,
) -> None:
    """Interpolate between the weights of two models; the temporal tower is the trained one's.

    A model between CLIP and one trained on some actions is often better at other actions than both.
    """
    if not 0 <= weight <= 1:
        raise ClaverError(f"--weight is a number from 0 to 1, not {weight:g}")
    places = {output: weight} if weights is None else {output / word: float(word) for word in _words(weights)}
    for folder in places:
        check_new_folder(folder)
    from claver.models import load
    from claver.models.blend import blend as blended
    from claver.models.load import load_weights

    first, second = load_weights(start), load(trained)
    for folder, share in places.items():
        made = blended(first, second, share)
        try:
            made.save_pretrained(folder)
        except OSError as error:
            raise CheckpointError(f"{folder} cannot be written: {error.strerror or error}") from error
        say(shown(f"{folder}: {1 - share:g} x {start} + {share:g} x {trained}"))


def _words(weights: str) -> list[str]:
    words = [word.strip() for word in weights.split(",")]
    for word in words:
        try:
            inside = 0 <= float(word) <= 1
        except ValueError:
            inside = False
        if not inside:
            raise ClaverError(f"--weights are numbers from 0 to 1 separated by commas, not {weights!r}")
    return words
