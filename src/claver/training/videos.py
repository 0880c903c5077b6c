"""The task `videos`: actions from labelled video files or shards by the loss of Eq. 9."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from claver.data.clips import CenterCrop, ClipDecoder, ClipLocation, Clips, Crop
from claver.data.loading import Batch, ClipLoader, Replaced
from claver.data.manifest import Manifest, overlap
from claver.data.opening import open_clips
from claver.data.parts import clips_for
from claver.data.split import few_shot
from claver.data.stream import ClipStream
from claver.distributed import rank_and_size
from claver.errors import ClaverError
from claver.evaluation.protocols import TestSet, evaluate
from claver.inference.recognizer import Recognizer
from claver.log import logger
from claver.models import Claver, Learned, video_embedding
from claver.text.actions import Actions
from claver.text.encoding import encode_texts
from claver.text.selection import texts_for
from claver.training.augment import Augmentation, MultiScaleCrop
from claver.training.distributed import encode_text_shared
from claver.training.mirror import mirror_of
from claver.training.objectives import smooth_labels
from claver.training.ragged_texts import RaggedTexts
from claver.training.recipe import Recipe, Videos
from claver.training.samples import Samples
from claver.training.sampling import Rows
from claver.training.token_cache import CachedTokens, cache_clips, token_folder
from claver.video.damage import Damage

__all__ = ["CachedVideosTask", "RaggedTexts", "StreamedVideosTask", "VideosTask", "make_task"]


class _Actions(ABC):
    """What learning from videos and from cached tokens have in common: texts, and the test by the paper's protocol.

    Attributes:
        texts: of the actions to be told apart.
        test: what the model is measured on; None measures nothing.
    """

    def __init__(self, model: Claver, recipe: Recipe, train: Manifest, test: Clips | None, actions: Actions) -> None:
        self.actions, self.recipe = _checked(train, None if test is None else test.manifest, actions), recipe
        self.test = None if test is None else _test_set(test, recipe, train.classes)
        self.texts = RaggedTexts.of(model, self.actions)
        self._vectors: Tensor | None = None  # [M, E] of all texts, if the text tower stays as it is

    def evaluate(self, model: Claver) -> dict[str, float]:
        """Top-1 and top-5 accuracy on the test clips seen once each, all learned classes competing (Eq. 10).

        In several processes each takes a share, and all get the whole. Clips that cannot be read count as wrong.
        """
        if self.test is None:
            return {}
        assert self.recipe.videos is not None
        # Vectors of a text tower that learns are of no use to the next evaluation.
        recognizer = Recognizer(model, self.actions, unknown=False, cache=not _learns(model.text))
        videos = self.recipe.videos
        [result] = evaluate(recognizer, [self.test], workers=videos.workers, decode_timeout=videos.decode_timeout)
        if result.failures:
            first = next(iter(result.failures.values()))
            logger.warning("%d test clips cannot be read and count as wrong, first %s", len(result.failures), first)
        return {"top-1": result.top(1), "top-5": result.top(5)}

    def learned(self, model: Claver) -> Learned:
        """The actions and their texts."""
        return Learned(self.actions.names, self.actions.texts, model.config.temporal.frames)

    def loss(self, model: Claver, rows: Rows, rng: np.random.Generator) -> Tensor:
        """Eq. 9."""
        return self.samples(model, rows, rng).loss(model)

    @abstractmethod
    def samples(self, model: Claver, rows: Rows, rng: np.random.Generator) -> Samples:
        """The clips of these rows, and some of the texts."""

    def _samples(
        self, model: Claver, tokens_of: Callable[[Claver], Tensor], soft: Tensor, rng: np.random.Generator
    ) -> Samples:
        """From a model's image tokens [B, T, N, D] and distributions over the classes [B, C]."""
        return Samples(
            lambda model: video_embedding(model.encode_tokens(tokens_of(model)), model.config.aggregate),
            self._texts_of(model, self.texts.draw_rows(self.recipe.texts_per_step, rng)),
            soft.to(model.device),
        )

    def _texts_of(self, model: Claver, rows_KC: Tensor) -> Callable[[Claver], Tensor]:
        """Vectors [K', C, E] of these texts; a text tower that stays as it is encodes them all, once."""
        if _learns(model.text):
            ids = self.texts.tokens[rows_KC].to(model.device)
            return lambda model: encode_text_shared(model, ids)
        if self._vectors is None:
            self._vectors = encode_texts(model, [text for own in self.actions.texts for text in own])
        vectors = self._vectors[rows_KC.to(self._vectors.device)]
        return lambda model: vectors


def _learns(tower: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in tower.parameters())


class VideosTask(_Actions):
    """Videos against K' of the texts of every action: sparse random frames, decoded ahead, varied as in Table 14.

    A clip that cannot be read is replaced by another of its class, and counted in `replaced`.
    """

    def __init__(self, model: Claver, recipe: Recipe, train: Clips, test: Clips | None, actions: Actions) -> None:
        """Check everything that can be wrong before the first batch.

        Args:
            model: its sizes, preprocessing and tokenizer are used.
            recipe: of task `videos`.
            train: what is learned from.
            test: what the model is measured on.
            actions: texts of at least the classes of both.

        Raises:
            ClaverError: a class without clips or texts, or a test class that is not learned.
        """
        super().__init__(model, recipe, train.manifest, test, actions)
        self.train = train
        preprocess, settings = model.config.preprocess, recipe.augment
        crop: Crop = CenterCrop(preprocess.size, preprocess.center)
        if settings.crop_scales:
            crop = MultiScaleCrop(preprocess.size, settings.crop_scales, settings.crop_fixed)
        frames, way = model.config.temporal.frames, preprocess.interpolation
        self.decoder = ClipDecoder(frames, preprocess.short_side, crop, interpolation=way, resize=preprocess.resize)
        mirror = mirror_of(train.manifest.classes, settings.flip_labels)
        self.augmentation = Augmentation(settings, preprocess, mirror, recipe.label_smoothing)
        self._batches: Iterator[Batch] | None = None
        self._loader: ClipLoader | None = None
        self._batch: Batch | None = None
        self._taken = 0
        self._shown: list[tuple[Rows, Tensor, Tensor, Rows]] = []  # of the step: rows, frames, labels, clips shown

    def __len__(self) -> int:
        return len(self.train)

    @property
    def replaced(self) -> list[Replaced]:
        """Training clips that could not be read so far in this process."""
        return [] if self._loader is None else self._loader.replaced

    @property
    def damaged(self) -> dict[int, Damage]:
        """Training clips that are damaged and were used so far in this process, by row."""
        return {} if self._loader is None else self._loader.damaged

    def begin(self, rows_at: Callable[[int], Rows], first_step: int) -> None:
        """Start to decode.

        Args:
            rows_at: the samples that this process computes at a step.
            first_step: the step that comes next.
        """
        self.end()
        videos = self.recipe.videos
        assert videos is not None
        self._loader = ClipLoader(
            self.train,
            rows_at,
            self.decoder,
            seed=self.recipe.seed,
            first_step=first_step,
            workers=videos.workers,
            decode_timeout=videos.decode_timeout,
            ahead=videos.ahead,
            bad_share=videos.bad_share,
            locations=self._locations,
        )
        self._batches, self._batch = iter(self._loader), None

    def end(self) -> None:
        """Stop to decode, and say what was replaced."""
        if self._batches is not None and hasattr(self._batches, "close"):
            self._batches.close()
        self._batches = None
        if self.replaced:
            logger.warning("%d training clips could not be read and were replaced", len(self.replaced))
        if self.damaged:
            logger.warning(
                "%d training clips are damaged and were used all the same; `claver data check` tells of each",
                len(self.damaged),
            )

    def samples(self, model: Claver, rows: Rows, rng: np.random.Generator) -> Samples:
        """The next of the clips whose decoding `begin` started; `rows` must be those."""
        frames, labels = self._next(rows)
        # The texts must be the same in all processes, the variations of their clips must not.
        own = np.random.default_rng([int(rng.integers(2**62)), rank_and_size()[0]])
        pixels, soft = self.augmentation(frames.to(model.device, non_blocking=True), labels, own)
        if _learns(model.image):
            return self._samples(model, lambda model: model.image_tokens(pixels), soft, rng)
        with torch.no_grad():
            tokens = model.image_tokens(pixels)
        return self._samples(model, lambda model: tokens, soft, rng)

    def inputs(self, rows: Rows) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Of samples of the last step: frames uint8 [B, T, h, w, 3] before variation, labels, and files."""
        for shown, frames, labels, clips in self._shown:
            if np.array_equal(shown, rows):
                return {"frames": frames, "labels": labels}, {
                    "clips": [self.train.locations[row].name for row in clips]
                }
        return {}, {}

    @property
    def _locations(self) -> Callable[[int], Iterator[ClipLocation]] | None:
        """Where the bytes of clips are found, if not where `train` has them."""
        return None

    def _next(self, rows: Rows) -> tuple[Tensor, Tensor]:
        assert self._batches is not None, "begin comes before loss"
        if self._batch is None:
            self._batch, self._taken, self._shown = next(self._batches), 0, []
        here = slice(self._taken, self._taken + len(rows))
        frames, labels = self._batch.frames[here], self._batch.labels[here]
        assert len(frames) == len(rows), "rows must be those that begin was told of"
        self._shown.append((rows, frames, labels, self._batch.rows[here]))
        self._taken += len(rows)
        if self._taken == len(self._batch.labels):
            self._batch = None
        return frames, labels


class StreamedVideosTask(VideosTask):
    """The same on shards read from end to end: the order of the disk, mixed, says which clips a step has."""

    @cached_property
    def _stream(self) -> ClipStream:
        recipe, videos = self.recipe, self.recipe.videos
        assert videos is not None
        settings = {"batch_size": recipe.batch_size, "seed": recipe.seed, "buffer": videos.buffer}
        return ClipStream(self.train, share=rank_and_size(), **settings)

    def rows_at(self, step: int) -> Rows:
        """The samples this process computes at a step."""
        return self._stream.rows_at(step)

    @property
    def _locations(self) -> Callable[[int], Iterator[ClipLocation]]:
        return self._stream.locations


class CachedVideosTask(_Actions):
    """The same on image tokens cached once: no decoding, no image tower, no variation but views and smoothing."""

    def __init__(
        self, model: Claver, recipe: Recipe, train: CachedTokens, test: Clips | None, actions: Actions
    ) -> None:
        """As `VideosTask`, with the tokens of the training clips in place of the clips."""
        super().__init__(model, recipe, train.manifest, test, actions)
        self.train = train

    def __len__(self) -> int:
        return len(self.train)

    def samples(self, model: Claver, rows: Rows, rng: np.random.Generator) -> Samples:
        """The cached clips of these rows, and some of the texts."""
        taken, labels = self.train.take(torch.from_numpy(rows))
        soft, tokens = smooth_labels(labels, len(self.actions), self.recipe.label_smoothing), taken.to(model.device)
        return self._samples(model, lambda model: tokens, soft, rng)

    def inputs(self, rows: Rows) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Image tokens, labels and files of some samples, for inspection."""
        tokens, labels = self.train.take(torch.from_numpy(rows))
        clips = self.train.rows[torch.from_numpy(rows) // self.train.views]
        return {"tokens": tokens, "labels": labels}, {"clips": [self.train.manifest.path(int(row)) for row in clips]}


def make_task(
    recipe: Recipe, model: Claver, *, on_cached: Callable[[int, int], None] = lambda row, total: None
) -> VideosTask | CachedVideosTask:
    """The task of a recipe whose task is `videos`.

    Args:
        recipe: what to learn from and how.
        model: what is to learn.
        on_cached: with `videos.cache`, called with each clip done, and how many this process has to do.

    Raises:
        ClaverError: another task, files that are not there, or clips and texts that do not go together.
    """
    videos = recipe.videos
    if videos is None:
        raise ClaverError(f"the recipe is of task {recipe.task!r}; videos are learned from by one of task 'videos'")
    check_files(videos)
    train, test = _train_clips(videos), _test_clips(videos)
    _warn(train.manifest, None if test is None else test.manifest)
    actions = texts_for(train.manifest.classes, videos.texts, dataset=train.manifest.dataset)
    if not videos.cache:
        return (StreamedVideosTask if videos.stream else VideosTask)(model, recipe, train, test, actions)
    check_cacheable(recipe)
    logger.warning("with videos.cache clips are not varied: section augment has no effect, label smoothing has")
    _checked(train.manifest, None if test is None else test.manifest, actions)
    settings: dict[str, Any] = {"views": videos.cache_views, "workers": videos.workers, "bad_share": videos.bad_share}
    settings["decode_timeout"] = videos.decode_timeout
    settings["verify"] = videos.cache_verify
    tokens = cache_clips(model, train, token_folder(videos), on_clip=on_cached, **settings)
    return CachedVideosTask(model, recipe, tokens, test, actions)


def check_cacheable(recipe: Recipe) -> None:
    """Raise `ClaverError` if tokens of the image tower are to be kept and it is to learn."""
    if "image" not in recipe.freeze:
        raise ClaverError("videos.cache keeps the image tower's tokens, so it must not learn: add image to freeze")
    if recipe.lora is not None and "image" in recipe.lora.parts:
        raise ClaverError(
            "videos.cache keeps tokens of the image tower, which must not learn: set lora.parts to [text]"
        )


def check_files(videos: Videos) -> None:
    """Raise `ClaverError` if a file or folder that the section names is not there."""
    for name in ("train", "test", "root"):
        path: Path | None = getattr(videos, name)
        if path is not None and not path.exists():
            raise ClaverError(f"videos.{name} names {path}, which is not there; `claver data index` makes manifests")


def _train_clips(videos: Videos) -> Clips:
    if videos.stream and not videos.train.is_dir():
        raise ClaverError(f"videos.stream reads a folder of shards (`claver data shard`), and {videos.train} is none")
    clips = open_clips(videos.train, root=videos.root)
    clips = clips_for(clips, "training", videos.train_split, name=str(videos.train))
    if videos.shots is None:
        return clips
    if videos.train.is_dir():
        raise ClaverError("videos.shots draws from a manifest of files; for shards use `claver data split` before")
    return Clips.of_files(few_shot(clips.manifest, videos.shots, seed=videos.shots_seed))


def _test_clips(videos: Videos) -> Clips | None:
    if videos.test is None:
        return None
    clips = open_clips(videos.test, root=videos.root)
    return clips_for(clips, "testing", videos.test_split, name=str(videos.test))


def _test_set(test: Clips, recipe: Recipe, classes: tuple[str, ...]) -> TestSet:
    """All learned classes compete, whether they have test clips or not: else the task would be easier than it is."""
    split = recipe.videos.test_split if recipe.videos is not None else None
    return TestSet.of("test", test, split=split, classes=classes)


def _checked(train: Manifest, test: Manifest | None, actions: Actions) -> Actions:
    """The texts of the training classes, in their order, when all goes together."""
    train.require_every_class()
    known = dict(zip(actions.names, actions.texts, strict=True))
    if missing := [name for name in train.classes if name not in known]:
        raise ClaverError(f"class {missing[0]!r} has no text")
    if test is not None and (new := [name for name in test.classes if name not in set(train.classes)]):
        raise ClaverError(f"class {new[0]!r} of the test clips is none of the {len(train.classes)} learned ones")
    return Actions(train.classes, tuple(known[name] for name in train.classes))


def _warn(train: Manifest, test: Manifest | None) -> None:
    train.warn()
    if test is None:
        return
    if test.warnings != train.warnings:  # they are the same where both are of one file
        test.warn()
    sentences = overlap(train, test)
    for sentence in sentences[:3]:
        logger.warning(sentence)
    if len(sentences) > 3:
        logger.warning("so are %d more", len(sentences) - 3)
