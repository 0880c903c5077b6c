"""`claver timeline`: which actions happen when, in videos of any length."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from claver.cli.formats import CsvSafeOption, check_apart, check_output
from claver.cli.inputs import find_videos, given_actions
from claver.cli.model import (
    DamagedOption,
    DeviceOption,
    DtypeOption,
    FramesOption,
    ModelOption,
    PreprocessOption,
    TemporalOption,
    TextsOption,
    check_damaged,
    model_identity,
    refuse_exported,
    settled_dtype,
    text_identity,
)
from claver.cli.recognizer import ActionsOption, open_recognizer
from claver.errors import ClaverError, VideoError
from claver.files import write_whole
from claver.inference.jobs import Journal, Record
from claver.terminal import complain, tell

if TYPE_CHECKING:
    from claver.inference.recognizer import Recognizer
    from claver.timeline import Timeline
    from claver.timeline.timeline import Threshold
    from claver.timeline.writing import TimelineFormat

EPILOG = """
[bold]Examples[/]

claver timeline match.mp4 --model runs/quickstart/kmct --output match.vtt\n
claver timeline match.mp4 --model MODEL --actions "serves, smashes, rests" --output match.html\n
claver timeline videos/ --model MODEL --actions my_actions.csv --fps 4 --output segments.csv\n
claver timeline videos/ --model MODEL --actions kinetics400 --format eaf --output annotations
"""

VideosArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE|FOLDER|GLOB|-…", show_default=False, help="Videos of any length; - reads names from stdin."
    ),
]
FpsOption = Annotated[
    float, typer.Option(min=0.01, help="Frames looked at per second: a window lasts its frames / fps seconds.")
]
StrideOption = Annotated[
    int | None,
    typer.Option(min=1, help="Frames from one window to the next; half a window if not given.", show_default=False),
]
ThresholdOption = Annotated[
    str,
    typer.Option(
        metavar="auto|LEVEL",
        help="How far above the background an action must rise; auto finds a level for each video.",
    ),
]
BackgroundOption = Annotated[
    str,
    typer.Option(
        metavar="video|names",
        help="What scores are compared with. video: the usual score in the video; names: those of other actions.",
    ),
]


@dataclass(frozen=True)
class _Job:
    """What is written where.

    Attributes:
        output: one file, or a folder with one for each video.
        form: the format.
        files: the file of each video, where there is one for each.
    """

    output: Path
    form: TimelineFormat
    files: dict[str, Path]
    csv_safe: bool

    def write(self, entries: Sequence[Any], path: Path) -> None:
        from claver.timeline.writing import text_of

        write_whole(path, text_of(entries, self.form, csv_safe=self.csv_safe, beside=path))


def timeline(
    videos: VideosArgument,
    output: Annotated[
        Path,
        typer.Option(
            help="Write here, whole; interrupted, the same command resumes. Of many videos vtt, srt, eaf, cvat and "
            "html need a folder."
        ),
    ],
    actions: ActionsOption = None,
    texts: TextsOption = None,
    model: ModelOption = None,
    temporal: TemporalOption = None,
    fps: FpsOption = 2.0,
    stride: StrideOption = None,
    threshold: ThresholdOption = "auto",
    background: BackgroundOption = "video",
    frames: FramesOption = None,
    preprocess: PreprocessOption = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="csv|json|jsonl|vtt|srt|eaf|labelstudio|cvat|html",
            help="How to write it; by --output's suffix if not given (.xml: CVAT, .labelstudio.json: Label Studio).",
        ),
    ] = None,
    csv_safe: CsvSafeOption = False,
    damaged: DamagedOption = "answer",
    device: DeviceOption = None,
    dtype: DtypeOption = "float32",
    batch_size: Annotated[int, typer.Option(min=1, help="Windows computed at once.")] = 8,
) -> None:
    """Find which actions happen when: segments with scores, several at once, in videos of any length.

    Every frame is decoded and encoded once, and memory does not grow with length. Files that cannot be read are
    reported at the end, and the exit code is then 1.
    """
    check_damaged(damaged)
    refuse_exported(model)
    level, background = checked_level(threshold), checked_background(background)
    if "-" in videos and actions == "-":
        raise ClaverError("stdin holds either the names of files or the actions, not both")
    paths = find_videos(videos)
    job = _job(paths, output, form, csv_safe)
    check_apart(tuple(job.files.values()) or (output,), (*paths, actions, texts))
    named = None if actions is None else given_actions(actions)
    dtype = settled_dtype(dtype, device)
    settings: Record = {"model": model_identity(model), "texts": text_identity(texts), "temporal": temporal}
    settings |= {"actions": list(named) if isinstance(named, tuple) else text_identity(actions), "dtype": dtype}
    settings |= {"fps": fps, "stride": stride, "threshold": level, "frames": frames, "preprocess": preprocess}
    settings |= {"damaged": damaged, "format": job.form.value, "background": background}

    def opened() -> Recognizer:
        given: Record = {"device": device, "dtype": dtype, "preprocess": preprocess, "unknown": background == "names"}
        recognizer = open_recognizer(model, named, texts, temporal, frames, None, **given)
        recognizer.encoder.damaged = damaged  # type: ignore[assignment]
        return recognizer

    looking: Record = {"fps": fps, "stride": stride, "threshold": level, "background": background}
    looking |= {"batch_size": batch_size}
    try:
        records = _run(paths, job, settings, opened, looking)
    except KeyboardInterrupt:
        complain("interrupted; the same command resumes where it stopped")
        raise typer.Exit(130) from None
    _report(records)


def checked_background(background: str) -> str:
    """What scores are compared with.

    Raises:
        ClaverError: another word.
    """
    if background not in ("video", "names"):
        raise ClaverError(f"--background is video or names, not {background!r}")
    return background


def checked_level(threshold: str) -> Threshold:
    """`auto`, or a number above 0.

    Raises:
        ClaverError: it is neither.
    """
    try:
        level: Threshold = "auto" if threshold == "auto" else float(threshold)
    except ValueError:
        level = -1.0
    if level != "auto" and not 0 < level < float("inf"):
        raise ClaverError(f"threshold is auto or a level above 0, the background, not {threshold!r}")
    return level


def _job(paths: Sequence[str], output: Path, form: str | None, csv_safe: bool) -> _Job:
    from claver.timeline.writing import TOGETHER, timeline_format

    kind = timeline_format(form, output)
    if kind in TOGETHER:
        check_output(output)
        return _Job(output, kind, {}, csv_safe)
    if len(paths) == 1 and not output.is_dir():
        check_output(output)
        return _Job(output, kind, {paths[0]: output}, csv_safe)
    if output.exists() and not output.is_dir():
        raise ClaverError(f"a file of format {kind} holds one video, not {len(paths)}; name a folder, not {output}")
    names = _names(paths)
    output.mkdir(parents=True, exist_ok=True)
    return _Job(output, kind, {path: output / f"{names[path]}{kind.suffix}" for path in paths}, csv_safe)


def _names(paths: Sequence[str]) -> dict[str, str]:
    """A name for the file of each video: its own, and where two are alike with as many of its folders as tell them."""
    parts = {path: PurePath(os.path.abspath(path)).with_suffix("").parts[1:] for path in paths}
    names: dict[str, str] = {}
    for path, own in parts.items():
        others = [other for key, other in parts.items() if key != path]
        depth = next((n for n in range(1, len(own) + 1) if all(own[-n:] != other[-n:] for other in others)), 0)
        names[path] = "_".join(own[-depth:]) if depth else PurePath(path).name.replace(".", "_")
    if len(set(names.values())) < len(names):
        raise ClaverError("some of these videos would be written to one file; give them in commands of their own")
    return names


def _run(
    paths: Sequence[str], job: _Job, settings: Record, opened: Callable[[], Recognizer], looking: Record
) -> list[Record]:
    """Through a journal, so that nothing is lost; files that failed in an earlier run are tried again."""
    from claver.timeline import Track

    with Journal(job.output, settings) as journal:
        missing = [path for path in paths if not _is_done(journal.done.get(path, {}), job)]
        if len(missing) < len(paths):
            tell(f"{len(paths) - len(missing)} of {len(paths)} files done before, resuming")
        for record in _looked_through(missing, job, opened, looking) if missing else ():
            journal.add(record)
        records = [journal.done[path] for path in paths]
        if not job.files:
            entries = [Track.from_dict(record) if "segments" in record else record for record in records]
            job.write(entries, job.output)
        journal.finish()
    return records


def _is_done(record: Record, job: _Job) -> bool:
    if "skipped" in record:
        return True
    if job.files:
        return "written" in record and job.files[record["path"]].is_file()
    return "segments" in record


def _looked_through(
    paths: Sequence[str], job: _Job, opened: Callable[[], Recognizer], looking: Record
) -> Iterator[Record]:
    """A record of each video, as soon as it is known; a file of its own is written before."""
    from claver.inference.far import FarReader
    from claver.progress import bar
    from claver.timeline.timeline import RefusedVideoError, Timeline

    recognizer = opened()
    # One of many is read in a process of its own, which a crash of the decoder ends alone.
    far = FarReader() if len(paths) > 1 else None
    shown = bar("time lines", redirect_stdout=False, redirect_stderr=False)
    with shown as progress, nullcontext() if far is None else far:
        task = progress.add_task("", total=float(len(paths)))
        for number, path in enumerate(paths):

            def advance(done: float, duration: float, number: int = number) -> None:
                progress.update(task, completed=number + min(done / max(duration, 1e-9), 1))

            try:
                source = path if far is None else far.open(path, looking["fps"])
                yield _noted(Timeline.of(source, recognizer, progress=advance, **looking), job)
            except VideoError as error:
                skipped = recognizer.encoder.damaged == "skip" and isinstance(error, RefusedVideoError)
                yield {"path": path, "skipped" if skipped else "error": str(error)}
            progress.update(task, completed=number + 1)


def _noted(found: Timeline, job: _Job) -> Record:
    if not job.files:
        return found.to_dict()
    job.write([found], job.files[found.source])
    return {"path": found.source, "written": str(job.files[found.source]), "damaged": found.damaged or None}


def _report(records: Sequence[Record]) -> None:
    """Damaged, skipped and failed files; exit code 1 if some have no time line for an error."""
    failed = [record["error"] for record in records if "error" in record]
    for record in records:
        if record.get("damaged"):
            complain(f"{record['path']}: damaged: {record['damaged']}")
        elif "skipped" in record:
            complain(record["skipped"])
    if failed and len(records) > 1:
        complain(f"{len(failed)} of {len(records)} files could not be read:")
    for why in failed:
        complain(why)
    if failed:
        raise typer.Exit(1)
