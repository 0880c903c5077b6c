"""The tab *Live*: the camera of the visitor's browser, an answer after every frame."""

from __future__ import annotations

import time
from base64 import b64decode
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from threading import Lock
from typing import Any

import gradio as gr
import numpy as np
import numpy.typing as npt

from claver.app.drawing import answer_card, card, error_card, hint
from claver.app.following import sentence, visitor_of
from claver.app.job import Job
from claver.app.parts import HIDDEN, camera_options, words_box
from claver.app.service import Service
from claver.app.uploads import Visitor
from claver.explain.render.markup import text
from claver.inference.live import LiveRecognizer, Moment

FPS = 4.0
_MOST_SECONDS = 900
"""After so long a camera must be started anew, so that nobody holds a place for ever."""
_MOST_CAMERAS = 8
_PAUSE = 2.0
"""Seconds without a frame after which what comes is another clip."""


@dataclass
class Stream:
    """The stream of one visitor.

    Attributes:
        words: what is looked for.
        live: answers, and remembers no more frames than an answer uses.
    """

    words: str
    live: LiveRecognizer
    lock: Lock = field(default_factory=Lock)
    began: float = field(default_factory=time.monotonic)
    last: float = 0.0

    def push(self, frame: npt.NDArray[np.uint8]) -> Moment:
        """The answer after one more frame, as of its arrival."""
        with self.lock:
            seconds = time.monotonic() - self.began
            if seconds - self.last > _PAUSE:
                self.live.reset()
            self.last = seconds
            return self.live.push(frame, seconds)


def decoded(payload: Any, most: int) -> npt.NDArray[np.uint8] | str | None:
    """A frame as the page sends it, a picture within the request.

    Gradio would open whatever kind of picture it is, however large.

    Args:
        payload: of Gradio's request.
        most: pixels that it may have.

    Returns:
        RGB uint8 [H, W, 3]; a sentence where it cannot be used; None where there is none.
    """
    from PIL import Image

    if payload is None:
        return None
    kind, _, content = str(getattr(payload, "url", "")).partition(";base64,")
    if kind not in ("data:image/jpeg", "data:image/png", "data:image/webp"):
        return "frames of a camera are pictures in JPEG, PNG or WebP"
    try:
        with Image.open(BytesIO(b64decode(content)), formats=("JPEG", "PNG", "WEBP")) as picture:
            if picture.width * picture.height > most:
                return f"the camera's frames have more than the {most:,} pixels that are taken here"
            return np.asarray(picture.convert("RGB"))
    except Exception:  # Pillow raises all kinds of errors at what is damaged
        return "a frame of the camera is damaged"


def stream_of(service: Service, visitor: Visitor, words: str) -> Stream:
    """The visitor's stream, a new one where other words are looked for."""
    found = visitor.kept.get("live")
    if not isinstance(found, Stream) or found.words != words:
        found = Stream(words, LiveRecognizer(service.recognizers.of(words, Job()), fps=FPS))
        visitor.kept["live"] = found
    return found


def live_tab(service: Service) -> None:
    """Components of the tab, and what they do."""
    with gr.Row(equal_height=False, elem_classes="cl-columns"):
        with gr.Column(scale=6, min_width=320):
            camera = gr.Image(
                label="Camera",
                sources=["webcam"],
                streaming=True,
                type="numpy",
                webcam_options=camera_options(),
                height=380,
                elem_id="live-camera",
                buttons=[],
            )
            camera.preprocess = partial(decoded, most=service.limits.pixels)  # type: ignore[method-assign]
            words = words_box(service, "live")
        with gr.Column(scale=6, min_width=320):
            answer = gr.HTML(
                hint("Allow the camera and start it: the answer changes with every frame."), elem_id="live-answer"
            )

    def live(frame: npt.NDArray[np.uint8] | str | None, given: str, request: gr.Request) -> Any:
        if frame is None:
            return gr.skip()
        if isinstance(frame, str):
            return error_card(frame)
        try:
            moment = stream_of(service, visitor_of(service, request), given).push(frame)
        except Exception as error:
            return error_card(sentence(error))
        return answer_card(moment, live=True) + _facts(moment)

    limits: dict[str, Any] = {"time_limit": _MOST_SECONDS, "concurrency_limit": _MOST_CAMERAS, "concurrency_id": "live"}
    camera.stream(live, [camera, words], answer, stream_every=1 / FPS, **limits, **HIDDEN)


def _facts(moment: Moment) -> str:
    span = moment.seconds - moment.since
    told = f"From {moment.frames} frames of the last {span:.1f} s; computed in {1000 * moment.latency:.0f} ms."
    return card(text("p", told, cls="cl-small"), cls="cl-note")
