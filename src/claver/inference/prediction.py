"""What a recogniser answers: the ranked actions of one video."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from claver.errors import ClaverError, VideoError
from claver.plotting import new_figure, save_figure
from claver.terminal import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from claver.models import Claver
    from claver.video.damage import Damage


NONE = "none of these"
"""What is shown where none of the actions applies."""


class Answer(NamedTuple):
    """One action with its standing among all."""

    action: str
    probability: float
    score: float


class Ranked:
    """Actions with their scores, best first: what every answer of a recogniser has."""

    actions: tuple[str, ...]
    scores: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32]
    unknown: float | None

    def top(self, k: int = 5) -> list[Answer]:
        """The k best actions, best first, equal scores in the order of the actions; fewer if there are fewer.

        Raises:
            ClaverError: k below 1.
        """
        if k < 1:
            raise ClaverError(f"top needs a number of at least 1, not {k}")
        order = np.argsort(-self.scores, kind="stable")[:k]
        return [Answer(self.actions[c], float(self.probabilities[c]), float(self.scores[c])) for c in order]

    @property
    def action(self) -> str:
        """The best action."""
        return self.top(1)[0].action

    @property
    def none_of_these(self) -> bool:
        """Whether it is more probable than not that none of the actions applies; False where that is not known."""
        return self.unknown is not None and self.unknown > 0.5

    def _standing(self, k: int) -> dict[str, Any]:
        """Plain values of the k best actions, and of whether none applies."""
        top = [answer._asdict() for answer in self.top(k)]
        return {"top": top, "unknown": self.unknown, "none_of_these": self.none_of_these}


@dataclass(frozen=True)
class Prediction(Ranked):
    """The answer for one video.

    Attributes:
        source: what was recognised, a path or a word for what it was.
        actions: the C actions that competed.
        scores: Eq. 10 for each, [C]; the higher the better, comparable within one model.
        probabilities: [C], softmax of the scores: what is likely *if* one of the actions is what happens. Of models
            whose similarities have a bias, as SigLIP's, each is a sigmoid of its own: they do not add up to 1.
        frames: what the model saw of the video in view V // 2, uint8 [T, h, w, 3].
        seconds: when the frames of each view are shown, from the first frame of the video on, [V, T]; None where
            frames were given as an array.
        damaged: what is known to be wrong with the file or with these frames; None when nothing is.
        unknown: how probable it is that none of the actions applies, see `claver.inference.open_set`; None where they
            were not compared with others. It changes neither scores nor probabilities.
    """

    source: str
    actions: tuple[str, ...]
    scores: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32]
    frames: npt.NDArray[np.uint8] = field(repr=False)
    seconds: npt.NDArray[np.float64] | None = field(default=None, repr=False)
    damaged: Damage | None = None
    unknown: float | None = None

    def to_dict(self, k: int = 5) -> dict[str, Any]:
        """Plain values: the source, when the frames used are shown, what is damaged, the k best actions, and whether
        none of them applies.
        """
        seconds = None if self.seconds is None else np.unique(self.seconds.round(3)).tolist()
        damaged = None if self.damaged is None else self.damaged.to_dict()
        return {"path": self.source, "seconds": seconds, "damaged": damaged, **self._standing(k)}

    def plot(self, k: int = 5, path: str | Path | None = None) -> Figure:
        """The frames the model saw above bars of the k best actions (extra `explain`).

        Args:
            k: how many actions.
            path: where to write the picture, if anywhere; its suffix gives the format.
        """
        chosen = np.linspace(0, len(self.frames) - 1, min(8, len(self.frames))).round().astype(int)
        seen, answers = self.frames[chosen], self.top(k)
        lines = sum(len(textwrap.wrap(shown(answer.action), 40)) for answer in answers)
        height = 0.4 + 0.12 * len(answers) + 0.2 * lines
        figure = new_figure(1.4 * max(len(seen), 4), 1.4 + height)
        grid = figure.add_gridspec(2, len(seen), height_ratios=[1.4, height])
        for column, frame in enumerate(seen):
            axes = figure.add_subplot(grid[0, column])
            axes.imshow(frame)
            axes.axis("off")
        _draw_bars(figure.add_subplot(grid[1, :]), answers, len(self.actions))
        figure.suptitle("\n".join([shown(self.source), *self._none()]), fontsize="medium", parse_math=False)
        if path is not None:
            save_figure(figure, Path(path), dpi=150)
        return figure

    def _repr_html_(self) -> str:
        """The best actions as a small table for notebooks: no script, no link, whatever comes from outside escaped."""
        answers = self.top()
        scale = share_scale(answers[0].probability)
        rows = "".join(_html_row(answer, scale) for answer in answers)
        among = f"probability among {len(self.actions)} actions" + (f", bars end at {scale:.0%}" if scale < 1 else "")
        damage = f"<div>{escape(str(self.damaged))}</div>" if self.damaged else ""
        none = "".join(f"<div>{escape(line)}</div>" for line in self._none())
        about = f"<b>{escape(shown(self.source))}</b>{damage}{none}"
        return f"<div>{about}<table>{rows}</table><small>{among}</small></div>"

    def __str__(self) -> str:
        lines = [f"{answer.probability:6.1%}  {answer.action}" for answer in self.top()]
        marked = [] if self.damaged is None else [f"damaged: {self.damaged}"]
        none = [f"{self.unknown:6.1%}  {NONE}"] if self.none_of_these else []
        return "\n".join([self.source, *marked, *none, *lines])

    def _none(self) -> list[str]:
        """A line that none of the actions applies, where that wins."""
        return [] if self.unknown is None or not self.none_of_these else [f"{NONE}: {percent(self.unknown)}"]


def probabilities(scores_C: Tensor, model: Claver, source: str) -> Tensor:
    """What is likely *if* one of the actions is what happens, from the scores of Eq. 10 [..., C].

    Args:
        scores_C: of `TextBank.scores`.
        model: whose scores they are.
        source: what they are of, for the error.

    Raises:
        VideoError: the scores are not finite.
    """
    require_finite(scores_C, source, "the model", f"; its weights do not suit {model.dtype}")
    return model.probabilities(scores_C)


def require_finite(scores_C: Tensor, source: str, whose: str, why: str = "") -> None:
    """Check that scores are numbers.

    Raises:
        VideoError: they are not; one sentence.
    """
    if not bool(scores_C.isfinite().all()):
        raise VideoError(f"{source}: {whose} gives non-finite scores for it{why}")


def percent(share: float) -> str:
    """A share with as many digits as tell it from nothing and from all: 97%, 3.1%, 0.25%, 99.9%."""
    if 0.9995 <= share < 1:
        return ">99.9%"
    digits = 0 if 0.1 <= share < 0.99 or share == 1 else 1 if share >= 0.01 else 2
    return "<0.01%" if 0 < share < 0.00005 else f"{share:.{digits}%}"


def share_scale(greatest: float) -> float:
    """The share at which bars end: the least of 1, 2, 5, 10, 20, 50 and 100 % that holds the greatest share."""
    return next((scale for scale in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if greatest <= scale), 1.0)


def _draw_bars(axes: Any, answers: Sequence[Answer], count: int) -> None:
    """Bars on an axis that ends at `share_scale`, each with its number."""
    scale = share_scale(answers[0].probability)
    rows = range(len(answers))
    axes.barh(rows, [answer.probability for answer in answers], color="tab:blue")
    axes.set_yticks(rows, ["\n".join(textwrap.wrap(shown(answer.action), 40)) for answer in answers], parse_math=False)
    for row, answer in enumerate(answers):
        axes.annotate(
            percent(answer.probability),
            (answer.probability, row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            annotation_clip=False,
        )
    axes.set(xlim=(0, scale), xlabel=f"probability among {count} actions")
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g} %")
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)


def _html_row(answer: Answer, scale: float) -> str:
    width = f"width:{100 * answer.probability / scale:.1f}%;min-width:1px"
    fill = f'<div style="{width};height:0.8em;background:#7a1f7d"></div>'
    bar = f'<td style="width:12em"><div style="background:#8883;width:12em">{fill}</div></td>'
    name = f'<td style="text-align:left">{escape(shown(answer.action))}</td>'
    return f"<tr>{name}{bar}<td>{escape(percent(answer.probability))}</td></tr>"
