"""Calibration of "none of these" on labelled clips, by split-conformal prediction.

Of n clips in which one of the actions happens let r_1 ≤ … ≤ r_n be the best action's relative score (see
`claver.inference.open_set`). The threshold is r_k with k = ⌊alpha (n + 1)⌋, and a clip is rejected below it. If the
next such clip is exchangeable with these, its rank among the n + 1 is uniform, so that it is rejected with probability
k / (n + 1) ≤ alpha at most, whatever the model, averaged over the draw of the clips. Of one given set of clips the
share may be larger or smaller. Nothing is promised about clips in which none of the actions happens, nor about clips
from elsewhere than those that were given.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from claver.errors import ClaverError
from claver.files import write_whole
from claver.json_text import read_json, to_json
from claver.models.fingerprint import model_key

if TYPE_CHECKING:
    from claver.inference.encoder import VideoEncoder
    from claver.inference.open_set import OpenSet
    from claver.text.actions import Actions

_FORMAT = "claver calibration 1"


@dataclass(frozen=True)
class Conditions:
    """What a threshold holds for: another of these, and relative scores mean something else.

    Attributes:
        model: a digest of its weights, type and settings.
        actions: a digest of the actions and their texts.
        background: a digest of the names that they are compared with.
        frames: T, frames of each view.
        views: how often a video is looked at.
        preprocess: what is done to the pixels.
    """

    model: str
    actions: str
    background: str
    frames: int
    views: str
    preprocess: str

    @classmethod
    def of(cls, encoder: VideoEncoder, actions: Actions, open_set: OpenSet) -> Conditions:
        """What holds for a recogniser."""
        return cls(
            model_key(encoder.model, encoder.model.config),
            _digest([actions.names, actions.texts]),
            _digest(open_set.background.names),
            encoder.frames,
            str(encoder.views),
            _digest(str(encoder.preprocess)),
        )


_SAID = {
    "model": "another model, or the same in another type",
    "actions": "other actions, or other texts for them",
    "background": "another background, of another version of claver",
    "frames": "another number of frames",
    "views": "other views",
    "preprocess": "pixels prepared in another way",
}


@dataclass(frozen=True)
class Calibration:
    """A threshold, and what it holds for.

    Attributes:
        threshold: what the best action's relative score must reach, in logits.
        alpha: the share of clips of the actions that may be rejected.
        clips: how many clips it was chosen on.
        conditions: what it holds for.
    """

    threshold: float
    alpha: float
    clips: int
    conditions: Conditions

    def require(self, conditions: Conditions, name: str = "the calibration") -> None:
        """Check that it was made for what is there.

        Raises:
            ClaverError: it was made for another model, other actions, views, …
        """
        for key, said in _SAID.items():
            if getattr(self.conditions, key) != getattr(conditions, key):
                raise ClaverError(f"{name} was made for {said}; run `claver calibrate` with what is used now")

    def save(self, path: str | Path) -> None:
        """Write it as JSON; the file appears whole or not at all."""
        write_whole(Path(path), to_json({"format": _FORMAT, **asdict(self)}, indent=2, allow_nan=False))

    @classmethod
    def load(cls, path: str | Path) -> Calibration:
        """Read what `save` wrote.

        Raises:
            ClaverError: there is no such file, or it holds something else.
        """
        values = read_json(Path(path))
        try:
            if values.pop("format") != _FORMAT:
                raise ValueError
            found = cls(**values | {"conditions": Conditions(**values["conditions"])})
            return replace(found, threshold=_number(found.threshold), alpha=_number(found.alpha))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ClaverError(f"{path} is no calibration of this version; `claver calibrate` writes one") from None


def conformal_threshold(scores: Sequence[float], alpha: float) -> float:
    """The score below which a further, exchangeable one falls with probability at most alpha.

    Args:
        scores: n of them, the higher the better.
        alpha: between 0 and 1.

    Returns:
        The ⌊alpha (n + 1)⌋-th smallest.

    Raises:
        ClaverError: an alpha that is none, a score that is not finite, or too few of them for this alpha.
    """
    if not 0 < alpha < 1:
        raise ClaverError(f"alpha is a share between 0 and 1, not {alpha:g}")
    if not all(map(math.isfinite, scores)):
        raise ClaverError("a clip has a score that is not finite")
    rank = _rank(len(scores), alpha)
    if rank < 1:
        needed = math.ceil(1 / alpha - 1e-9) - 1
        raise ClaverError(
            f"alpha {alpha:g} needs at least {needed:,} clips of the actions, and there are {len(scores)}; "
            "give more clips or a larger alpha"
        )
    return float(sorted(scores)[rank - 1])


def _rank(count: int, alpha: float) -> int:
    """⌊alpha (n + 1)⌋, where 0.05 · 20 is 1, as it is written."""
    return math.floor(alpha * (count + 1) + 1e-9)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)


def _digest(values: object) -> str:
    return sha256(json.dumps(values).encode()).hexdigest()[:16]
