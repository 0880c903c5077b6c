"""Other people's models as comparators: `claver evaluate` runs them through the same clips, views and texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from claver.inference.answering import Answering
from claver.inference.encoder import VideoEmbedding, ViewEncoder
from claver.inference.peer_models import TEXTS_AT_ONCE, PeerModel, load_peer
from claver.inference.prediction import Prediction, require_finite
from claver.inference.views import Views
from claver.text.actions import Actions
from claver.text.encoding import Progress
from claver.text.selection import Named, read_actions
from claver.text.templates import DEFAULT_TEMPLATES
from claver.video.damage import OnDamage


class Peer(Answering):
    """Names the action in videos as `Recognizer` does, with somebody else's model.

    >>> peer = Peer(load_peer("microsoft/xclip-base-patch32"), ["juggling", "knitting"])
    >>> print(peer("clip.mp4").top(3))
    """

    relative = False

    def __init__(
        self,
        model: PeerModel | str | Path,
        actions: str | Path | Sequence[Named] | Mapping[str, Sequence[str]] | Actions,
        *,
        texts: str | Path | None = None,
        templates: Sequence[str] = DEFAULT_TEMPLATES,
        views: Views | str | None = None,
        frames: int | None = None,
        damaged: OnDamage = "answer",
        progress: Progress = lambda done, total: None,
    ) -> None:
        """Encode the actions' texts; see `Recognizer` for arguments that are not said here.

        Args:
            model: a peer, or what `load_peer` takes.
            actions: what `claver.text.read_actions` takes.
            texts: which texts.
            templates: forms for actions that come without texts.
            views: clips and crops, `1x1` if None.
            frames: T, frames of each view; the peer's own number if None.
            damaged: what to do with a damaged video.
            progress: called with the number of texts encoded so far, and of all.

        Raises:
            ClaverError: frames that the peer cannot take, or as `load_peer` and `read_actions`.
        """
        self.model = model if isinstance(model, PeerModel) else load_peer(model)
        own = self.model.preprocess
        count = self.model.frames if frames is None else frames
        wanted = Views() if views is None else views
        self.encoder = ViewEncoder(self.model, wanted, frames=count, preprocess=own, damaged=damaged)
        self.model.check_frames(self.frames)
        self._texts = read_actions(actions, texts=texts, templates=templates)
        self._texts_ME = self._encoded([text for each in self.texts.texts for text in each], progress)

    @property
    def texts(self) -> Actions:
        """The actions with their texts."""
        return self._texts

    @torch.inference_mode()
    def _encoded(self, texts: Sequence[str], progress: Progress) -> Tensor:
        parts = []
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            parts.append(self.model.encode_texts(texts[start : start + TEXTS_AT_ONCE]))
            progress(min(start + TEXTS_AT_ONCE, len(texts)), len(texts))
        return torch.cat(parts)

    @torch.inference_mode()
    def predict(self, video: VideoEmbedding) -> Prediction:
        """The answer for a video that is encoded already: the peer's logits, averaged over texts and views (Eq. 10).

        Raises:
            VideoError: the scores are not finite.
        """
        logits_M = self.model.logits(video.frames, self._texts_ME).mean(0)
        parts = logits_M.split([len(own) for own in self.texts.texts])
        scores = torch.stack([part.mean() for part in parts])
        require_finite(scores, video.source, self.model.name)
        return self._prediction(video, scores, scores.softmax(0))
