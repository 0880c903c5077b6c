"""The page: its head, its tabs, its looks."""

from __future__ import annotations

from importlib import resources
from typing import Any

import gradio as gr

from claver import __version__
from claver.app.live import live_tab
from claver.app.recognize import recognize_tab
from claver.app.search import search_tab
from claver.app.service import Service
from claver.app.timeline import timeline_tab
from claver.explain.render.markup import tag, text
from claver.models.config import ClaverConfig
from claver.terminal import shown

_TITLE = "claver"
_CANNOT = (
    "It compares pictures with words. It has no idea of people, intentions or facts: it can be wrong with a high "
    "percentage, above all about small, fast or rare movements, and about words that it has learned little of.",
    "A percentage tells how clearly an answer stands out from the other words you gave, not how often it is right.",
    "Do not decide about people by it.",
)


def build(service: Service) -> gr.Blocks:
    """The page as Gradio's blocks."""
    with gr.Blocks(title=_TITLE, analytics_enabled=False, delete_cache=(60, 60), fill_width=True) as blocks:
        gr.HTML(_head(service), elem_id="claver-head")
        with gr.Tabs(elem_id="claver-tabs"):
            with gr.Tab("Recognise", id="recognize"):
                recognize_tab(service)
            with gr.Tab("Time line", id="timeline"):
                timeline_tab(service)
            if service.index is not None:
                with gr.Tab("Search", id="search"):
                    search_tab(service)
            with gr.Tab("Live", id="live"):
                live_tab(service)
        gr.HTML(_about(service), elem_id="claver-about")

        def leave(request: gr.Request) -> None:
            service.visitors.leave(str(request.session_hash))

        blocks.unload(leave)
    blocks.queue(max_size=64, default_concurrency_limit=4, api_open=False)
    return blocks


def looks() -> dict[str, Any]:
    """Theme, styles and scripts; all of it from the package, with fonts of the system."""
    fonts = [gr.themes.Font(name) for name in ("system-ui", "-apple-system", "Segoe UI", "DejaVu Sans", "sans-serif")]
    mono = [gr.themes.Font(name) for name in ("ui-monospace", "DejaVu Sans Mono", "monospace")]
    theme: gr.themes.Base = gr.themes.Soft(
        primary_hue="purple", secondary_hue="purple", neutral_hue="zinc", font=fonts, font_mono=mono
    )
    script = tag("script", "\n" + _part("page.js"))
    accent, accent_dark = "#7a1f7d", "#e08be0"
    theme = theme.set(
        body_text_color_subdued="#5d5a68",
        body_text_color_subdued_dark="#a9a5b7",
        block_info_text_color="#5d5a68",
        block_info_text_color_dark="#a9a5b7",
        input_placeholder_color="#77738a",
        input_placeholder_color_dark="#8a869c",
        block_label_text_color=accent,
        block_label_text_color_dark=accent_dark,
        block_title_background_fill="transparent",
        block_title_background_fill_dark="transparent",
        block_title_padding="0",
        block_title_border_width="0px",
        block_label_background_fill="*block_background_fill",
        block_label_background_fill_dark="*block_background_fill",
        button_secondary_background_fill_dark="*neutral_700",
        button_secondary_background_fill_hover_dark="*neutral_600",
        checkbox_label_background_fill_selected=accent,
        checkbox_label_background_fill_selected_dark="#8f2a92",
        slider_color=accent,
        slider_color_dark=accent_dark,
        block_title_text_color=accent,
        block_title_text_color_dark=accent_dark,
        button_primary_background_fill=accent,
        button_primary_background_fill_hover="#8f2a92",
        button_primary_background_fill_dark="#8f2a92",
        button_primary_background_fill_hover_dark="#a33aa6",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
    )
    return {"theme": theme, "css": _part("page.css"), "head": script}


def _part(name: str) -> str:
    return resources.files("claver.app").joinpath(name).read_text(encoding="utf-8")


def _head(service: Service) -> str:
    model = shown(service.model_name)
    lead = "Which of your words names what happens in a video? Your videos stay on the machine that runs this page."
    theme = text("button", "Light or dark", type="button", cls="cl-theme", data_theme="toggle")
    title = tag("div", [text("h1", _TITLE), theme], cls="cl-title")
    return tag("header", [title, text("p", lead), text("p", f"Model: {model}", cls="cl-small")], cls="cl-head")


def _about(service: Service) -> str:
    limits = service.limits
    bounds = (
        f"Videos of up to {limits.upload_bytes / 2**20:.0f} MB and {limits.seconds / 60:g} minutes are taken. They are "
        "deleted when you close the page, or choose a few others."
    )
    items = [text("li", line) for line in (_described(service.model.config), *_CANNOT, bounds)]
    details = tag("details", [text("summary", "What the model is, and what it cannot do"), tag("ul", items)])
    return tag("footer", [details, text("p", f"claver {__version__}", cls="cl-small")], cls="cl-about")


_KINDS = {
    "kmt": "every frame is compared with all others (KMTA)",
    "kmct": "every frame is compared with those before it (KMCTA)",
    "mean": "frames are looked at one by one, and their order is not seen",
}


def _described(config: ClaverConfig) -> str:
    """What the model is, in two sentences."""
    joined = _KINDS.get(config.temporal.kind, f"frames are joined by {config.temporal.kind} attention")
    return (
        f"The model looks at {config.temporal.frames} frames of {config.image.size} pixels, spread over the clip; "
        f"{joined}. Nobody hears the sound."
    )
