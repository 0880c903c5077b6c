"""`claver export`: a model as ONNX graphs or `torch.export` archives, with its actions, that run without claver."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from claver.cli.formats import check_new_folder
from claver.cli.inputs import find_videos, given_actions
from claver.cli.model import FramesOption, PreprocessOption, TemporalOption, TextsOption, progress_shown
from claver.cli.recognizer import ActionsOption, open_recognizer
from claver.terminal import say, shown_text

EPILOG = """
[bold]Examples[/]

claver export runs/quickstart/kmct --output exported --actions "moves left, moves right, grows"\n
claver export MODEL --output exported --actions ucf101 --streaming\n
claver export MODEL --output exported --actions ucf101 --precision int8 --clips clips/\n
claver recognize clip.mp4 --model exported
"""


def export(
    model: Annotated[str, typer.Argument(help="Whatever --model takes elsewhere.")],
    output: Annotated[Path, typer.Option(help="The folder to write; it must be new or empty.")],
    actions: ActionsOption = None,
    texts: TextsOption = None,
    form: Annotated[
        str,
        typer.Option("--format", metavar="onnx|torch", help="ONNX graphs, or archives for torch.export.load (.pt2)."),
    ] = "onnx",
    temporal: TemporalOption = None,
    frames: FramesOption = None,
    precision: Annotated[
        str, typer.Option(metavar="fp32|fp16|int8", help="What weights are stored in; int8 is for ONNX.")
    ] = "fp32",
    streaming: Annotated[
        bool, typer.Option("--streaming", help="Also a graph for the next frame of a stream (temporal kind kmct).")
    ] = False,
    pixels: Annotated[
        str, typer.Option(metavar="uint8|float", help="What graphs take: bytes, or pixels normalised already.")
    ] = "uint8",
    preprocess: PreprocessOption = None,
    clips: Annotated[
        list[str],
        typer.Option(help="A video, folder or pattern to compare model and export on; may be given several times."),
    ] = [],  # noqa: B006 - Typer wants a list
) -> None:
    """Write a model as graphs that run without PyTorch, with the texts of the actions encoded.

    Every graph is run and compared with the model before anything is kept. `claver recognize` and `claver watch` take
    the folder as their --model; examples/onnx_only.py needs no claver at all.
    """
    check_new_folder(output)
    from claver.export import export_model
    from claver.export.writing import check_options

    check_options(form, precision, pixels)
    paths = find_videos(clips) if clips else []
    named = None if actions is None else given_actions(actions)
    settings: dict[str, Any] = {"device": "cpu", "dtype": "float32", "preprocess": preprocess}
    recognizer = open_recognizer(model, named, texts, temporal, frames, None, **settings)
    with progress_shown("encoding texts") as progress:
        chosen: dict[str, Any] = {"form": form, "precision": precision, "pixels": pixels, "streaming": streaming}
        report = export_model(recognizer, output, clips=paths, progress=progress, **chosen)
    say(shown_text(str(report)))
