"""The recogniser that the options of a command choose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from claver.cli.model import DEFAULT_ACTIONS, open_exported, open_model, progress_shown
from claver.errors import ClaverError
from claver.suggest import nearest
from claver.terminal import tell

if TYPE_CHECKING:
    from claver.inference.recognizer import Recognizer

ActionsOption = Annotated[
    str | None,
    typer.Option(
        help="Words separated by commas, a .txt with an action a line, a .csv with a column 'action' (and perhaps "
        "'text'), a manifest, a .jsonl of `claver prompts generate`, kinetics400, kinetics600, ucf101, hmdb51, or "
        "- for an action a line on stdin. If not given, those that the model was trained on, or kinetics400 where it "
        "has none of its own.",
        show_default=False,
    ),
]
UnknownOption = Annotated[
    str,
    typer.Option(
        metavar="on|off",
        help="on: compare the actions with the names of some 900 others, and say 'none of these' where none fits "
        "better than those; the names are encoded once per model. off: softmax over the actions alone.",
    ),
]
CalibrationOption = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="The threshold of 'none of these', a file that `claver calibrate` wrote."),
]


def checked_unknown(unknown: str, calibration: str | None) -> bool:
    """Whether answers are to say when no action applies.

    Raises:
        ClaverError: another word, or a calibration of what is off.
    """
    if unknown not in ("on", "off"):
        raise ClaverError(f"--unknown is on or off, not {unknown!r}")
    if unknown == "off" and calibration is not None:
        raise ClaverError("--calibration says when it is none of these, and needs --unknown on")
    return unknown == "on"


def open_recognizer(
    model: str | None,
    actions: str | tuple[str, ...] | None,
    texts: str | None,
    temporal: str | None,
    frames: int | None,
    views: str | None,
    *,
    device: str | None,
    dtype: str,
    preprocess: str | None,
    unknown: bool = True,
    calibration: str | None = None,
    compile: bool = False,
) -> Recognizer:
    """The recogniser, its texts encoded, with a bar where that takes long.

    Raises:
        ClaverError: settings that cannot be, the cheap ones before weights are read.
    """
    from claver.inference.calibration import Calibration
    from claver.inference.recognizer import Recognizer, Views
    from claver.models.exported.manifest import is_exported
    from claver.text import read_actions

    looks = None if views is None else Views.parse(views)
    if calibration is not None:
        Calibration.load(calibration)
    competing = None if actions is None else read_actions(actions, texts=texts)
    exported = model is not None and is_exported(model)
    settings: dict[str, Any] = {"temporal": temporal, "device": device, "dtype": dtype, "preprocess": preprocess}
    loaded = open_exported(str(model), **settings) if exported else open_model(model, frames=frames, **settings)
    if competing is None and loaded.learned is None:
        competing = read_actions(DEFAULT_ACTIONS, texts=texts)
    elif competing is None and loaded.learned is not None:
        how = "exported with" if exported else "trained on"
        tell(f"of the {len(loaded.learned.names)} actions that the model was {how}")
    elif competing is not None and loaded.learned is not None and "," in str(actions) and not exported:
        _tell_misspelt(competing.names, loaded.learned.names)
    place = None if calibration is None else Path(calibration)
    with progress_shown("encoding texts") as progress:
        settings = {"views": looks, "frames": frames, "progress": progress}
        settings |= {"unknown": unknown, "calibration": place, "compile": compile}
        return Recognizer(loaded, competing, texts=texts if competing is None else None, **settings)


def _tell_misspelt(given: Sequence[str], learned: Sequence[str]) -> None:
    """Say which names are much like one that the model learned: any text is an action, a misspelt one as well."""
    free = [name for name in learned if name not in given]
    near = [(name, nearest(name, free)) for name in given if name not in learned]
    pairs = [
        f"{name!r} (did you mean {other!r}?)" for name, other in near if other and other.casefold() != name.casefold()
    ]
    if pairs:
        tell(f"not among the actions that the model was trained on: {', '.join(pairs)}")
