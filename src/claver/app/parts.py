"""What several tabs have in common: choosing a video, and buttons that start and stop work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from claver.app.drawing import clip_card, hint
from claver.app.following import followed, visitor_of
from claver.app.job import Job
from claver.app.service import Service
from claver.app.uploads import Clip, Visitor
from claver.errors import ClaverError

HIDDEN: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""Of events of the page: it shows progress itself, and programs have endpoints of their own."""
WORK: dict[str, Any] = {**HIDDEN, "concurrency_id": "work", "concurrency_limit": 4}
NOW: dict[str, Any] = {**HIDDEN, "queue": False}
_CHOOSE = "Choose a video, or record one."


@dataclass(frozen=True)
class ClipInput:
    """Where a visitor chooses a video.

    Attributes:
        key: the state that names the clip.
        shown: shows it.
    """

    key: gr.State
    shown: gr.HTML


def camera_options() -> gr.WebcamOptions:
    """Small frames, as they are: of a picture in a mirror, left and right would be wrong."""
    return gr.WebcamOptions(mirror=False, constraints={"video": {"width": {"ideal": 640}, "height": {"ideal": 480}}})


def clip_input(service: Service, name: str, *, with_root: bool = False) -> ClipInput:
    """Components by which a video is uploaded, recorded, or named below the root.

    Args:
        service: takes the video.
        name: of the tab, in lower case.
        with_root: whether videos below the root can be named.
    """
    file = gr.File(
        label="Video file", file_types=["video"], height=140, elem_id=f"{name}-upload", elem_classes="cl-upload"
    )
    with gr.Accordion("Or record with the camera", open=False, elem_id=f"{name}-record"):
        camera = gr.Video(
            label="Camera",
            sources=["webcam"],
            include_audio=False,
            webcam_options=camera_options(),
            height=260,
            elem_id=f"{name}-camera",
            buttons=[],
        )
        # Gradio would cut the sound, of which there is none, by FFmpeg's program, in this process.
        camera.preprocess = lambda payload: None if payload is None else payload.path
    key = gr.State("")
    if with_root and service.root is not None:
        named = gr.Dropdown(
            [],
            value=None,
            label="Or a video of the folder that is open here",
            allow_custom_value=True,
            elem_id=f"{name}-named",
        )
    shown = gr.HTML(hint(_CHOOSE), elem_id=f"{name}-clip")

    def take(uploaded: str | None, request: gr.Request) -> Iterator[tuple[Any, Any, Any]]:
        if uploaded is None:
            return
        yield from _taking(service, request, lambda visitor, job: service.take_upload(visitor, uploaded, job))

    file.upload(take, file, [file, key, shown], **WORK)
    camera.stop_recording(take, camera, [camera, key, shown], **WORK)
    if with_root and service.root is not None:

        def take_named(given: str | None, request: gr.Request) -> Iterator[tuple[Any, Any, Any]]:
            if given:
                yield from _taking(service, request, lambda visitor, job: service.take_named(visitor, given, job))

        named.input(take_named, named, [file, key, shown], **WORK)
        root = service.root
        # Whoever opens the page sees what is there now; without triggers, Gradio does this when a page is loaded.
        gr.on(None, lambda: gr.Dropdown(choices=root.videos()), None, named, **NOW)
    return ClipInput(key, shown)


def _taking(service: Service, request: Any, work: Any) -> Iterator[tuple[Any, Any, Any]]:
    """The upload field, which is free again, the clip's key, and what is shown of it."""
    for state in followed(service, request, work):
        clip: Clip | None = state.result
        if clip is not None:
            yield None, clip.key, clip_card(clip)
        elif state.goes_on:
            yield gr.skip(), gr.skip(), state.html
        else:
            yield None, "", state.html


def words_box(service: Service, name: str) -> gr.Textbox:
    """The text box for own words."""
    usual = service.recognizers.names
    shown = ", ".join(usual[:6]) + (", …" if len(usual) > 6 else "")
    info = "Separated by commas or lines."
    if usual:
        info += f" Left empty: the {len(usual)} actions that this page knows."
    return gr.Textbox(
        label="Actions to look for, in your own words",
        info=info,
        placeholder=shown or "waving, sitting down, opening a door",
        lines=3,
        max_lines=8,
        max_length=service.limits.words * 60,
        elem_id=f"{name}-words",
    )


def buttons(service: Service, name: str, title: str) -> tuple[gr.Button, gr.Button]:
    """One that starts work, and one that stops it, which is there as long as something goes on."""
    with gr.Row(elem_classes="cl-buttons"):
        go = gr.Button(title, variant="primary", elem_id=f"{name}-go", scale=3)
        stop = gr.Button("Stop", variant="stop", elem_id=f"{name}-stop", visible=False, scale=1)

    def halt(request: gr.Request) -> None:
        visitor_of(service, request).stop()

    stop.click(halt, None, None, **NOW)
    return go, stop


def switched(goes_on: bool) -> tuple[Any, Any]:
    """Updates of the two buttons."""
    return gr.Button(interactive=not goes_on), gr.Button(visible=goes_on)


def clip_of(service: Service, visitor: Visitor, key: str, job: Job) -> Clip:
    """The clip that a page names; errors as of `Visitors.clip`."""
    job.check()
    return service.visitors.clip(visitor, key)


def uploaded_path(video: Any) -> str:
    """Where Gradio stored a file that a program uploaded: it hands on a dictionary."""
    path = video.get("path") if isinstance(video, dict) else video
    if not isinstance(path, str):
        raise ClaverError("a video is given as a file: handle_file(path) of gradio_client")
    return path


def for_programs(found: dict[str, Any]) -> dict[str, Any]:
    """A result whose video is its name: what has a `path`, gradio_client takes for a file that it is to download."""
    return {("video" if key == "path" else key): value for key, value in found.items()}
