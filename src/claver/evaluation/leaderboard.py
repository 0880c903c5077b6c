"""A model as the package `mteb` asks for one, so that others score it by their tasks of videos and texts (MVEB)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from claver.data.clips import ClipLocation
from claver.errors import ClaverError, VideoError
from claver.inference.encoder import Failure, VideoEmbedding, VideoEncoder
from claver.inference.views import Views
from claver.models.objective import video_embedding
from claver.text.encoding import encode_texts

if TYPE_CHECKING:
    from claver.models import Claver


class MtebModel:
    """Encodes what tasks of `mteb` give: videos, texts, or both, as unit vectors whose products are the similarities.

        >>> import mteb
        >>> model = MtebModel(claver.load("runs/kmct"), "me/claver-b16", revision="1")
        >>> mteb.evaluate(model, mteb.get_benchmark("MVEB(text, video, v1)"))

    Videos are read and sampled as everywhere here, not by the package's own collators. A video is the mean over its
    views of the unit mean of frame embeddings (Eq. 10); where there are videos and texts in a row, it is their sum.

    Attributes:
        model: what encodes.
        encoder: how it looks at videos.
    """

    def __init__(
        self,
        model: Claver,
        name: str,
        *,
        revision: str = "main",
        views: Views | str = "1x1",
        batch_size: int = 8,
        workers: int = 0,
        **meta: Any,
    ) -> None:
        """Wrap a model; it stays as it is.

        Args:
            model: with a tokenizer.
            name: under which results are stored and shown, as `organisation/model`.
            revision: of the model; results of another one are not mixed with these.
            views: clips and crops of each video.
            batch_size: views that the towers take at once.
            workers: processes that decode ahead.
            meta: what else is to be known of the model, as of `mteb.ModelMeta`: above all `training_datasets`, the
                names of the tasks whose data it was trained on, which the leaderboard marks as not zero-shot.

        Raises:
            ClaverError: `mteb` is not installed, or there is no tokenizer, or what is told of the model cannot be.
        """
        if model.tokenizer is None:
            raise ClaverError("the model has no tokenizer, and tasks of mteb have texts")
        self.model, self.encoder = model, VideoEncoder(model, views, damaged="answer")
        self._batch_size, self._workers = batch_size, workers
        self.mteb_model_meta = _meta(model, name, revision, meta)

    def encode(self, inputs: Any, *, task_metadata: Any = None, hf_split: str = "", **_: Any) -> Tensor:
        """Unit vectors [rows, E] in float32, on the CPU.

        Args:
            inputs: a DataLoader of a data set with a column `video` or `text` or both.
            task_metadata: whose task it is; names it in messages.
            hf_split: part of the data, likewise.

        Raises:
            ClaverError: there is neither a video nor a text.
            VideoError: a video cannot be read; a score without it would be another one.
        """
        rows, parts = inputs.dataset, []
        columns = set(rows.column_names)
        if "video" in columns:
            task = getattr(task_metadata, "name", "the task")
            parts.append(self._videos(rows, f"{task} {hf_split}".strip()))
        if "text" in columns:
            texts = list(rows["text"])
            if odd := [text for text in texts if not isinstance(text, str)]:
                raise ClaverError(f"a text must be a string, not {odd[0]!r:.80}")
            parts.append(F.normalize(encode_texts(self.model, texts), dim=-1).cpu())
        if not parts:
            raise ClaverError(f"the model encodes videos and texts, and the data has {', '.join(sorted(columns))}")
        return parts[0] if len(parts) == 1 else F.normalize(sum(parts, torch.zeros(())), dim=-1)

    def similarity(self, first: Any, second: Any) -> Tensor:
        """Cosines of all pairs [n, m] of unit vectors [n, E] and [m, E]."""
        return _tensor(first) @ _tensor(second).T

    def similarity_pairwise(self, first: Any, second: Any) -> Tensor:
        """Cosines [n] of unit vectors [n, E] and as many others."""
        return (_tensor(first) * _tensor(second)).sum(-1)

    def _videos(self, rows: Any, task: str) -> Tensor:
        vectors = [self._vector(answer) for answer in self._embeddings(rows, task)]
        return F.normalize(torch.stack(vectors), dim=-1) if vectors else torch.empty(0, self.model.config.embedding)

    def _embeddings(self, rows: Any, task: str) -> Iterator[VideoEmbedding | Failure]:
        import datasets

        if isinstance(rows.features.get("video"), datasets.Video):
            # The bytes of the files: decoded here, every odd file is read as everywhere else.
            files = rows.select_columns(["video"]).cast_column("video", datasets.Video(decode=False))
            locations = (_location(row["video"], f"{task}, video {at}") for at, row in enumerate(files))
            yield from self.encoder.stream(locations, batch_size=self._batch_size, workers=self._workers)
            return
        for video in rows["video"]:
            yield self.encoder(_frames(video))

    def _vector(self, answer: VideoEmbedding | Failure) -> Tensor:
        if isinstance(answer, Failure):
            raise VideoError(answer.error)
        embedding_VE = video_embedding(answer.frames, self.model.config.aggregate)
        return F.normalize(embedding_VE.float(), dim=-1).mean(0).cpu()


def _location(video: Mapping[str, Any], name: str) -> ClipLocation:
    if video.get("bytes") is not None:
        return ClipLocation(name, "", content=video["bytes"])
    return ClipLocation(name, str(video["path"]))


def _frames(video: Any) -> npt.NDArray[Any]:
    """Frames [T, 3, H, W], as the package has them, perhaps as lists, to [T, H, W, 3]."""
    frames = np.asarray(video)
    if frames.ndim != 4 or not frames.size:
        raise VideoError(f"frames of a video must be [T, 3, H, W], none of them 0, not {list(frames.shape)}")
    if frames.dtype.kind in "iu" and frames.min() >= 0 and frames.max() <= 255:  # bytes, of which a list tells nothing
        frames = frames.astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(frames, 1, -1))


def _tensor(vectors: Any) -> Tensor:
    return torch.as_tensor(vectors).float()


def _meta(model: Claver, name: str, revision: str, meta: Mapping[str, Any]) -> Any:
    try:
        from mteb.models.model_meta import ModelMeta, ScoringFunction
    except ImportError as error:
        raise ClaverError("scoring by tasks of others needs mteb: pip install 'claver[leaderboard]'") from error

    count = sum(parameter.numel() for parameter in model.parameters())
    size = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    known: dict[str, Any] = {
        "loader": None,
        "name": name,
        "revision": revision,
        "release_date": None,
        "languages": ["eng-Latn"],
        "n_parameters": count,
        "memory_usage_mb": size / 2**20,
        "max_tokens": model.config.text.context,
        "embed_dim": model.config.embedding,
        "license": None,
        "open_weights": None,
        "public_training_code": None,
        "public_training_data": None,
        "framework": ["PyTorch"],
        "similarity_fn_name": ScoringFunction.COSINE,
        "use_instructions": False,
        "training_datasets": None,
        "modalities": ["video", "text"],
    }
    try:
        return ModelMeta(**known | dict(meta))
    except ValueError as error:
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())  # type: ignore[attr-defined]
        raise ClaverError(f"mteb does not take what is told of the model: {told}") from error
