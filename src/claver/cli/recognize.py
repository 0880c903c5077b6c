"""`claver recognize`: name the actions in files, folders and patterns of files."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from claver.cli.formats import CsvSafeOption, Format, Record, check_apart, check_output, damage_line, form_for, render
from claver.cli.inputs import find_videos, given_actions
from claver.cli.model import (
    BatchOption,
    CompileOption,
    DamagedOption,
    DeviceOption,
    DtypeOption,
    FramesOption,
    ModelOption,
    OwnViewsOption,
    PreprocessOption,
    TemporalOption,
    TextsOption,
    WorkersOption,
    check_damaged,
    default_workers,
    model_identity,
    settled_dtype,
    text_identity,
    warm_up,
)
from claver.cli.ray import ActorsOption, CpusOption, GpusOption, RayDecodeTimeoutOption, RayOption, placement
from claver.cli.recognizer import ActionsOption, CalibrationOption, UnknownOption, checked_unknown, open_recognizer
from claver.errors import ClaverError
from claver.files import write_whole
from claver.inference.jobs import Work, run_job
from claver.terminal import complain, put, say, tell

if TYPE_CHECKING:
    from claver.inference.recognizer import Recognizer
    from claver.scale.work import Placement

EPILOG = """
[bold]Examples[/]

claver recognize clip.mp4 --model runs/quickstart/kmct\n
claver recognize clip.mp4 --model runs/quickstart/kmct --actions "moves left, moves right, grows"\n
claver recognize clips/ --model openai/clip-vit-base-patch16 --actions kinetics400 --top 3\n
claver recognize clips/ --model MODEL --actions ucf101 --texts decomposition,synonym\n
claver recognize clips/ --model MODEL --actions ucf101 --damaged skip\n
claver recognize clips/ --model MODEL --actions "waving, bowing" --calibration calibration.json\n
claver recognize "clips/**/*.mp4" --model MODEL --actions my_actions.csv --output answers.jsonl\n
claver recognize clips/ --model MODEL --actions ucf101 --output answers --format parquet\n
claver recognize clips/ --model MODEL --actions ucf101 --ray --actors 2 --output answers.jsonl\n
find clips -name "*.mp4" -print0 | claver recognize - --model MODEL --dry-run
"""

_LONG = 60.0
"""Seconds of a job after which it is said what it spent them on."""

Videos = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE|FOLDER|GLOB|-…", show_default=False, help="What to recognize; - reads names from stdin."
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(help="Write here, whole at the end; interrupted, the same command resumes."),
]


def recognize(
    videos: Videos,
    actions: ActionsOption = None,
    texts: TextsOption = None,
    model: ModelOption = None,
    temporal: TemporalOption = None,
    top: Annotated[int, typer.Option(min=1, help="Answers per video.")] = 5,
    views: OwnViewsOption = None,
    frames: FramesOption = None,
    preprocess: PreprocessOption = None,
    form: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="How to write the answers; by --output's suffix, or a table, if not given. Parquet is a folder; in it "
            "a name that has an answer is not looked at again, even if its file has changed.",
        ),
    ] = None,
    output: OutputOption = None,
    csv_safe: CsvSafeOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    damaged: DamagedOption = "answer",
    unknown: UnknownOption = "on",
    calibration: CalibrationOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "float32",
    compile: CompileOption = False,
    batch_size: BatchOption = 8,
    workers: WorkersOption = None,
    decode_timeout: RayDecodeTimeoutOption = None,
    ray: RayOption = None,
    actors: ActorsOption = None,
    cpus: CpusOption = None,
    gpus: GpusOption = None,
) -> None:
    """Name the actions in videos: the ranked actions of a list, for every file.

    Where none of the actions fits better than the names of other actions, the answer says "none of these" above them.
    Files that cannot be read are reported at the end, and the exit code is then 1. Answers from damaged files are
    marked, and reported too.
    """
    check_damaged(damaged)
    told = checked_unknown(unknown, calibration)
    placed = placement(ray, actors, cpus, gpus, workers, decode_timeout)
    if "-" in videos and actions == "-":
        raise ClaverError("stdin holds either the names of files or the actions, not both")
    paths, form = find_videos(videos), form_for(form, output)
    check_place(output, form)
    check_apart((output,), (*paths, actions, texts, calibration))
    named = None if actions is None else given_actions(actions)
    if dry_run:
        from claver.cli.plan import recognition_plan

        say(recognition_plan(paths, model, named, texts, temporal, frames, views, form, output), end="")
        return
    dtype = settled_dtype(dtype, device)
    given = list(named) if isinstance(named, tuple) else text_identity(actions)
    settings: dict[str, Any] = {"model": model_identity(model), "actions": given, "top": top}
    settings |= {"texts": text_identity(texts), "temporal": temporal, "views": views, "frames": frames, "dtype": dtype}
    settings |= {} if preprocess is None else {"preprocess": preprocess}
    settings |= {} if damaged == "answer" else {"damaged": damaged}
    settings |= {"unknown": unknown, "calibration": text_identity(calibration)}
    text = partial(render, form=form, csv_safe=csv_safe)
    flowing = output is None and form is Format.jsonl  # line by line, for whoever reads at the other end of a pipe
    own: dict[str, Any] = {"dtype": dtype, "preprocess": preprocess}
    own |= {"unknown": told, "calibration": calibration, "compile": compile}
    recognizer = partial(open_recognizer, model, named, texts, temporal, frames, views, **own)
    if placed is None:
        workers = default_workers(len(paths), device) if workers is None else workers
        loading: dict[str, Any] = {"batch_size": batch_size, "workers": workers}
        loading |= {"damaged": damaged, "decode_timeout": decode_timeout or 60.0}
        work = partial(_answers, partial(recognizer, device=device), top=top, loading=loading)
    else:
        work = partial(_far_answers, placed, recognizer, device, top, batch_size, damaged)
    job = partial(_tracked, work, hidden=flowing and sys.stdout.isatty())
    noting: dict[str, Any] = {
        "on_resume": lambda done: tell(f"{done} of {len(paths)} files done before, resuming"),
        "on_record": lambda record: put(text([record])) if flowing else None,
    }
    try:
        if output is not None and (placed is not None or form is Format.parquet):
            settings |= {"preprocess": preprocess, "damaged": damaged}  # a folder stays, so defaults are noted too
            records = _through_parts(paths, job, output, form, settings, text, noting)
        else:
            write = partial(_write, output=output, form=form, text=text)
            records = run_job(paths, job, output=output, settings=settings, write=write, **noting)
    except KeyboardInterrupt:
        hint = "" if output is None else "; the same command resumes where it stopped"
        complain(f"interrupted{hint}")
        raise typer.Exit(130) from None
    _report(records, len(paths))


def check_place(output: Path | None, form: Format) -> None:
    """Raise `ClaverError` if the answers cannot be put there: a file, or for Parquet a folder of parts."""
    if form is not Format.parquet:
        return check_output(output, "leave out --output to write to stdout, or name a file")
    if output is None:
        raise ClaverError("Parquet is a folder of parts; add --output FOLDER")
    if output.exists() and not output.is_dir():
        raise ClaverError(f"cannot write {output}: it is a file, and Parquet is a folder of parts; name a new folder")
    return None


def _answers(
    recognizer: Callable[[], Recognizer], paths: Sequence[str], *, top: int, loading: Mapping[str, Any]
) -> Iterator[Record]:
    """A record for each file; the recogniser is made when there is anything to do."""
    made = recognizer()
    warm_up(made.encoder, len(paths), loading["batch_size"])
    began = time.perf_counter()
    for result in made.stream(paths, **loading):
        yield result.to_dict(top)
    _tell_bound(time.perf_counter() - began, made.encoder.waited)


def _far_answers(
    placed: Placement,
    recognizer: Callable[..., Recognizer],
    device: str | None,
    top: int,
    batch_size: int,
    damaged: Any,
    paths: Sequence[str],
) -> Iterator[Record]:
    """A record for each file, of actors of Ray."""
    from claver.scale.work import recognize_on_ray

    opened = partial(_opened_far, recognizer, device)
    yield from recognize_on_ray(placed, opened, top=top, batch_size=batch_size, damaged=damaged)(paths)


def _opened_far(recognizer: Callable[..., Recognizer], device: str | None, own_device: str) -> Recognizer:
    return recognizer(device=device or own_device)


def _tracked(work: Work, paths: Sequence[str], *, hidden: bool) -> Iterator[Record]:
    """The records of some work, with a bar."""
    from claver.progress import bar

    hidden = hidden or len(paths) < 2
    with bar("recognising", hidden=hidden, redirect_stdout=False, redirect_stderr=False) as progress:
        yield from progress.track(iter(work(paths)), total=len(paths))


def _through_parts(
    paths: Sequence[str],
    work: Work,
    output: Path,
    form: Format,
    settings: Mapping[str, Any],
    text: Callable[[Sequence[Record]], str],
    noting: Mapping[str, Any],
) -> Sequence[Record]:
    """Do a job with Parquet parts as its journal, or as its output; the records, of Parquet what is to be reported."""
    from claver.scale.parts import Parts, run_parts

    folder = output if form is Format.parquet else output.with_name(f"{output.name}.parts")
    with Parts(folder, settings) as parts:
        run_parts(paths, work, parts, **noting)
        asked = set(paths)
        if form is Format.parquet:
            return [one for one in parts.records() if one["path"] in asked and not _is_plain(one)]
        found = {one["path"]: one for one in parts.records()}
        records = [found[path] for path in paths]
        _write(records, output, form, text)
        parts.remove()
    return records


def _is_plain(record: Record) -> bool:
    return "top" in record and not record.get("damaged")


def _tell_bound(seconds: float, waited: float) -> None:
    """After a long job, whether it was the files or the model that took the time."""
    if seconds < _LONG:
        return
    share = waited / seconds
    bound = "the files, which more --workers may help" if share > 0.5 else "the model"
    tell(f"{share:.0%} of the time went into waiting for files to be decoded: the speed was bound by {bound}")


def _write(
    records: Sequence[Record], output: Path | None, form: Format, text: Callable[[Sequence[Record]], str]
) -> None:
    if output is not None:
        write_whole(output, text(records))
    elif form is Format.table:  # what has no answer is reported at the end, once
        say(text([record for record in records if "top" in record]), end="")
    elif form is not Format.jsonl:  # whose lines are out already
        put(text(records))


def _report(records: Sequence[Record], total: int) -> None:
    """What is to be known of the files beside the answers; exit code 1 if some have none for an error."""
    failed = [record for record in records if "error" in record]
    skipped = [record for record in records if "skipped" in record]
    marked = [record for record in records if "top" in record and record.get("damaged")]
    _list(marked, total, "are damaged; their answers are marked", damage_line)
    _list(skipped, total, "are damaged and were skipped", damage_line)
    _list(failed, total, "could not be read", lambda record: str(record["error"]))
    if failed:
        raise typer.Exit(1)


def _list(records: Sequence[Record], total: int, what: str, line: Callable[[Record], str]) -> None:
    if records and total > 1:
        complain(f"{len(records)} of {total} files {what}:")
    for record in records:
        complain(line(record))
