"""Batches from shards read from end to end, as a network disk or a spinning one likes it, shuffled on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from claver.data.clips import Clips, Place, Reading
from claver.data.loading import ClipLoader, Request
from claver.data.shards import open_shards
from claver.errors import ClaverError

_SHARDS, _BUFFER = 13, 17  # keep the random numbers of the two shuffles apart


class ClipStream(ClipLoader):
    """Batches of a folder of shards, epoch after epoch, each clip once in an epoch.

    The shards come in an order shuffled anew for each epoch, and are dealt out to the processes; within a process the
    clips pass through a buffer that mixes them. Batches depend on (seed, step, share, buffer) alone, and beginning at
    any step is exact: clips of steps before it are not read.

    Args:
        folder: of shards.
        reading: how clips are read; its `cut` must give all clips one size.
        batch_size: clips of a step in this process.
        seed: of every shuffle, and of sampling, cuts and replacements.
        share: (number of this process, number of processes).
        buffer: clips held in memory, compressed, to be mixed.
        split: only clips of this split.
        first_step, last_step, workers, ahead, bad_share, report: as for `ClipLoader`.

    Raises:
        ClaverError: no shards there, or fewer than processes.
    """

    def __init__(
        self,
        folder: str | Path,
        reading: Reading,
        *,
        batch_size: int,
        seed: int = 0,
        share: tuple[int, int] = (0, 1),
        buffer: int = 512,
        split: str | None = None,
        first_step: int = 0,
        last_step: int | None = None,
        workers: int = 0,
        ahead: int = 2,
        bad_share: float = 0.01,
        report: str | Path | None = None,
    ) -> None:
        if batch_size < 1 or buffer < 1:
            raise ClaverError("batch_size and buffer must be at least 1")
        super().__init__(
            open_shards(folder, split=split),
            lambda step: np.zeros(batch_size, dtype=np.int64),  # only its length is used: the stream says which rows
            reading,
            seed=seed,
            first_step=first_step,
            last_step=last_step,
            workers=workers,
            ahead=ahead,
            bad_share=bad_share,
            report=report,
        )
        self.batch_size, self.share, self.buffer = batch_size, share, buffer
        self._shards = _rows_by_shard(self.clips)
        if len(self._shards) < share[1]:
            raise ClaverError(
                f"{folder} has {len(self._shards)} shards for {share[1]} processes; write more with a smaller --size"
            )

    def order(self, epoch: int) -> tuple[list[int], list[int]]:
        """The rows of this process in an epoch: as they are read, and as they leave the buffer."""
        dealt = np.random.default_rng([self.seed, epoch, _SHARDS]).permutation(len(self._shards))
        read = [row for shard in dealt[self.share[0] :: self.share[1]] for row in self._shards[shard]]
        return read, _mixed(read, self.buffer, np.random.default_rng([self.seed, epoch, self.share[0], _BUFFER]))

    def _requests(self) -> Iterator[Request]:
        size = self.batch_size
        end = None if self.last_step is None else (self.last_step - self.first_step) * size
        stream = islice(self._stream(self.first_step * size), end)
        for number, (row, place) in enumerate(stream, start=self.first_step * size):
            request = self._request(number // size, row, size)
            if request.rows[0] == row:
                request.places = (place, *request.places[1:])
            yield request

    def _stream(self, skip: int) -> Iterator[tuple[int, Place]]:
        for epoch in count():
            read, shown = self.order(epoch)
            if skip < len(shown):
                yield from _carried(self.clips, read, shown[skip:])
            skip = max(0, skip - len(shown))


def _rows_by_shard(clips: Clips) -> list[list[int]]:
    """For each shard its rows in the order of their bytes."""
    table: dict[str, list[int]] = {}
    for row, place in enumerate(clips.places):
        table.setdefault(place.file, []).append(row)
    return [sorted(table[file], key=lambda row: clips.places[row].offset) for file in sorted(table)]


def _mixed(rows: Sequence[int], buffer: int, chance: np.random.Generator) -> list[int]:
    """The order in which rows leave a buffer, each drawn at random from those in it."""
    pool: list[int] = []
    mixed = []
    for row in rows:
        pool.append(row)
        if len(pool) > buffer:
            mixed.append(_drawn(pool, chance))
    while pool:
        mixed.append(_drawn(pool, chance))
    return mixed


def _drawn(pool: list[int], chance: np.random.Generator) -> int:
    place = int(chance.integers(len(pool)))
    pool[place], pool[-1] = pool[-1], pool[place]
    return pool.pop()


def _carried(clips: Clips, read: Sequence[int], shown: Sequence[int]) -> Iterator[tuple[int, Place]]:
    """Rows as they are shown with their bytes, read in the order of the disk and no earlier than needed."""
    wanted, held = set(shown), dict[int, Place]()
    coming = _contents(clips, [row for row in read if row in wanted])
    for row in shown:
        while row not in held:
            ahead, place = next(coming)
            held[ahead] = place
        yield row, held.pop(row)


def _contents(clips: Clips, rows: Sequence[int]) -> Iterator[tuple[int, Place]]:
    """Each row with its bytes at hand; where they cannot be read, its place as it is, to fail where it is counted."""
    current, file = "", None
    with ExitStack() as stack:
        for row in rows:
            place = clips.places[row]
            if place.file != current or file is None:
                stack.close()
                current, file = place.file, _opened(place.file, stack)
            yield row, _read(file, place)


def _opened(path: str, stack: ExitStack) -> BinaryIO | None:
    try:
        return stack.enter_context(open(path, "rb"))
    except OSError:
        return None


def _read(file: BinaryIO | None, place: Place) -> Place:
    if file is None or place.size is None:
        return place
    try:
        file.seek(place.offset)
        content = file.read(place.size)
    except OSError:
        return place
    return replace(place, content=content) if len(content) == place.size else place
