"""`explain`: why one clip got its score for one action, as arrays and as a page, picture or video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from claver.errors import ClaverError, VideoError
from claver.explain.evidence import Evidence, ExplainedText, Floats
from claver.explain.relevance import text_relevance, video_relevance
from claver.explain.render.saving import save
from claver.explain.words import weigh_words
from claver.inference.encoder import VideoEncoder, name_of
from claver.inference.prediction import Prediction
from claver.inference.recognizer import Recognizer
from claver.models import Claver, load
from claver.models.objective import video_embedding
from claver.names import composed
from claver.text.actions import Actions
from claver.text.text_bank import TextBank
from claver.video.views import VideoLike, VideoViews

MOST_TEXTS = 6
"""Texts of an action whose words are weighed: those most similar to the clip."""


class Explanation(Evidence):
    """Why a clip got its score for an action, or a higher one than for another: the evidence, and where to write it."""

    def save(self, path: str | Path) -> Path:
        """Write the page `.html`, the picture `.png`, the video `.mp4`, the numbers `.json`, or a folder with all four.

        Raises:
            ClaverError: another suffix, no such folder, or matplotlib is missing for picture and video.
        """
        return save(self, Path(path))


def explain(
    recognizer: Recognizer | Claver | str | Path,
    video: VideoLike | VideoViews,
    action: str,
    against: str | None = None,
    *,
    name: str | None = None,
) -> Explanation:
    """Explain why a clip got its score for an action.

    One view is looked at, the centre of evenly spaced frames, whatever the recogniser's views.

    Args:
        recognizer: its actions compete, and their texts are what is compared; or a model (or what `claver.load`
            takes), whose own actions do so, or, if it has none, the names alone, which are their own texts.
        video: what a `Recognizer` takes; or views that were read before, uint8, as the recogniser's frames and pixels
            are prepared, of which the first is looked at.
        action: one of the recogniser's actions, or any text, which then competes as well.
        against: another; then the difference of the two scores is explained.
        name: what the video is called; its own name if None.

    Raises:
        ClaverError: an empty action, or twice the same.
        VideoError: the video cannot be read, or all frames used of it are damaged.
    """
    chosen = check_actions(action, against)
    if not isinstance(recognizer, Recognizer):
        loaded = recognizer if isinstance(recognizer, Claver) else load(recognizer)
        recognizer = Recognizer(loaded, None if loaded.learned else {name: [name] for name in chosen}, unknown=False)
    model, bank = recognizer.model, _with_actions(recognizer, chosen)
    encoder = VideoEncoder(model, frames=recognizer.frames, preprocess=recognizer.preprocess)
    views = video if isinstance(video, VideoViews) else encoder.look(video)
    name = name_of(video) if name is None else name  # type: ignore[arg-type]
    if views.damage is not None and views.damage.share == 1:
        raise VideoError(f"{name}: it is damaged ({views.damage}); there is nothing to explain.")
    seen = views.pixels[0]
    indices = [bank.actions.names.index(one) for one in chosen]
    direction = bank.prototypes[indices[0]] - (bank.prototypes[indices[1]] if against else 0)
    found = video_relevance(model, encoder.normalized(seen), direction.to(model.device))
    embedding = video_embedding(found.frame_embeddings[None].float(), model.config.aggregate)[0]
    bias = 0.0 if against or model.bias is None else float(model.bias.detach())  # of a difference it falls away
    texts = [_explain_texts(model, bank, index, embedding) for index in indices]
    scores, probabilities = _time_line(model, bank, found.frame_embeddings)
    frames = seen.permute(0, 2, 3, 1).cpu().numpy()
    shown = (scores[-1], probabilities[-1], frames)
    prediction = Prediction(name, bank.actions.names, *shown, seconds=views.seconds, damaged=views.damage)
    return Explanation(
        action=chosen[0],
        against=chosen[1] if len(chosen) > 1 else None,
        temporal_kind=model.config.temporal.kind,
        similarity=found.similarity + bias,
        prediction=prediction,
        scores=scores,
        probabilities=probabilities,
        reads=_array(found.reads),
        temporal=_array(found.temporal),
        spatial=_array(found.spatial),
        combined=_array(found.combined),
        texts=texts[0],
        against_texts=texts[1] if len(texts) > 1 else (),
    )


def check_actions(action: str, against: str | None) -> list[str]:
    """What is to be explained, one action or two.

    Raises:
        ClaverError: an empty one, or twice the same.
    """
    chosen = [composed(name.strip()) for name in (action, against) if name is not None]
    if not all(chosen):
        raise ClaverError("nothing can be explained about an empty text; name an action")
    if len(set(chosen)) < len(chosen):
        raise ClaverError(f"{action!r} cannot be compared with itself; name another action to compare with")
    return chosen


def _with_actions(recognizer: Recognizer, names: Sequence[str]) -> TextBank:
    """The recogniser's bank, and behind it those names that it lacks, each as its own text."""
    bank = recognizer.bank
    new = tuple(name for name in names if name not in bank.actions.names)
    if not new:
        return bank
    more = TextBank.encode(recognizer.model, Actions(new, tuple((name,) for name in new)))
    both = Actions(bank.actions.names + new, bank.actions.texts + more.actions.texts)
    embeddings, prototypes = torch.cat([bank.embeddings, more.embeddings]), [bank.prototypes, more.prototypes]
    return TextBank(both, embeddings, torch.cat(prototypes))


def _explain_texts(model: Claver, bank: TextBank, index: int, video_E: Tensor) -> tuple[ExplainedText, ...]:
    """Of an action's texts those most similar to the clip, with their words."""
    assert model.tokenizer is not None  # the bank could not have been made
    own = bank.embeddings.split([len(texts) for texts in bank.actions.texts])[index]
    video = F.normalize(video_E, dim=-1) if model.config.aggregate == "paper" else video_E
    scores = model.scale.detach() * own.float() @ video + (0 if model.bias is None else model.bias.detach())
    similarity = dict(zip(bank.actions.texts[index], scores.tolist(), strict=True))
    explained = []
    for text in sorted(similarity, key=similarity.__getitem__, reverse=True)[:MOST_TEXTS]:
        relevance = text_relevance(model, model.tokenizer([text])[0], video_E)
        words = weigh_words(text, model.tokenizer.unfilled(text, relevance.tolist()), model.tokenizer)
        explained.append(ExplainedText(text, similarity[text], words))
    return tuple(explained)


@torch.inference_mode()
def _time_line(model: Claver, bank: TextBank, frames_TE: Tensor) -> tuple[Floats, Floats]:
    """Scores and probabilities after each frame [T, C], from the frame embeddings up to then."""
    aggregate = model.config.aggregate
    prefixes = [frames_TE[None, : frame + 1] for frame in range(len(frames_TE))]
    scores = torch.stack([bank.scores(part, model.scale, aggregate, model.bias) for part in prefixes])
    return _array(scores), _array(model.probabilities(scores))


def _array(values: Tensor) -> Floats:
    return np.asarray(values.float().cpu().numpy())
