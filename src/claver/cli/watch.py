"""`claver watch`: answers after every frame of files, cameras and network streams, and the events in them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from claver.cli.formats import CsvSafeOption
from claver.cli.inputs import given_actions
from claver.cli.model import (
    DeviceOption,
    DtypeOption,
    ModelOption,
    PreprocessOption,
    TemporalOption,
    TextsOption,
)
from claver.cli.recognizer import ActionsOption, CalibrationOption, UnknownOption, checked_unknown, open_recognizer
from claver.errors import ClaverError
from claver.json_text import to_json
from claver.terminal import put, tell

if TYPE_CHECKING:
    from rich.table import Table

    from claver.inference.events import Event
    from claver.inference.live import LiveRecognizer, Moment

EPILOG = """
[bold]Examples[/]

claver watch clip.mp4 --model runs/quickstart/kmct\n
claver watch 0 --model MODEL --actions "waves, claps, sits down" --events events.csv\n
claver watch rtsp://camera/1 rtsp://camera/2 --model MODEL --actions actions.txt --save-clips clips/\n
ffmpeg -i clip.mp4 -f mpegts - | claver watch - --model MODEL --actions ucf101 > answers.jsonl
"""

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE…",
        show_default=False,
        help="A file, a camera (0, /dev/video0), an address (rtsp, http, tcp, udp, …), or - for a stream on stdin.",
    ),
]


def watch(
    sources: Sources,
    actions: ActionsOption = None,
    texts: TextsOption = None,
    model: ModelOption = None,
    temporal: TemporalOption = None,
    fps: Annotated[float, typer.Option(min=0.01, help="Frames per second to look at.")] = 4.0,
    window: Annotated[
        int | None,
        typer.Option(min=1, help="Frames that an answer uses at most; the model's own number if not given."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Answers per moment.")] = 3,
    events: Annotated[
        Path | None,
        typer.Option(help="Write events here as CSV, each as soon as it has ended: stream, start, end, action, score."),
    ] = None,
    save_clips: Annotated[
        Path | None, typer.Option(help="Write the seconds around each event into this folder, as MP4.")
    ] = None,
    enter: Annotated[float, typer.Option(help="Probability at which an event begins.")] = 0.6,
    leave: Annotated[float, typer.Option(help="Probability below which an event ends.")] = 0.4,
    least: Annotated[float, typer.Option(min=0, help="Seconds that an event must last at least.")] = 0.0,
    reconnect: Annotated[
        bool, typer.Option(help="Open a camera or an address again when it is lost.", show_default=True)
    ] = True,
    csv_safe: CsvSafeOption = False,
    unknown: UnknownOption = "on",
    calibration: CalibrationOption = None,
    preprocess: PreprocessOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "float32",
) -> None:
    """Name the actions in live streams: an answer after every frame.

    On a terminal the answers are a table that is updated; elsewhere JSON lines. If frames of a camera or an address
    come faster than answers, the newest frame wins and the others are counted as dropped. Ctrl-C ends with a summary.
    Only addresses that are given here are opened, never one that is found in a file.
    """
    from claver.inference.events import ClipSaver, EventDetector, EventFile
    from claver.inference.live import LiveRecognizer
    from claver.video.live_source import LiveSource

    if sources.count("-") + (actions == "-") > 1:
        raise ClaverError("stdin holds one stream or the actions, not both")
    names = [LiveSource.parse(source).name for source in sources]  # before any weights are read
    told = checked_unknown(unknown, calibration)
    detector = EventDetector(enter, leave, least)
    named = None if actions is None else given_actions(actions)
    with ExitStack() as stack:
        file = None if events is None else EventFile(events, safe=csv_safe)
        if file is not None:
            stack.callback(file.close)
        saver = None if save_clips is None else ClipSaver(save_clips, fps)
        own: dict[str, Any] = {"device": device, "dtype": dtype, "preprocess": preprocess}
        own |= {"unknown": told, "calibration": calibration}
        recognizer = open_recognizer(model, named, texts, temporal, None, None, **own)
        live = LiveRecognizer(recognizer, fps=fps, window=window, streams=len(sources))
        on_frame = None if saver is None else saver.keep
        moments = live.watch(*sources, reconnect=reconnect, on_frame=on_frame)
        summary = _Summary(names)

        def ended(found: Sequence[Event]) -> None:
            for event in found:
                summary.events += 1
                if file is not None:
                    file.add(event, names[event.stream])
                if saver is not None:
                    saver.add(event)

        try:
            for moment in _shown(moments, live, names, top):
                summary.note(moment)
                ended(detector.push(moment))
        except KeyboardInterrupt:
            summary.interrupted = True
        finally:  # whatever ended it: what has happened is written down
            moments.close()
            ended(detector.finish())
            if saver is not None:
                saver.finish()
            if summary.answers or summary.interrupted:
                tell(summary.text())


class _Summary:
    """The summary at the end."""

    def __init__(self, sources: Sequence[str]) -> None:
        self.sources, self.events, self.answers, self.interrupted = sources, 0, 0, False
        self.dropped: dict[int, int] = {}
        self.latencies: list[float] = []
        self._began = time.monotonic()

    def note(self, moment: Moment) -> None:
        self.answers += 1
        self.dropped[moment.stream] = moment.dropped
        self.latencies.append(moment.latency)
        del self.latencies[:-10_000]  # an endless stream is summed up by what came last

    def text(self) -> str:
        ended = "interrupted; " if self.interrupted else ""
        if not self.answers:
            return f"{ended}no frame came"
        ordered = sorted(self.latencies)
        middle, most = (ordered[round(share * (len(ordered) - 1))] for share in (0.5, 0.95))
        took = time.monotonic() - self._began
        dropped = sum(self.dropped.values())
        return (
            f"{ended}{self.answers} answers and {self.events} events in {took:.0f} s, {dropped} frames dropped; "
            f"from a frame to its answer {1000 * middle:.0f} ms, 95 % within {1000 * most:.0f} ms"
        )


def _shown(moments: Iterator[Moment], live: LiveRecognizer, sources: Sequence[str], top: int) -> Iterator[Moment]:
    """The moments, shown as they pass: a table on a terminal, JSON lines elsewhere."""
    if not sys.stdout.isatty():
        for moment in moments:
            record: dict[str, Any] = {"source": sources[moment.stream], **moment.to_dict(top)}
            put(to_json(record, allow_nan=False))
            yield moment
        return
    from rich.live import Live

    from claver.progress import Screen

    latest: dict[int, Moment] = {}
    with Live(console=Screen(), refresh_per_second=8, transient=False) as screen:
        for moment in moments:
            latest[moment.stream] = moment
            screen.update(_table(latest, live, sources, top))
            yield moment


def _table(latest: dict[int, Moment], live: LiveRecognizer, sources: Sequence[str], top: int) -> Table:
    from rich.table import Table

    from claver.inference.prediction import NONE, percent

    table = Table("stream", "time", "action", "probability", "latency", "dropped")
    for number, moment in sorted(latest.items()):
        rows = [(answer.action, answer.probability) for answer in moment.top(top)]
        if moment.none_of_these and moment.unknown is not None:
            rows = [(NONE, moment.unknown), *rows]
        about = (sources[number], f"{moment.seconds:.1f} s", f"{1000 * moment.latency:.0f} ms", str(moment.dropped))
        for rank, (action, share) in enumerate(rows):
            source, at, latency, dropped = about if rank == 0 else ("", "", "", "")
            table.add_row(source, at, action, percent(share), latency, dropped)
    return table
