"""The profile of a model: what it has, what a clip and its texts cost, what the levers save, what the paper prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from claver.errors import ClaverError
from claver.models import SIZES, ClaverConfig
from claver.profile.counting import KINDS, PARTS, Counts, count, fake_model, parameters, plain_texts, random_video
from claver.profile.paper import paper_count, printed
from claver.profile.reference import text_steps, video_steps


@dataclass(frozen=True)
class Profile:
    """What a model costs, counted without running it.

    Attributes:
        config: the model's sizes; its number of frames is that of the clip.
        texts: how many texts were counted, and of how many `text_tokens` each.
        parameters: by part and kind.
        video: multiply-adds of one view of a clip, everything computed first, then one lever more in each step.
        text: the same of all texts.
        paper: one view as the paper counts, in multiply-adds.
        printed: what its Table 1 prints for this size, in units of 10⁹; None if it has no such row.
    """

    config: ClaverConfig
    texts: int
    text_tokens: int
    parameters: Counts
    video: tuple[tuple[str, Counts], ...]
    text: tuple[tuple[str, Counts], ...]
    paper: int
    printed: float | None

    @property
    def usual(self) -> Counts:
        """Multiply-adds of one view and all texts, everything computed."""
        return self.video[0][1] + self.text[0][1]

    @property
    def ours(self) -> Counts:
        """Multiply-adds of one view and all texts, as the model runs them on a CPU."""
        return self.video[-1][1] + self.text[-1][1]

    @property
    def size(self) -> str | None:
        """Which of the paper's sizes it is, if any."""
        return next((name for name, known in SIZES.items() if known.image == self.config.image), None)

    def saved(self, views: int = 1) -> list[tuple[str, int]]:
        """Multiply-adds that each lever leaves out of the texts and so many views; levers without effect are not in."""
        optimizations = [(name, views * less) for name, less in _savings(self.video)] + _savings(self.text)
        return [(name, less) for name, less in optimizations if less]

    def to_dict(self, views: int = 1) -> dict[str, Any]:
        """Plain values, for JSON; multiply-adds and parameters are whole numbers."""
        names = {"frames": self.config.temporal.frames, "texts": self.texts, "text_tokens": self.text_tokens}
        video, text = ((rows[0][1].total(), rows[-1][1].total()) for rows in (self.video, self.text))
        return {
            "size": self.size,
            "temporal": self.config.temporal.kind,
            **names,
            "views": views,
            "parameters": _nested(self.parameters),
            "multiply_adds": {"usual": _nested(self.usual), "ours": _nested(self.ours)},
            "per_view": {"usual": video[0], "ours": video[1]},
            "all_views": {"usual": views * video[0], "ours": views * video[1]},
            "all_texts": {"usual": text[0], "ours": text[1]},
            "saved": dict(self.saved(views)),
            "paper": {"counted_as_printed": self.paper, "printed_giga": self.printed},
            "uncounted": self.ours.uncounted | self.usual.uncounted,
        }


def profile(config: ClaverConfig, *, frames: int | None = None, texts: int = 1, text_tokens: int = 12) -> Profile:
    """Count a model's parameters and multiply-adds, with shapes alone: seconds for every size.

    Args:
        config: the model's sizes.
        frames: T of a view; the config's own if None.
        texts: how many texts are encoded.
        text_tokens: length of each, its start and end included.

    Raises:
        ClaverError: a text that cannot be so long, no text, no frame.
    """
    _check(config, texts, text_tokens)
    temporal = config.temporal
    model = fake_model(config.with_temporal(temporal.kind, frames, temporal.layers))
    video = video_steps(model, random_video(model, 1, model.config.temporal.frames))
    tokens_CL = plain_texts(model, texts, text_tokens)
    text = text_steps(model, tokens_CL)
    counted = tuple((step.name, count(model, step.run)) for step in video)
    return Profile(
        model.config,
        texts,
        tokens_CL.shape[1],
        parameters(model),
        counted,
        tuple((step.name, count(model, step.run, outside="text")) for step in text),
        paper_count(model, counted[0][1]),
        printed(model.config),
    )


def _check(config: ClaverConfig, texts: int, text_tokens: int) -> None:
    if texts < 1:
        raise ClaverError(f"texts must be at least 1, not {texts}")
    if not 2 <= text_tokens <= config.text.context:
        raise ClaverError(
            f"a text has from 2 to {config.text.context} tokens with its start and end, not {text_tokens}"
        )


def _savings(rows: Sequence[tuple[str, Counts]]) -> list[tuple[str, int]]:
    return [(name, before.total() - after.total()) for (_, before), (name, after) in pairwise(rows)]


def _nested(counts: Counts) -> dict[str, Any]:
    nested: dict[str, Any] = {"total": counts.total()}
    for part in PARTS:
        if counts.total(part):
            kinds = {kind: counts.of[part, kind] for kind in KINDS if (part, kind) in counts.of}
            nested[part] = {"total": counts.total(part), **kinds}
    return nested
