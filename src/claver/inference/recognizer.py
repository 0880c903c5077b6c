"""The user's object: actions encoded once, then video after video answered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from claver.data.clips import Place
from claver.errors import ClaverError, VideoError
from claver.inference.prediction import Answer, Prediction
from claver.models import Claver, load
from claver.models.checkpoint.loading import PreprocessChoice
from claver.text.actions import Actions
from claver.text.encoding import Progress
from claver.text.selection import Named, own_actions, read_actions
from claver.text.templates import DEFAULT_TEMPLATES
from claver.text.text_bank import TextBank
from claver.video import Damage, Preprocess, VideoViews, read_views
from claver.video.damage import OnDamage, checked_on_damage
from claver.video.prefetch import DECODE_TIMEOUT, load_ahead
from claver.video.transforms import normalize

__all__ = ["Answer", "Failure", "Prediction", "Recognizer", "Views"]


@dataclass(frozen=True)
class Views:
    """How often a video is looked at: `temporal` clips of it, `crops` squares of each frame (1 or 3)."""

    temporal: int = 1
    crops: Literal[1, 3] = 1

    @classmethod
    def parse(cls, text: str) -> Views:
        """From `4x3` (the paper's test: 4 clips, 3 crops) or `1x1`.

        Raises:
            ClaverError: another form, or crops other than 1 and 3.
        """
        match = re.fullmatch(r"([1-9]\d?)[x×]([13])", text.strip())
        if match is None:
            raise ClaverError(f"views must be clips x crops with 1 or 3 crops, such as 4x3 or 1x1, not {text!r}")
        return cls(int(match[1]), 3 if match[2] == "3" else 1)

    def __str__(self) -> str:
        return f"{self.temporal}x{self.crops}"


@dataclass(frozen=True)
class Failure:
    """A video without an answer.

    Attributes:
        source: a path or a word for what it was.
        error: why there is no answer, in a sentence.
        by_model: the model's scores for it are not finite; otherwise the video could not be read, or is damaged.
        damaged: what is wrong with it, where it was damage that forbade an answer.
        skipped: it was left out as was asked for, and counts as no error.
    """

    source: str
    error: str
    by_model: bool = False
    damaged: Damage | None = None
    skipped: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        damaged = {} if self.damaged is None else {"damaged": self.damaged.to_dict()}
        return {"path": self.source, "skipped" if self.skipped else "error": self.error, **damaged}


Loaded = tuple[str, VideoViews | Failure]


class Recognizer:
    """Names the action in videos.

    The texts of the actions are encoded when it is made; each video then costs the video towers alone.

        >>> recognizer = Recognizer("openai/clip-vit-base-patch16", ["juggling", "knitting", "playing chess"])
        >>> print(recognizer("clip.mp4").top(3))
    """

    def __init__(
        self,
        model: Claver | str | Path,
        actions: str | Path | Sequence[Named] | Mapping[str, Sequence[str]] | Actions | None = None,
        *,
        texts: str | Path | None = None,
        templates: Sequence[str] = DEFAULT_TEMPLATES,
        views: Views | str | None = None,
        frames: int | None = None,
        preprocess: PreprocessChoice | Preprocess | None = None,
        damaged: OnDamage = "answer",
        cache: Path | bool | None = True,
        progress: Progress = lambda done, total: None,
    ) -> None:
        """Encode the actions' texts.

        Args:
            model: a model, or what `claver.load` takes.
            actions: what `claver.text.read_actions` takes: a benchmark's name, a file, a list of names or
                of pairs `(name, texts)`, a mapping to texts; if None, those that the model was trained on, with their
                texts, frames and views.
            texts: which texts, as in `claver.text.texts_for`; if None, those that come with the actions.
            templates: forms for actions that come without texts.
            views: `4x3` is the paper's test; `1x1`, the usual, a twelfth of its cost.
            frames: T, frames of each view; the model's own number if None.
            preprocess: what is done to the pixels, as in `claver.load`; of a model that is loaded already, settings.
            damaged: what to do with a damaged video: `answer`, and mark the answer; `skip` it; or `fail`. One of which
                all frames used are damaged is never answered.
            cache: where the texts' vectors are kept: True the usual folder, or another, or False for nowhere.
            progress: called with the number of texts encoded so far, and of all that are to be.

        Raises:
            ClaverError: no actions, neither given nor the model's own; or as `read_actions`.
        """
        if isinstance(model, Claver) and isinstance(preprocess, str):
            raise ClaverError(f"the model is loaded already: give preprocess={preprocess!r} to claver.load")
        self.model = model if isinstance(model, Claver) else load(model, preprocess=preprocess)
        self.preprocess = preprocess if isinstance(preprocess, Preprocess) else self.model.config.preprocess
        if self.preprocess.size != (size := self.model.config.image.size):
            raise ClaverError(f"preprocess gives pictures of {self.preprocess.size} pixels, but the model takes {size}")
        learned = self.model.learned if actions is None else None
        looks = views or (learned.views if learned else Views())
        self.views = looks if isinstance(looks, Views) else Views.parse(looks)
        self.frames = frames or (learned.frames if learned else self.model.config.temporal.frames)
        self.damaged = checked_on_damage(damaged)
        chosen = read_actions(own_actions(self.model) if actions is None else actions, texts=texts, templates=templates)
        self.bank = TextBank.encode(self.model, chosen, cache=cache, progress=progress)

    @property
    def actions(self) -> tuple[str, ...]:
        """The actions that compete."""
        return self.bank.actions.names

    def __call__(self, source: Any) -> Prediction:
        """Recognise one video.

        Args:
            source: a path, the bytes of a file, an open binary stream, or frames: uint8 [T, H, W, 3], grey [T, H, W] or
                [T, H, W, 1], RGBA [T, H, W, 4], whose alpha is left out, or a list of frames or PIL images of one size.

        Raises:
            VideoError: it cannot be read, it is damaged and not to be answered, or the model's scores for it are not
                finite.
        """
        name = str(source) if isinstance(source, str | Path) else str(getattr(source, "name", type(source).__name__))
        views = self._admitted(name, self._load(source), self.damaged)
        if isinstance(views, Failure):
            raise VideoError(views.error)
        return self._predict(name, views, self._encode(views.pixels, len(views.pixels)))

    def stream(
        self,
        paths: Iterable[str | Path | Place],
        *,
        batch_size: int = 8,
        workers: int = 0,
        decode_timeout: float | None = DECODE_TIMEOUT,
        damaged: OnDamage | None = None,
    ) -> Iterator[Prediction | Failure]:
        """Recognise many files, in order, going on past those that cannot be read.

        Args:
            paths: the files, or the places of clips such as those of shards.
            batch_size: views the towers take at once, across files; answers do not depend on it.
            workers: processes that decode ahead while the model computes. They are spawned, so a script that asks
                for them needs the usual `if __name__ == "__main__":`.
            decode_timeout: seconds after which a worker gives a file up, None for never; it needs workers.
        """
        waiting: list[Loaded] = []
        on_damage = checked_on_damage(damaged or self.damaged)
        preprocess, threads = self.preprocess, 1 if workers else 0
        load_one = partial(_load_views, frames=self.frames, views=self.views, preprocess=preprocess, threads=threads)
        places = (path if isinstance(path, Place) else Place(str(path), str(path)) for path in paths)
        for place, result in load_ahead(places, load_one, workers=workers, timeout=decode_timeout):
            loaded = result if isinstance(result, VideoError) else result.unpacked()
            waiting.append((place.name, self._admitted(place.name, loaded, on_damage)))
            if sum(len(views.pixels) for _, views in waiting if isinstance(views, VideoViews)) >= batch_size:
                yield from self._answer(waiting, batch_size)
                waiting = []
        yield from self._answer(waiting, batch_size)

    def _answer(self, waiting: list[Loaded], batch_size: int) -> Iterator[Prediction | Failure]:
        loaded = [views.pixels for _, views in waiting if isinstance(views, VideoViews)]
        encoded: Iterator[Tensor] = iter(())
        if loaded:
            encoded = iter(self._encode(torch.cat(loaded), batch_size).split([len(pixels) for pixels in loaded]))
        for path, views in waiting:
            if isinstance(views, Failure):
                yield views
                continue
            frames = next(encoded)
            try:
                prediction = self._predict(path, views, frames)
            except VideoError as error:
                yield Failure(path, str(error), by_model=True)
            else:
                yield prediction

    @staticmethod
    def _admitted(name: str, views: VideoViews | VideoError, on_damage: OnDamage) -> VideoViews | Failure:
        """The views, if there may be an answer."""
        if isinstance(views, VideoError):
            return Failure(name, str(views))
        if views.damage is None or not views.damage.forbids(on_damage):
            return views
        skipped = on_damage == "skip"
        why = f"{name}: it is damaged ({views.damage}) and {'was skipped' if skipped else 'not answered'}."
        return Failure(name, why, damaged=views.damage, skipped=skipped)

    def _load(self, source: Any) -> VideoViews:
        return read_views(
            source,
            frames=self.frames,
            temporal_views=self.views.temporal,
            crops=self.views.crops,
            preprocess=self.preprocess,
            normalized=False,
        )

    @torch.inference_mode()
    def _encode(self, views_VTCHW: Tensor, batch_size: int) -> Tensor:
        """Views as bytes [V, T, 3, h, w] to frame embeddings [V, T, E]."""
        preprocess = self.preprocess
        parts = (part.to(self.model.device) for part in views_VTCHW.split(batch_size))
        pixels = (normalize(part, preprocess.mean, preprocess.std) for part in parts)
        return torch.cat([self.model.encode_video(part).float() for part in pixels])

    @torch.inference_mode()
    def _predict(self, name: str, views: VideoViews, frames_VTE: Tensor) -> Prediction:
        aggregate = self.model.config.aggregate
        scores = self.bank.scores(frames_VTE, self.model.scale, aggregate)
        if not bool(scores.isfinite().all()):
            raise VideoError(
                f"{name}: the model gives non-finite scores for it; its weights do not suit {self.model.dtype}"
            )
        # The released score is a sum of softmaxes already: dividing by its total makes it a distribution.
        probabilities = scores.softmax(0) if aggregate == "paper" else scores / scores.sum()
        seen = views.pixels[len(views.pixels) // 2].permute(0, 2, 3, 1).cpu().numpy()
        found = (scores.cpu().numpy(), probabilities.cpu().numpy(), seen)
        return Prediction(name, self.actions, *found, seconds=views.seconds, damaged=views.damage)

    def __repr__(self) -> str:
        return f"Recognizer({len(self.actions)} actions, {self.frames} frames, views {self.views})"


@dataclass(frozen=True)
class _Packed:
    """Views on their way from a worker: an array, unlike a tensor, needs no open file handle to change process."""

    pixels: npt.NDArray[np.uint8]
    seconds: npt.NDArray[np.float64] | None
    damage: Damage | None

    def unpacked(self) -> VideoViews:
        return VideoViews(torch.from_numpy(self.pixels), self.seconds, self.damage)


def _load_views(place: Place, *, frames: int, views: Views, preprocess: Preprocess, threads: int) -> _Packed:
    """What a worker does for one file. Bytes are a quarter of normalised floats."""
    settings: dict[str, Any] = {"temporal_views": views.temporal, "crops": views.crops, "threads": threads}
    with place.named():
        read = read_views(place.source(), frames=frames, preprocess=preprocess, normalized=False, **settings)
    return _Packed(read.pixels.numpy(), read.seconds, read.damage)
