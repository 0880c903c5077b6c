"""Appendix F, Fig. 9: the texts that fit a clip best, whatever the clip and whatever the texts."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from claver.data.action_files import read_action_file
from claver.errors import ClaverError
from claver.models.fingerprint import weights_identity
from claver.plotting import new_figure, save_figure
from claver.studies.drawing import INK, OURS, PALE, PAPER
from claver.studies.study import Figures, Options, Record, Settings, Study
from claver.studies.table import Table

SHOWN = 5
"""Texts in the picture, as in Fig. 9."""
_FRAMES = 8


def check(options: Options) -> None:
    """Raise `ClaverError` if there is no model, no clip, or no text."""
    clip, texts = map(Path, options.arguments)
    if options.model is None:
        raise ClaverError("the study texts needs --model, such as runs/quickstart/kmct or a CLIP model")
    if not clip.is_file():
        raise ClaverError(f"there is no clip {clip}")
    if not read_action_file(texts):
        raise ClaverError(f"{texts} holds no text; write one a line")


def runs(options: Options) -> list[Settings]:
    """One: this clip and these texts, which count by their contents."""
    clip, texts = map(Path, options.arguments)
    digest = sha256(clip.read_bytes() + texts.read_bytes()).hexdigest()[:12]
    model, weights = options.model, weights_identity(options.model or "")
    return [{"clip": str(clip), "texts": str(texts), "contents": digest, "model": model, "weights": weights, "seed": 0}]


def run(settings: Settings, cache: Path) -> Figures:
    """Score every text, each as it stands."""
    from claver.inference.recognizer import Recognizer

    texts = {text: [text] for text in read_action_file(Path(settings["texts"]))}
    answers = Recognizer(settings["model"], texts, unknown=False)(settings["clip"]).top(len(texts))
    return {
        "text": [answer.action for answer in answers],
        "probability": [answer.probability for answer in answers],
        "score": [answer.score for answer in answers],
    }


def table(records: Sequence[Record]) -> Table:
    """All texts, the best first."""
    settings, figures = records[0]
    ranked = zip(figures["text"], figures["probability"], figures["score"], strict=True)
    return Table(
        f"Texts of {Path(settings['texts']).name} by how well they fit {Path(settings['clip']).name}",
        ("rank", "text", "probability %", "score"),
        [[rank, text, 100 * share, score] for rank, (text, share, score) in enumerate(ranked, 1)],
        note="Probability: if one of these texts is right. Score: scaled cosine (Eq. 3).",
    )


def draw(records: Sequence[Record], path: Path) -> None:
    """Frames of the clip above, bars of the best texts below."""
    settings, figures = records[0]
    frames = _frames(settings["clip"])
    texts, shares = figures["text"][:SHOWN], figures["probability"][:SHOWN]
    figure = new_figure(10, 1.75 + 0.52 * len(texts))
    pictures, below = figure.subfigures(2, 1, height_ratios=[1.35, 0.4 + 0.52 * len(texts)])
    for axes, frame in zip(pictures.subplots(1, len(frames)), frames, strict=True):
        axes.imshow(frame)
        axes.set_axis_off()
    _draw_bars(below.subplots(), texts, shares)
    save_figure(figure, path)


def _frames(clip: str) -> NDArray[np.uint8]:
    """Eight evenly spaced frames [T, h, w, 3], the centre square of each."""
    from claver.video import load_views

    found: Any = load_views(clip, frames=_FRAMES, normalized=False)[0]
    return np.asarray(found.permute(0, 2, 3, 1).numpy(), dtype=np.uint8)


def _draw_bars(axes: Any, texts: Sequence[str], shares: Sequence[float]) -> None:
    """Each text above its bar, so that texts of any length have room."""
    for place, (text, share) in enumerate(zip(texts, shares, strict=True)):
        axes.barh(place, 1, height=0.26, color="#f4f4f5")
        axes.barh(place, share, height=0.26, color=OURS if place == 0 else PAPER, edgecolor=INK, linewidth=0.6)
        style = {"fontsize": 10, "parse_math": False, "color": INK if place == 0 else PALE, "va": "bottom"}
        axes.text(0, place - 0.2, text, ha="left", **style)
        axes.text(1, place - 0.2, f"{share:.1%}", ha="right", **style)
    axes.set(xlim=(-0.01, 1.01), ylim=(len(texts) - 0.75, -0.75))
    axes.set_axis_off()


STUDY = Study(
    "texts", "The most fitting texts", "Fig. 9", runs, run, table, draw, arguments=("CLIP", "TEXTS"), check=check
)
