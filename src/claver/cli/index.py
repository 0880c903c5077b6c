"""`claver index`: make folders of videos searchable."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from claver.cli.model import (
    DamagedOption,
    DeviceOption,
    DtypeOption,
    ModelOption,
    TemporalOption,
    WorkersOption,
    check_damaged,
    default_workers,
    named_model,
    open_model,
)
from claver.cli.ray import ActorsOption, CpusOption, GpusOption, RayDecodeTimeoutOption, RayOption, placement
from claver.errors import ClaverError
from claver.terminal import complain, say, shown, tell

if TYPE_CHECKING:
    from claver.index import AddReport
    from claver.index.building import Encode
    from claver.index.index import Index
    from claver.inference import WindowEncoder
    from claver.models import Claver
    from claver.scale.work import Placement

EPILOG = """
[bold]Examples[/]

claver index videos/ --index my.index --model MODEL\n
claver index videos/ more/ --index my.index        (again: only what is new or changed)\n
claver index --index my.index --build              (a faster search of more than a million windows)\n
claver index videos/ --index my.index --ray --actors 2\n
claver index --index my.index --info
"""

_MANY = 2
"""Files: even a single new one is decoded in a process of its own, which a crash of the decoder ends alone."""
IndexOption = Annotated[Path, typer.Option(help="Folder of the index; it is made if it does not exist.")]


def index(
    folders: Annotated[
        list[str] | None, typer.Argument(metavar="FOLDER|FILE…", show_default=False, help="Videos, in all subfolders.")
    ] = None,
    index: IndexOption = Path("my.index"),
    model: ModelOption = None,
    fps: Annotated[
        float | None,
        typer.Option(min=0.01, show_default=False, help="Frames looked at per second; 2 for a new index."),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(min=1, show_default=False, help="Frames from one window to the next; half a window if not given."),
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, show_default=False, help="Frames of a window; the model's own if not given.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Windows computed at once.")] = 8,
    damaged: DamagedOption = "answer",
    retry: Annotated[bool, typer.Option("--retry", help="Try files again that failed and have not changed.")] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Remove files, too, whose whole folder is gone, as of an unmounted disk.")
    ] = False,
    build: Annotated[
        bool,
        typer.Option(
            "--build", help="Index the vectors, after the folders if any are given: for more than a million windows."
        ),
    ] = False,
    info: Annotated[bool, typer.Option("--info", help="Say what the index holds, and do nothing else.")] = False,
    temporal: TemporalOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "float32",
    workers: WorkersOption = None,
    decode_timeout: RayDecodeTimeoutOption = None,
    ray: RayOption = None,
    actors: ActorsOption = None,
    cpus: CpusOption = None,
    gpus: GpusOption = None,
) -> None:
    """Make folders of videos searchable by `claver search`.

    Videos stay where they are. Given again, only files that are new or changed are decoded; a run that was interrupted
    resumes. Files that cannot be read, or on which the decoder crashes, are listed at the end, and left alone until
    they change.
    """
    from claver.index.index import Index

    check_damaged(damaged)
    placed = placement(ray, actors, cpus, gpus, workers, decode_timeout)
    opened = Index.open(index)
    if info:
        return _tell_info(opened)
    if build and not folders:
        return _build(opened)
    if not folders:
        raise ClaverError("name the folders that hold the videos, such as: claver index videos/ --index my.index")
    known = opened.settings().origin if opened.exists and model is None else {}
    named, kind = str(known.get("model") or named_model(model)), temporal or known.get("temporal")
    own: dict[str, Any] = {"temporal": kind, "frames": None, "dtype": dtype}
    loaded = open_model(named, device=device if placed is None else "cpu", **own)
    origin = {"model": _lasting(named), "temporal": kind}
    settings: dict[str, Any] = {"fps": fps, "stride": stride, "frames": frames, "batch_size": batch_size}
    workers = default_workers(_MANY, device) if workers is None else workers
    if placed is not None:
        settings |= {"encode": partial(_far, placed, partial(open_model, named, **own), device)}
    settings |= {"damaged": damaged, "retry": retry, "forget": forget}
    settings |= {"workers": workers, "decode_timeout": decode_timeout or 60.0}
    report = _added(opened, folders, loaded, settings | {"origin": origin})
    if build:
        _build(opened)
    _tell(report)
    return None


def _far(placed: Placement, opened: Callable[..., Claver], device: str | None, encoder: WindowEncoder) -> Encode:
    """What encodes files in actors of Ray, each with such an encoder."""
    from claver.index.files import digest_of
    from claver.scale.work import encode_on_ray

    again = partial(
        _encoder_of, opened, device, encoder.encoder.frames, encoder.fps, encoder.stride, encoder.batch_size
    )
    return lambda paths, glance: encode_on_ray(placed, again, digest_of, paths)


def _encoder_of(
    opened: Callable[..., Claver], device: str | None, frames: int, fps: float, stride: int, size: int, own_device: str
) -> WindowEncoder:
    from claver.inference import VideoEncoder, WindowEncoder

    inner = VideoEncoder(opened(device=device or own_device), frames=frames)
    return WindowEncoder(inner, fps=fps, stride=stride, batch_size=size)


def _build(index: Index) -> None:
    """Index the vectors, and say what is being done and how long it took."""
    from claver.progress import waiting

    tell(f"indexing the vectors of {index.info().windows:,} windows; interrupted, everything stays as it was")
    began = time.monotonic()
    with waiting("indexing vectors"):
        windows = index.build()
    say(f"the vectors of {windows:,} windows are indexed, after {time.monotonic() - began:.0f} s")


def _lasting(model: str) -> str:
    """A name by which the model is found from every folder."""
    return str(Path(model).absolute()) if Path(model).exists() else model


def _added(index: Index, folders: list[str], model: Any, settings: dict[str, Any]) -> AddReport:
    from rich.progress import TextColumn

    from claver.index import AddProgress
    from claver.progress import bar

    with bar("indexing", TextColumn("{task.fields[more]}"), counted=False) as progress:
        task = progress.add_task("", total=None, more="")

        def show(now: AddProgress) -> None:
            hours = f"{now.seconds / 3600:.2f} h of video"
            more = f"{now.files} of {now.total} files, {now.windows:,} windows, {hours}"
            progress.update(task, completed=now.share, total=1.0, more=more)  # by bytes: time left, though files differ

        return index.add(folders, model, progress=show, **settings)


def _tell(report: AddReport) -> None:
    """What has changed; exit code 1 if a file could not be read."""
    counts = {
        "added": report.added,
        "moved": report.moved + report.copied,
        "removed": report.removed,
        "unchanged": report.unchanged + report.touched,
    }
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "no video was found"
    say(f"{told}; {report.windows:,} new windows of {report.seconds / 3600:.2f} hours of video")
    for path, what in report.damaged:
        complain(f"{path}: damaged: {what}")
    for folder, why in report.unreadable:
        complain(f"{folder} cannot be listed: {why}")
    if report.kept:
        first = shown(report.kept[0])
        tell(f"{len(report.kept)} files are gone with their folder, such as {first}; --forget removes them")
    for _, why in report.failed:
        complain(why)
    if report.failed or report.unreadable:
        raise typer.Exit(1)


def _tell_info(index: Index) -> None:
    found = index.info()
    settings = found.settings
    say(f"{found.files} videos, {found.windows:,} windows, {found.hours:.2f} hours")
    say(f"windows of {settings.frames} frames at {settings.fps:g} a second, stride {settings.stride}")
    say(f"model: {shown(str(settings.origin.get('model') or 'given in Python'))}")
    if found.indexed is not None:
        say(f"vectors indexed: {found.indexed:,} of {found.windows:,}; a search compares the others, too")
    if found.outgrown:
        say("the index has grown far beyond what was indexed; --build again makes searches faster and surer")
    for path, why in found.failed:
        say(f"not in it: {shown(path)}: {shown(why)}")
