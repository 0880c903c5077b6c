"""`claver evaluate --task localization`: when actions happen, measured on annotated videos of any length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from claver.cli.formats import check_apart, check_output
from claver.cli.model import model_identity, open_model, progress_shown, text_identity
from claver.errors import ClaverError, VideoError
from claver.files import write_whole
from claver.inference.jobs import Journal, Record
from claver.json_text import to_json
from claver.terminal import complain, say, tell

if TYPE_CHECKING:
    from claver.evaluation.annotations import Annotations
    from claver.evaluation.localization import Localization
    from claver.inference.recognizer import Recognizer
    from claver.text.wording import Wording


def evaluate_localization(
    path: Path,
    *,
    videos: Path | None,
    subset: str | None,
    output: Path | None,
    model: str | None,
    texts: str | None,
    looking: Record,
    loading: Record,
) -> None:
    """Print mAP, and write it as JSON; videos that are missing or cannot be read are named, exit code 1.

    Args:
        path: the annotations.
        videos: the folder of the videos; that of the annotations if None.
        subset: which part of the annotations; all if None.
        output: where to write, through a journal, if anywhere.
        model: as of every command.
        texts: likewise.
        looking: settings of `Timeline.of`.
        loading: settings of `open_model`, and what to do with damaged videos.

    Raises:
        ClaverError: the annotations cannot be used, or none of their videos is there.
    """
    from claver.evaluation.annotations import read_annotations
    from claver.text.wording import wording

    if output is not None:
        check_output(output)
    check_apart((output,), (path, texts))
    annotations = read_annotations(path, subset)
    folder = videos or (path if path.is_dir() else path.parent)
    found = find_annotated(annotations.videos, folder)
    if annotations.left_out:
        tell(f"{annotations.left_out} annotations end before they start, or have no length, and are left out")
    recognizer = _recognizer(annotations, model, texts, looking, loading)
    settings: Record = {"task": "localization", "model": model_identity(model), "texts": text_identity(texts)}
    settings |= {"annotations": text_identity(str(path)), "subset": subset, "videos": str(folder)}
    settings |= {name: value for name, value in looking.items() if name != "batch_size"}  # nothing depends on that
    settings |= {"temporal": loading["temporal"], "dtype": loading["dtype"], "frames": loading["frames"]}
    settings |= {"damaged": loading["damaged"], "preprocess": loading["preprocess"]}
    write = partial(_write, annotations, found, output, settings, wording(recognizer.texts))
    failed = _detect(found, recognizer, looking, output, settings, write)
    if failed:
        complain(f"{len(failed)} of {len(annotations.videos)} videos could not be read, and count as not found:")
        for why in failed:
            complain(why)
        raise typer.Exit(1)


def find_annotated(names: Sequence[str], folder: Path) -> dict[str, Path]:
    """The file of each annotated video in a folder or below: its name, perhaps with `v_` before it.

    Raises:
        ClaverError: none of them is there.
    """
    from claver.data.layouts.tree import Tree

    if not folder.is_dir():
        raise ClaverError(f"--videos {folder} is no folder")
    stems = {Path(file).stem: folder / file for file in Tree(folder).videos}
    found = {name: stems.get(name) or stems.get(f"v_{name}") for name in names}
    here = {name: path for name, path in found.items() if path is not None}
    if not here:
        raise ClaverError(f"{folder} holds none of the {len(names)} annotated videos, such as {names[0]}.mp4")
    return here


def _recognizer(
    annotations: Annotations, model: str | None, texts: str | None, looking: Record, loading: Record
) -> Recognizer:
    """Only the annotated classes compete, by the texts that the model learned them by, or the requested ones."""
    from claver.inference.recognizer import Recognizer
    from claver.text import texts_for
    from claver.text.selection import own_actions

    loaded = open_model(model, **{name: value for name, value in loading.items() if name != "damaged"})
    classes = list(annotations.classes)
    if texts is None and loaded.learned is not None and set(classes) <= set(loaded.learned.names):
        actions = own_actions(loaded).select(classes)
    else:
        actions = texts_for(classes, texts)
    with progress_shown("encoding texts") as progress:
        settings: Record = {"frames": loading["frames"], "damaged": loading["damaged"], "progress": progress}
        return Recognizer(loaded, actions, unknown=looking["background"] == "names", **settings)


def _detect(
    found: dict[str, Path],
    recognizer: Recognizer,
    looking: Record,
    output: Path | None,
    settings: Record,
    write: Callable[[list[Record]], list[str]],
) -> list[str]:
    """What `write` returns of a record of each video that is there, those of an interrupted run included."""
    if output is None:
        return write(list(_records(found, recognizer, looking)))
    with Journal(output, settings) as journal:
        missing = {name: path for name, path in found.items() if "segments" not in journal.done.get(name, {})}
        if len(missing) < len(found):
            tell(f"{len(found) - len(missing)} of {len(found)} videos done before, resuming")
        for record in _records(missing, recognizer, looking):
            journal.add(record)
        failed = write([journal.done[name] for name in found])
        journal.finish()  # not before the result is written
    return failed


def _records(found: dict[str, Path], recognizer: Recognizer, looking: Record) -> Iterator[Record]:
    from claver.progress import bar
    from claver.timeline import Timeline

    with bar("evaluating", redirect_stdout=False, redirect_stderr=False) as progress:
        for name, path in progress.track(found.items(), total=len(found)):
            try:
                timeline = Timeline.of(path, recognizer, **looking)
            except VideoError as error:
                yield {"path": name, "error": str(error)}
            else:
                yield {"path": name, "segments": [segment.to_dict() for segment in timeline.candidates]}


def _write(
    annotations: Annotations,
    found: dict[str, Path],
    output: Path | None,
    settings: Record,
    worded: Wording,
    records: Sequence[Record],
) -> list[str]:
    """Write and show the result; returns why videos have none, whose annotations then count as not found."""
    from claver.evaluation.localization import Detection, localize

    detections = [
        Detection(record["path"], one["action"], one["start"], one["stop"], one["score"])
        for record in records
        for one in record.get("segments", ())
    ]
    result = localize(detections, annotations.instances)
    failed = {name: f"{name}: there is no such video" for name in annotations.videos if name not in found}
    failed |= {record["path"]: record["error"] for record in records if "error" in record}
    if output is not None:
        facts = {"settings": settings, "wording": worded, "videos": len(annotations.videos), "failures": failed}
        write_whole(output, to_json({**facts, "instances": len(annotations.instances), **result.to_dict()}, indent=1))
    say(_table(result, worded, len(annotations.videos), len(annotations.instances)), end="")
    return list(failed.values())


def _table(result: Localization, worded: Wording, videos: int, instances: int) -> str:
    from claver.evaluation.localization import ACTIVITYNET, THUMOS

    rows = [(f"tIoU {one:g}", result.mean([one])) for one in result.thresholds]
    rows += [("0.3:0.7 (THUMOS'14)", result.mean(THUMOS)), ("0.5:0.95 (ActivityNet)", result.mean(ACTIVITYNET))]
    lines = [f"{name:24}{100 * value:6.2f} %" for name, value in rows]
    head = f"mAP of {len(result.classes)} classes, {worded} texts, {instances} instances in {videos} videos"
    return "\n".join([head, *lines, ""])
