"""Recognition of videos: actions are encoded once, then any number of videos are answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from claver.errors import ClaverError
from claver.inference.answering import Answering
from claver.inference.calibration import Calibration, Conditions
from claver.inference.encoder import Failure, VideoEmbedding, VideoEncoder
from claver.inference.open_set import OpenSet, clip_embedding
from claver.inference.prediction import Answer, Prediction, probabilities
from claver.inference.views import Views
from claver.models import Claver, load
from claver.models.checkpoint.loading import PreprocessChoice
from claver.models.exported.manifest import is_exported
from claver.models.exported.model import ExportedModel
from claver.text.actions import Actions
from claver.text.encoding import Progress
from claver.text.selection import Named, own_actions, read_actions
from claver.text.templates import DEFAULT_TEMPLATES
from claver.text.text_bank import TextBank
from claver.video import Preprocess
from claver.video.damage import OnDamage

__all__ = ["Answer", "Failure", "Prediction", "Recognizer", "Views"]


class Recognizer(Answering):
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
        unknown: bool = True,
        calibration: Calibration | str | Path | None = None,
        compile: bool = False,
        cache: Path | bool | None = True,
        progress: Progress = lambda done, total: None,
    ) -> None:
        """Encode the actions' texts, and the names of other actions that they are compared with.

        Args:
            model: a model, what `claver.load` takes, or a folder that `claver export` wrote.
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
            unknown: whether each answer says how probable it is that none of the actions applies, see
                `claver.inference.open_set`. The ranking and the probabilities of the actions are the same either way.
            calibration: from when on none applies, as `claver calibrate` writes it.
            compile: run the towers by `torch.compile`, as of `VideoEncoder`.
            cache: where the texts' vectors are cached: True the usual folder, or another, or False for nowhere.
            progress: called with the number of texts encoded so far, and of all that are to be.

        Raises:
            ClaverError: no actions, neither given nor the model's own; a calibration of another model or other actions,
                or without `unknown`; or as `read_actions`.
        """
        if calibration is not None and not unknown:
            raise ClaverError("a calibration says when none of the actions applies: it needs unknown=True")
        if isinstance(model, Claver) and isinstance(preprocess, str):
            raise ClaverError(f"the model is loaded already: give preprocess={preprocess!r} to claver.load")
        loaded = model if isinstance(model, Claver) else _opened(model, preprocess)
        if compile and isinstance(loaded, ExportedModel):
            raise ClaverError("an exported model runs as it was exported; leave out compile")
        learned = loaded.learned if actions is None else None
        if learned is not None:
            views = learned.views if views is None else views
            frames = learned.frames if frames is None else frames
        self.encoder: VideoEncoder = VideoEncoder(
            loaded,
            Views() if views is None else views,
            frames=frames,
            preprocess=preprocess if isinstance(preprocess, Preprocess) else None,
            damaged=damaged,
            compile=compile,
        )
        chosen = read_actions(own_actions(loaded) if actions is None else actions, texts=texts, templates=templates)
        self.bank = TextBank.encode(loaded, chosen, cache=cache, progress=progress)
        self.open_set = OpenSet.encode(loaded, self.bank, cache=cache, progress=progress) if unknown else None
        if calibration is not None:
            self._calibrate(calibration)

    @property
    def model(self) -> Claver:
        """The model."""
        return self.encoder.model

    @property
    def texts(self) -> Actions:
        """The actions with their texts."""
        return self.bank.actions

    @property
    def relative(self) -> bool:
        """Whether an action's score depends on its competitors, as the released arithmetic's softmax over them does."""
        return self.model.config.aggregate == "released"

    @property
    def conditions(self) -> Conditions:
        """What a calibration of this recogniser holds for.

        Raises:
            ClaverError: it does not compare its actions with others.
        """
        if self.open_set is None:
            raise ClaverError("the actions are not compared with others, so there is nothing to calibrate")
        return Conditions.of(self.encoder, self.bank.actions, self.open_set)

    def _calibrate(self, calibration: Calibration | str | Path) -> None:
        given = isinstance(calibration, Calibration)
        found = calibration if isinstance(calibration, Calibration) else Calibration.load(calibration)
        found.require(self.conditions, "the calibration" if given else str(calibration))
        assert self.open_set is not None
        self.open_set = replace(self.open_set, threshold=found.threshold)

    @torch.inference_mode()
    def predict(self, video: VideoEmbedding) -> Prediction:
        """The answer for a video that is encoded already.

        Raises:
            VideoError: the scores are not finite.
        """
        scores = self.bank.scores(video.frames, self.model.scale, self.model.config.aggregate, self.model.bias)
        shares = probabilities(scores, self.model, video.source)
        return self._prediction(video, scores, shares, self.unknown(video.frames))

    @torch.inference_mode()
    def standing(self, video: VideoEmbedding) -> float:
        """How far the best action stands above the bar of `claver.inference.open_set`, in logits.

        Raises:
            ClaverError: the actions are not compared with others.
        """
        if self.open_set is None:
            raise ClaverError("the actions are not compared with others: it needs unknown=True")
        return float(self.open_set.relative(clip_embedding(video.frames, self.model.config.aggregate)).amax())

    def unknown(self, frames_VTE: Tensor) -> float | None:
        """The probability that none of the actions applies; None where it is not computed.

        Args:
            frames_VTE: embeddings of the frames of each view, not normalised.
        """
        if self.open_set is None:
            return None
        return float(self.open_set.unknown(clip_embedding(frames_VTE, self.model.config.aggregate)))


def _opened(model: str | Path, preprocess: PreprocessChoice | Preprocess | None) -> Claver:
    """A model from wherever it is, or an exported one."""
    if not is_exported(model):
        return load(model, preprocess=preprocess)
    if isinstance(preprocess, str):
        raise ClaverError(f"an exported model has its way with pixels already; leave out preprocess={preprocess!r}")
    return ExportedModel(model)
