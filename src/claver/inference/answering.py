"""What everything has in common that answers videos: a `Recognizer`, and a `Peer`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from claver.data.clips import ClipLocation
from claver.errors import VideoError
from claver.inference.encoder import Failure, VideoEmbedding, ViewEncoder
from claver.inference.prediction import Prediction
from claver.inference.views import Views
from claver.text.actions import Actions
from claver.video import Preprocess
from claver.video.damage import OnDamage
from claver.video.prefetch import DECODE_TIMEOUT
from claver.video.views import VideoLike


class Answering(ABC):
    """Encodes videos, each in the same views, and says which of its actions they show.

    Attributes:
        encoder: from videos to embeddings.
    """

    encoder: ViewEncoder

    @property
    @abstractmethod
    def texts(self) -> Actions:
        """The actions with their texts."""

    @property
    @abstractmethod
    def relative(self) -> bool:
        """Whether an action's score depends on its competitors."""

    @abstractmethod
    def predict(self, video: VideoEmbedding) -> Prediction:
        """The answer for a video that is encoded already.

        Raises:
            VideoError: the scores are not finite.
        """

    @property
    def actions(self) -> tuple[str, ...]:
        """The actions that compete."""
        return self.texts.names

    @property
    def views(self) -> Views:
        """Clips and crops of each video."""
        return self.encoder.views

    @property
    def frames(self) -> int:
        """T, frames of each view."""
        return self.encoder.frames

    @property
    def preprocess(self) -> Preprocess:
        """What is done to the pixels."""
        return self.encoder.preprocess

    def __call__(self, source: VideoLike) -> Prediction:
        """Recognise one video.

        Args:
            source: what `VideoEncoder` takes: a path, bytes, an open binary stream, or frames.

        Raises:
            VideoError: it cannot be read, it is damaged and not to be answered, or the model's scores for it are not
                finite.
        """
        return self.predict(self.encoder(source))

    def stream(
        self,
        paths: Iterable[str | Path | ClipLocation],
        *,
        batch_size: int = 8,
        workers: int = 0,
        threads: int = 0,
        decode_timeout: float | None = DECODE_TIMEOUT,
        damaged: OnDamage | None = None,
    ) -> Iterator[Prediction | Failure]:
        """Recognise many files, in order, going on past those that cannot be read; arguments as of `VideoEncoder`.

        Scores that are not finite are a failure of the model.
        """
        settings: dict[str, Any] = {"workers": workers, "threads": threads, "decode_timeout": decode_timeout}
        settings |= {"damaged": damaged}
        for video in self.encoder.stream(paths, batch_size=batch_size, **settings):
            if isinstance(video, Failure):
                yield video
                continue
            try:
                prediction = self.predict(video)
            except VideoError as error:
                yield Failure(video.source, str(error), by_model=True)
            else:
                yield prediction

    def _prediction(
        self, video: VideoEmbedding, scores_C: Tensor, probabilities_C: Tensor, unknown: float | None = None
    ) -> Prediction:
        seen = video.pixels[len(video.pixels) // 2].permute(0, 2, 3, 1).cpu().numpy()
        found = (scores_C.cpu().numpy(), probabilities_C.cpu().numpy(), seen)
        settings: dict[str, Any] = {"seconds": video.seconds, "damaged": video.damage, "unknown": unknown}
        return Prediction(video.source, self.actions, *found, **settings)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.actions)} actions, {self.frames} frames, views {self.views})"
