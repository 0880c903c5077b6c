"""`claver calibrate`: the threshold of "none of these", from labelled clips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from claver.cli.formats import check_apart, check_output
from claver.cli.inputs import given_actions
from claver.cli.model import (
    BatchOption,
    DecodeTimeoutOption,
    DeviceOption,
    DtypeOption,
    FramesOption,
    ModelOption,
    OwnViewsOption,
    PreprocessOption,
    TemporalOption,
    TextsOption,
    WorkersOption,
    default_workers,
)
from claver.cli.recognizer import ActionsOption, open_recognizer
from claver.errors import ClaverError
from claver.files import only_writer
from claver.terminal import complain, say, shown

if TYPE_CHECKING:
    from claver.evaluation.calibration import Calibrated

EPILOG = """
[bold]Examples[/]

claver calibrate my_clips.csv --model MODEL --actions "waving, bowing, running"\n
claver calibrate my_split.csv --split val --model runs/own_clips --alpha 0.1 --output calibration.json\n
claver recognize new/ --model runs/own_clips --calibration calibration.json
"""

Manifest = Annotated[
    Path,
    typer.Argument(
        metavar="MANIFEST|SHARDS",
        show_default=False,
        help="Labelled clips that the model has not learned from: a manifest or a folder of shards.",
    ),
]


def calibrate(
    clips: Manifest,
    actions: ActionsOption = None,
    alpha: Annotated[
        float, typer.Option(help="The share of clips of the actions that may be called none of these, at most.")
    ] = 0.05,
    output: Annotated[Path, typer.Option(help="Write the calibration here.")] = Path("calibration.json"),
    split: Annotated[
        str | None,
        typer.Option(help="Only clips of this split; if not given test, or else val, where there are."),
    ] = None,
    texts: TextsOption = None,
    model: ModelOption = None,
    temporal: TemporalOption = None,
    views: OwnViewsOption = None,
    frames: FramesOption = None,
    preprocess: PreprocessOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "float32",
    batch_size: BatchOption = 8,
    workers: WorkersOption = None,
    decode_timeout: DecodeTimeoutOption = 60.0,
) -> None:
    """Set from labelled clips when `recognize` says "none of these", for a model and a list of actions.

    By split-conformal prediction: of further clips like those that show one of the actions, at most a share alpha is
    called none of these. Alpha 0.05 needs at least 19 clips. Clips of other classes do not change the threshold; the
    share of them that it rejects is printed. The file is valid only for this model and these actions, texts, frames and
    views.
    """
    if not 0 < alpha < 1:
        raise ClaverError(f"--alpha is a share between 0 and 1, not {alpha:g}")
    check_output(output)
    check_apart((output,), (clips, actions, texts))
    from claver.data.opening import open_clips
    from claver.data.parts import clips_for
    from claver.evaluation.calibration import calibrate as choose
    from claver.progress import bar

    named = None if actions is None else given_actions(actions)
    chosen = clips_for(open_clips(clips), "testing", split, name=str(clips))
    own: dict[str, Any] = {"device": device, "dtype": dtype, "preprocess": preprocess}
    recognizer = open_recognizer(model, named, texts, temporal, frames, views, **own)
    loading: dict[str, Any] = {"batch_size": batch_size, "decode_timeout": decode_timeout}
    loading["workers"] = default_workers(len(chosen.locations), device) if workers is None else workers
    with only_writer(output), bar("calibrating") as progress:
        task = progress.add_task("", total=len(chosen.locations))
        found = choose(recognizer, chosen, alpha, on_clip=lambda: progress.advance(task), **loading)
        found.calibration.save(output)
    _report(found, output)


def _report(found: Calibrated, output: Path) -> None:
    """What was chosen from what; exit code 1 if clips could not be read."""
    made = found.calibration
    say(f"{shown(str(output))}: threshold {made.threshold:.3f}, from {made.clips} clips of the actions")
    say(f"of those {found.rejected(found.known):.1%} are below it, of further ones at most {made.alpha:.1%}")
    if found.others:
        say(f"of {len(found.others)} clips of other classes {found.rejected(found.others):.1%} are below it")
    if found.failures:
        complain(f"{len(found.failures)} clips could not be read and do not count:")
        for cause in found.failures.values():
            complain(cause)
        raise typer.Exit(1)
