"""The tab *Time line*: which actions happen when, to click through and to save."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import PurePath
from typing import Any

import gradio as gr
from gradio.events import api

from claver.app.drawing import hint, timeline_card
from claver.app.following import finished, followed
from claver.app.job import Job
from claver.app.parts import WORK, buttons, clip_input, clip_of, for_programs, switched, uploaded_path, words_box
from claver.app.service import Service
from claver.app.uploads import Clip, Served, Visitor
from claver.timeline import Timeline
from claver.timeline.writing import TimelineFormat, text_of

_TITLES = {
    TimelineFormat.csv: "CSV",
    TimelineFormat.json: "JSON",
    TimelineFormat.jsonl: "JSON lines",
    TimelineFormat.vtt: "WebVTT",
    TimelineFormat.srt: "SubRip",
    TimelineFormat.eaf: "ELAN",
    TimelineFormat.labelstudio: "Label Studio",
    TimelineFormat.cvat: "CVAT",
    TimelineFormat.html: "Web page",
}


def timeline_tab(service: Service) -> None:
    """Components of the tab, and what they do."""
    with gr.Row(equal_height=False, elem_classes="cl-columns"):
        with gr.Column(scale=4, min_width=320):
            clip = clip_input(service, "timeline", with_root=True)
            words = words_box(service, "timeline")
            fps = gr.Slider(0.5, 16, value=2, step=0.5, label="Frames to look at in a second", elem_id="timeline-fps")
            go, stop = buttons(service, "timeline", "Make the time line")
        with gr.Column(scale=8, min_width=320):
            found = gr.HTML(hint("The time line comes here."), elem_id="timeline-found")

    def on_timeline(key: str, given: str, rate: float, request: gr.Request) -> Iterator[Any]:
        def work(visitor: Visitor, job: Job) -> str:
            chosen = clip_of(service, visitor, key, job)
            made = service.timeline(chosen, given, rate, job)
            return timeline_card(chosen, made, downloads(service, visitor, chosen, made))

        for state in followed(service, request, work):
            yield state.html or state.result, *switched(state.goes_on)

    go.click(on_timeline, [clip.key, words, fps], [found, go, stop], **WORK)
    api(_endpoint(service), api_name="timeline", concurrency_id="work")


def downloads(service: Service, visitor: Visitor, clip: Clip, made: Timeline) -> dict[str, str]:
    """For each format its title and the address of the file, which is written when it is asked for."""
    stem = PurePath(clip.name).stem or "timeline"
    found = {}
    for form in TimelineFormat:
        # ELAN's files hold a whole address: not that of a folder of this machine.
        track = replace(made, source=f"/{clip.name}") if form is TimelineFormat.eaf else made
        served = Served("application/octet-stream", text=partial(text_of, [track], form), download=stem + form.suffix)
        found[_TITLES[form]] = service.visitors.serve(visitor, served)
    return found


def _endpoint(service: Service) -> Any:
    def timeline(video: gr.FileData, words: str, fps: float, request: gr.Request) -> dict[str, Any]:
        """Say which actions happen when in a video.

        Args:
            video: a file, uploaded by `handle_file`.
            words: actions, separated by commas; empty for those of the page.
            fps: frames to look at in a second.
            request: Gradio's.

        Returns:
            A dictionary with `segments`, each with `start`, `stop`, `action` and `score`, and `curves`.
        """

        def work(visitor: Visitor, job: Job) -> dict[str, Any]:
            clip = service.take_upload(visitor, uploaded_path(video), job)
            return for_programs(service.timeline(clip, words, fps, job).to_dict())

        found: dict[str, Any] = finished(service, request, work)
        return found

    return timeline
