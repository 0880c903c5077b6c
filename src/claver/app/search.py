"""The tab *Search*: a query, the moments that fit, playing in place, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr
from gradio.events import api

from claver.app.drawing import hint, hit_card, hits_card, why_card
from claver.app.following import finished, followed
from claver.app.job import Job
from claver.app.parts import WORK, buttons, switched
from claver.app.service import Service
from claver.app.uploads import Visitor, display_name
from claver.errors import ClaverError
from claver.index import Hit

_MOST = 48


def search_tab(service: Service) -> None:
    """Components of the tab, and what they do."""
    query = gr.Textbox(
        label="What do you look for?",
        info="A sentence; several lines are several ways to say the same.",
        placeholder="someone enters a room",
        lines=2,
        max_length=4000,
        elem_id="search-query",
    )
    with gr.Row():
        without = gr.Textbox(
            label="But not", placeholder="someone leaves a room", max_length=1000, elem_id="search-without"
        )
        top = gr.Slider(1, _MOST, value=12, step=1, label="Moments at most", elem_id="search-top")
    go, stop = buttons(service, "search", "Search")
    found = gr.HTML(hint("The moments come here."), elem_id="search-found")
    with gr.Column(visible=False, elem_id="search-explain") as asking:
        moment = gr.Radio([], label="Why this moment? Choose one", elem_id="search-moment")
        why_go = gr.Button("Show why", elem_id="search-why-go")
    why = gr.HTML("", elem_id="search-why")

    def on_search(given: str, negative: str, most: float, request: gr.Request) -> Iterator[Any]:
        def work(visitor: Visitor, job: Job) -> tuple[Any, list[str]]:
            result = service.search(given, negative, int(most), job)
            service.forget_moments(visitor)
            visitor.kept["search"] = (given, result.hits)
            return result, [_card(service, visitor, number, hit) for number, hit in enumerate(result.hits, start=1)]

        for state in followed(service, request, work):
            if state.result is None:
                yield state.html, gr.skip(), gr.Column(visible=False), "", *switched(state.goes_on)
                continue
            result, cards = state.result
            names = [(f"{number}. {display_name(hit.path)}", number) for number, hit in enumerate(result.hits, start=1)]
            choice = gr.Radio(choices=names, value=1 if names else None)
            yield hits_card(cards, result.fits), choice, gr.Column(visible=bool(names)), "", *switched(False)

    outputs = [found, moment, asking, why, go, stop]
    go.click(on_search, [query, without, top], outputs, **WORK)
    query.submit(on_search, [query, without, top], outputs, **WORK)

    def explain(number: int | None, request: gr.Request) -> Iterator[Any]:
        def work(visitor: Visitor, job: Job) -> Any:
            given, hits = visitor.kept.get("search", ("", ()))
            if number is None or not 1 <= number <= len(hits):
                raise ClaverError("choose one of the moments that were found")
            hit = hits[number - 1]
            return service.explain_moment(hit.path, hit.start, hit.stop, given, job)

        for state in followed(service, request, work):
            yield state.html or why_card(state.result), *switched(state.goes_on)

    why_go.click(explain, moment, [why, go, stop], **WORK)
    api(_endpoint(service), api_name="search", concurrency_id="work")


def _card(service: Service, visitor: Visitor, number: int, hit: Hit) -> str:
    address = picture = None
    if service.may_play(hit.path):
        address = service.moment_address(visitor, hit.path, hit.start, hit.stop)
        picture = service.picture_address(visitor, hit.path, hit.best)
    return hit_card(number, hit, display_name(hit.path), address, picture)


def _endpoint(service: Service) -> Any:
    def search(query: str, without: str, top: int, request: gr.Request) -> dict[str, Any]:
        """Find moments of the index.

        Args:
            query: texts of one meaning, a line each.
            without: what the moments are not to show; may be empty.
            top: how many at most.
            request: Gradio's.

        Returns:
            A dictionary with `hits`, each with `video` (a name), `start`, `stop` and `score`, best first, and
            `fits`, whether anything stands out.
        """

        def work(visitor: Visitor, job: Job) -> dict[str, Any]:
            result = service.search(query, without, max(1, min(int(top), _MOST)), job)
            hits = [
                {"video": display_name(hit.path), "start": hit.start, "stop": hit.stop, "score": hit.score}
                for hit in result.hits
            ]
            return {"hits": hits, "fits": result.fits}

        found: dict[str, Any] = finished(service, request, work)
        return found

    return search
