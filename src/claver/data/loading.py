"""Batches of clips for training, decoded ahead in worker processes, the same whatever their number.

    clips = open_clips("train.csv")
    rows = partial(batch_at, samples=len(clips), batch_size=8, seed=0)
    for batch in ClipLoader(clips, rows, Reading(frames=8), seed=0, first_step=100):
        batch.frames, batch.labels      # uint8 [B, T, h, w, 3], int64 [B]

What a batch holds is a function of (seed, step) alone. A clip that cannot be read is replaced by another of its class,
chosen by (seed, step, row), counted and reported; more of them than a set share end the run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import count
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from claver.data.clips import ClipDecoder, ClipLocation, Clips
from claver.data.manifest import Ints
from claver.errors import ClaverError, VideoError
from claver.files import write_whole
from claver.log import logger
from claver.video.damage import Damage
from claver.video.prefetch import DECODE_TIMEOUT, prefetch
from claver.video.reader import Frames

ALTERNATES = 8  # clips of the class tried in the place of one that cannot be read
TOLERATED = 10  # clips that may be replaced however small the set is
_STREAM = 7  # keeps the random numbers of clips apart from those of steps, which are seeded alike


@dataclass(frozen=True)
class Batch:
    """The clips of one step.

    Attributes:
        step: its number.
        frames: uint8 [B, T, h, w, 3].
        labels: int64 [B].
        rows: int64 [B], the clips shown; where one was replaced, that which took its place.
    """

    step: int
    frames: Tensor = field(repr=False)
    labels: Tensor = field(repr=False)
    rows: Ints


@dataclass(frozen=True)
class Replaced:
    """A clip that could not be read, and why: one sentence that begins with its name."""

    row: int
    path: str
    cause: str


class DecodeRequest(str):
    """Work for a process: the clip's name, and beside it what is needed to load it or one in its place."""

    step: int
    row: int
    rows: tuple[int, ...]
    locations: tuple[ClipLocation, ...]
    seed: int
    whole: int


@dataclass(frozen=True)
class _Loaded:
    """Frames, the row they are of, and the rows before it that could not be read with their causes.

    Where no row could be read, there are no frames.
    """

    frames: Frames | None
    row: int
    failed: tuple[tuple[int, str], ...]
    damage: Damage | None = None


class ClipLoader:
    """Batches for steps `first_step`, `first_step` + 1, …, without end or up to `last_step`.

    Args:
        clips: what to load.
        rows_at: the rows of a step, int64 [B], a function of the step alone.
        reading: how clips are read; its `cut` must give all clips one size.
        seed: of sampling, cuts and replacements. They depend on (seed, step, row), and on nothing else.
        first_step: where to begin; a run that is resumed begins where it stopped.
        last_step: the step to end before; None for no end.
        workers: processes that decode; 0 decodes in this one.
        decode_timeout: seconds after which a worker gives a clip up, which is then replaced; None for never.
        ahead: batches in work beside the one in use.
        bad_share: share of the clips that may be replaced, at least 10 clips; beyond it the loader raises.
        report: where the list of replaced clips is written when that happens; a temporary file if None.
        places: gives for a first step where the bytes of all clips from there on are, in order, such as those of a
            `ClipStream`; without it they are where `clips` has them.

    Attributes:
        replaced: the clips that could not be read so far, each once.
        damaged: the clips of which damaged frames, or a part only, were used so far, each once.

    Iterating raises `ClaverError` when too many clips cannot be read, when none of a class can, and when clips differ
    in size after the cut. A process that is killed is replaced, and so is the clip if it was the cause.
    """

    def __init__(
        self,
        clips: Clips,
        rows_at: Callable[[int], Ints],
        decoder: ClipDecoder,
        *,
        seed: int = 0,
        first_step: int = 0,
        last_step: int | None = None,
        workers: int = 0,
        decode_timeout: float | None = DECODE_TIMEOUT,
        ahead: int = 2,
        bad_share: float = 0.01,
        report: str | Path | None = None,
        locations: Callable[[int], Iterator[ClipLocation]] | None = None,
    ) -> None:
        if not len(clips):
            raise ClaverError("there is no clip to load")
        self.clips, self.rows_at, self.decoder, self.seed = clips, rows_at, decoder, seed
        self.first_step, self.last_step, self.workers, self.ahead = first_step, last_step, workers, ahead
        self.decode_timeout = decode_timeout
        self.locations = locations
        self.report = None if report is None else Path(report)
        self.tolerated = max(TOLERATED, int(bad_share * len(clips)))
        self.replaced: list[Replaced] = []
        self.damaged: dict[int, Damage] = {}
        self._bad: set[int] = set()

    @cached_property
    def _by_class(self) -> list[Ints]:
        return self.clips.manifest.by_class()

    def __iter__(self) -> Iterator[Batch]:
        load = partial(_load, self.decoder)
        depth = max(self.workers, self.ahead * len(self.rows_at(self.first_step)))
        done: list[_Loaded] = []
        for request, result in prefetch(
            self._requests(), load, workers=self.workers, depth=depth, timeout=self.decode_timeout
        ):
            assert isinstance(request, DecodeRequest)
            done.append(self._settled(request, result))
            if len(done) == request.whole:
                yield self._batch(request.step, done)
                done = []

    def _requests(self) -> Iterator[DecodeRequest]:
        steps = count(self.first_step) if self.last_step is None else range(self.first_step, self.last_step)
        locations = None if self.locations is None else self.locations(self.first_step)
        for step in steps:
            rows = self.rows_at(step)
            for row in rows:
                location = None if locations is None else next(locations)
                yield self._request(step, int(row), len(rows), location)

    def _request(self, step: int, row: int, whole: int, location: ClipLocation | None = None) -> DecodeRequest:
        if not 0 <= row < len(self.clips):
            raise ClaverError(f"step {step} asks for clip {row}; there are {len(self.clips)}, counted from 0")
        rows = tuple(r for r in (row, *self._alternates(step, row)) if r not in self._bad)
        if not rows:
            raise self._hopeless(row)
        request = self._asking(step, row, rows, whole)
        if location is not None and rows[0] == row:
            request.locations = (location, *request.locations[1:])
        return request

    def _asking(self, step: int, row: int, rows: tuple[int, ...], whole: int) -> DecodeRequest:
        request = DecodeRequest(self.clips.locations[rows[0]].name)
        request.step, request.row, request.rows, request.whole = step, row, rows, whole
        request.seed, request.locations = self.seed, tuple(self.clips.locations[r] for r in rows)
        return request

    def _alternates(self, step: int, row: int) -> list[int]:
        """Others of the class, in an order of their own for each step and row."""
        others = self._by_class[int(self.clips.labels[row])]
        order = np.random.default_rng([self.seed, step, row, _STREAM]).permutation(len(others))[: ALTERNATES + 1]
        return [int(other) for other in others[order] if other != row][:ALTERNATES]

    def _settled(self, request: DecodeRequest, result: _Loaded | VideoError) -> _Loaded:
        """The clip of a request, if need be by further ones without the clip that killed its process."""
        while isinstance(result, VideoError):
            self._note(request.rows[0], str(result))
            if not (rest := request.rows[1:]):
                raise self._hopeless(request.row)
            request = self._asking(request.step, request.row, rest, request.whole)
            load, workers = partial(_load, self.decoder), min(1, self.workers)
            [(_, result)] = prefetch([request], load, workers=workers, timeout=self.decode_timeout)
        for row, cause in result.failed:
            self._note(row, cause)
        if result.frames is None:
            raise self._hopeless(request.row)
        if result.damage is not None and result.row not in self.damaged:
            self.damaged[result.row] = result.damage
            _tell(self.clips, result.row, result.damage)
        return result

    def _note(self, row: int, cause: str) -> None:
        if row in self._bad:
            return
        self._bad.add(row)
        self.replaced.append(Replaced(row, self.clips.locations[row].name, cause))
        logger.warning("a clip is replaced by another of its class: %s", cause)
        if len(self._bad) > self.tolerated:
            raise self._too_many()

    def _too_many(self) -> ClaverError:
        report = self.report or Path(tempfile.mkdtemp(prefix="claver-")) / "unreadable_clips.txt"
        write_whole(report, "".join(f"{bad.cause}\n" for bad in self.replaced))
        head = " ".join(bad.cause for bad in self.replaced[:3])
        return ClaverError(
            f"{len(self.replaced)} of {len(self.clips)} clips cannot be read, more than the {self.tolerated} that are "
            f"tolerated; all are listed in {report}, and `claver data check` finds the rest. The first: {head}"
        )

    def _hopeless(self, row: int) -> ClaverError:
        name = self.clips.manifest.classes[int(self.clips.labels[row])]
        causes = [bad.cause for bad in self.replaced if self.clips.labels[bad.row] == self.clips.labels[row]]
        return ClaverError(f"no clip of class {name!r} that was tried can be read: {' '.join(causes[:3])}")

    def _batch(self, step: int, loaded: Sequence[_Loaded]) -> Batch:
        clips = [one.frames for one in loaded if one.frames is not None]
        shapes = {clip.shape for clip in clips}
        if len(shapes) > 1:
            raise ClaverError(f"clips of a batch differ in size ({sorted(shapes)[:2]}); their cut must give one size")
        rows = np.array([one.row for one in loaded], dtype=np.int64)
        frames = torch.from_numpy(np.stack(clips))
        return Batch(step, frames, torch.from_numpy(self.clips.labels[rows]), rows)


def _load(decoder: ClipDecoder, request: str) -> _Loaded:
    """The first of the clips of a request that can be read, in a worker process."""
    assert isinstance(request, DecodeRequest)
    failed: list[tuple[int, str]] = []
    for row, location in zip(request.rows, request.locations, strict=True):
        try:
            frames, damage = decoder.read(location, _rng(request, row))
            return _Loaded(frames, row, tuple(failed), damage)
        except VideoError as error:
            failed.append((row, str(error)))
        except MemoryError:
            failed.append((row, f"{location.name}: there is not enough memory for its frames."))
    return _Loaded(None, request.row, tuple(failed))


def _rng(request: DecodeRequest, row: int) -> np.random.Generator:
    return np.random.default_rng([request.seed, request.step, request.row, row, _STREAM])


def read_in_order(
    clips: Clips,
    rows: Sequence[int] | Ints,
    decoder: ClipDecoder,
    *,
    workers: int = 0,
    decode_timeout: float | None = DECODE_TIMEOUT,
) -> Iterator[tuple[int, Frames | VideoError]]:
    """Clips for evaluation: each row once, in order, with its frames uint8 [views · T, h, w, 3] or why there are none.

    Nothing is replaced. What `decoder` draws at random, if anything, depends on the row alone.
    """
    requests = (_single(clips, int(row)) for row in rows)
    for request, result in prefetch(requests, partial(_load, decoder), workers=workers, timeout=decode_timeout):
        assert isinstance(request, DecodeRequest)
        if isinstance(result, _Loaded) and result.damage is not None:
            _tell(clips, request.row, result.damage)
        yield request.row, _frames_or_error(result)


def _tell(clips: Clips, row: int, damage: Damage) -> None:
    logger.warning("%s: it is damaged and used all the same: %s", clips.locations[row].name, damage)


def _frames_or_error(result: _Loaded | VideoError) -> Frames | VideoError:
    if isinstance(result, VideoError):
        return result
    return result.frames if result.frames is not None else VideoError(result.failed[0][1])


def _single(clips: Clips, row: int) -> DecodeRequest:
    request = DecodeRequest(clips.locations[row].name)
    request.step, request.row, request.rows, request.whole = 0, row, (row,), 1
    request.seed, request.locations = 0, (clips.locations[row],)
    return request
