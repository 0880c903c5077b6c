"""The tab *Recognise*: a clip, own words, bars with "none of these", and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr
from gradio.events import api

from claver.app.drawing import answer_card, hint, why_card
from claver.app.following import finished, followed
from claver.app.job import Job
from claver.app.parts import WORK, buttons, clip_input, clip_of, for_programs, switched, uploaded_path, words_box
from claver.app.service import Service
from claver.app.uploads import Visitor
from claver.inference.prediction import Prediction

_MOST_EXPLAINED = 12


def recognize_tab(service: Service) -> None:
    """Components of the tab, and what they do."""
    with gr.Row(equal_height=False, elem_classes="cl-columns"):
        with gr.Column(scale=5, min_width=320):
            clip = clip_input(service, "recognize")
            words = words_box(service, "recognize")
            go, stop = buttons(service, "recognize", "Recognise")
        with gr.Column(scale=7, min_width=320):
            answer = gr.HTML(hint("The answer comes here."), elem_id="recognize-answer")
            with gr.Column(visible=False, elem_id="recognize-explain") as asking:
                action = gr.Radio([], label="Why this score? Choose an action", elem_id="recognize-action")
                why_go = gr.Button("Show why", elem_id="recognize-why-go", size="md")
            why = gr.HTML("", elem_id="recognize-why")

    def on_recognize(key: str, given: str, request: gr.Request) -> Iterator[Any]:
        def work(visitor: Visitor, job: Job) -> Prediction:
            return service.recognize(clip_of(service, visitor, key, job), given, job)

        for state in followed(service, request, work):
            found: Prediction | None = state.result
            if found is None:
                yield state.html, gr.skip(), gr.Column(visible=False), "", *switched(state.goes_on)
                continue
            names = [one.action for one in found.top(_MOST_EXPLAINED)]
            choice = gr.Radio(choices=names, value=names[0])
            html = answer_card(found, damaged=str(found.damaged or ""))
            yield html, choice, gr.Column(visible=True), "", *switched(False)

    outputs = [answer, action, asking, why, go, stop]
    go.click(on_recognize, [clip.key, words], outputs, **WORK)
    words.submit(on_recognize, [clip.key, words], outputs, **WORK)

    def explain(key: str, given: str, chosen: str | None, request: gr.Request) -> Iterator[Any]:
        def work(visitor: Visitor, job: Job) -> Any:
            return service.explain(clip_of(service, visitor, key, job), given, chosen or "", job)

        for state in followed(service, request, work):
            yield state.html or why_card(state.result), *switched(state.goes_on)

    why_go.click(explain, [clip.key, words, action], [why, go, stop], **WORK)
    api(_endpoint(service), api_name="recognize", concurrency_id="work")


def _endpoint(service: Service) -> Any:
    def recognize(video: gr.FileData, words: str, request: gr.Request) -> dict[str, Any]:
        """Name the action in a video.

        Args:
            video: a file, uploaded by `handle_file`.
            words: actions, separated by commas; empty for those of the page.
            request: Gradio's.

        Returns:
            A dictionary with `top`, the actions with probability and score, best first; `unknown`, the probability that
            none applies; `none_of_these`, whether that is more probable than not; `seconds`, of the frames looked at.
        """

        def work(visitor: Visitor, job: Job) -> dict[str, Any]:
            clip = service.take_upload(visitor, uploaded_path(video), job)
            return for_programs(service.recognize(clip, words, job).to_dict())

        found: dict[str, Any] = finished(service, request, work)
        return found

    return recognize
