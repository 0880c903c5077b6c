"""Sequential reading of shards, fast on network and spinning disks, with a shuffle buffer.

clips = open_shards("shards")
stream = ClipStream(clips, batch_size=128, seed=0)
for batch in ClipLoader(clips, stream.rows_at, ClipDecoder(frames=8), locations=stream.locations, first_step=100):
    ...
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from typing import BinaryIO

import numpy as np

from claver.data.clips import ClipLocation, Clips
from claver.data.manifest import Ints
from claver.errors import ClaverError

_SHARDS, _BUFFER = 13, 17  # keep the random numbers of the two shuffles apart


class ClipStream:
    """Which clips of a folder of shards this process reads at each step, and their bytes as they come off the disk.

    The shards come in a new random order for each epoch. Each process reads an unbroken part of it, and shares at
    most the first and the last shard there with another; on the way its clips pass through a buffer that mixes them.
    Over all processes every clip comes once in an epoch. Rows depend on (seed, step, share, buffer) alone, and to begin
    at any step is exact: clips of steps before it are not read.

    Args:
        clips: members of shards.
        batch_size: clips of a step in all processes together.
        seed: of both shuffles.
        share: (number of this process, number of processes); of a step each has as many as `numpy.array_split` gives.
        buffer: clips held in memory, compressed, to be mixed.
    """

    def __init__(
        self, clips: Clips, *, batch_size: int, seed: int = 0, share: tuple[int, int] = (0, 1), buffer: int = 512
    ) -> None:
        if batch_size < 1 or buffer < 1:
            raise ClaverError("batch_size and buffer must be at least 1")
        self.clips, self.batch_size, self.seed, self.buffer = clips, batch_size, seed, buffer
        self._shards, self._rank = _rows_by_shard(clips), share[0]
        parts = [len(part) for part in np.array_split(np.arange(batch_size), share[1])]
        self._bounds = [sum(parts[:process]) for process in range(share[1] + 1)]  # of the processes in a step's clips
        self._orders: dict[int, tuple[list[int], list[int]]] = {}

    def rows_at(self, step: int) -> Ints:
        """The rows of this process at a step, int64 [b]."""
        first, last = (self._seen(number * self.batch_size, self._rank) for number in (step, step + 1))
        rows: list[int] = []
        for epoch in count(step * self.batch_size // len(self.clips)):
            begun, ended = self._span(epoch, self._rank)
            rows += self.order(epoch)[1][max(0, first - begun) : max(0, last - begun)]
            if ended >= last:
                return np.array(rows, dtype=np.int64)
        raise AssertionError

    def locations(self, first_step: int) -> Iterator[ClipLocation]:
        """The clips of `rows_at` from a step on, without end, each with its bytes at hand."""
        first = self._seen(first_step * self.batch_size, self._rank)
        for epoch in count(first_step * self.batch_size // len(self.clips)):
            read, shown = self.order(epoch)
            yield from _carried(self.clips, read, shown[max(0, first - self._span(epoch, self._rank)[0]) :])

    def order(self, epoch: int) -> tuple[list[int], list[int]]:
        """The rows of this process in an epoch: as they are read, and as they leave the buffer."""
        if epoch not in self._orders:
            self._orders = {known: order for known, order in self._orders.items() if known >= epoch - 1}
            read = self._part(epoch)
            rng = np.random.default_rng([self.seed, epoch, self._rank, _BUFFER])
            self._orders[epoch] = read, _mixed(read, self.buffer, rng)
        return self._orders[epoch]

    def _part(self, epoch: int) -> list[int]:
        shuffled = np.random.default_rng([self.seed, epoch, _SHARDS]).permutation(len(self._shards))
        order = [row for shard in shuffled for row in self._shards[shard]]
        lengths = [ended - begun for begun, ended in (self._span(epoch, process) for process in range(self._rank + 1))]
        return order[sum(lengths[:-1]) : sum(lengths)]

    def _span(self, epoch: int, process: int) -> tuple[int, int]:
        """The clips a process has seen before an epoch, and after it."""
        size = len(self.clips)
        return self._seen(epoch * size, process), self._seen((epoch + 1) * size, process)

    def _seen(self, samples: int, process: int) -> int:
        """How many of the first samples of the run are a process's."""
        steps, rest = divmod(samples, self.batch_size)
        first, last = self._bounds[process : process + 2]
        return steps * (last - first) + min(max(rest - first, 0), last - first)


def _rows_by_shard(clips: Clips) -> list[list[int]]:
    """For each shard its rows in the order of their bytes."""
    table: dict[str, list[int]] = {}
    for row, location in enumerate(clips.locations):
        table.setdefault(location.file, []).append(row)
    return [sorted(table[file], key=lambda row: clips.locations[row].offset) for file in sorted(table)]


def _mixed(rows: Sequence[int], buffer: int, rng: np.random.Generator) -> list[int]:
    """The order in which rows leave a buffer, each drawn at random from those in it."""
    pool: list[int] = []
    mixed = []
    for row in rows:
        pool.append(row)
        if len(pool) > buffer:
            mixed.append(_drawn(pool, rng))
    while pool:
        mixed.append(_drawn(pool, rng))
    return mixed


def _drawn(pool: list[int], rng: np.random.Generator) -> int:
    location = int(rng.integers(len(pool)))
    pool[location], pool[-1] = pool[-1], pool[location]
    return pool.pop()


def _carried(clips: Clips, read: Sequence[int], shown: Sequence[int]) -> Iterator[ClipLocation]:
    """Clips as they are shown with their bytes, read in the order of the disk and no earlier than needed."""
    wanted, held = set(shown), dict[int, ClipLocation]()
    coming = _contents(clips, [row for row in read if row in wanted])
    for row in shown:
        while row not in held:
            ahead, location = next(coming)
            held[ahead] = location
        yield held.pop(row)


def _contents(clips: Clips, rows: Sequence[int]) -> Iterator[tuple[int, ClipLocation]]:
    """Each row with its bytes; where they cannot be read, its location as it is, to fail where it is counted."""
    current, file = "", None
    with ExitStack() as stack:
        for row in rows:
            location = clips.locations[row]
            if location.file != current or file is None:
                stack.close()
                current, file = location.file, _opened(location.file, stack)
            yield row, _read(file, location)


def _opened(path: str, stack: ExitStack) -> BinaryIO | None:
    try:
        return stack.enter_context(open(path, "rb"))
    except OSError:
        return None


def _read(file: BinaryIO | None, location: ClipLocation) -> ClipLocation:
    if file is None or location.size is None:
        return location
    try:
        file.seek(location.offset)
        content = file.read(location.size)
    except OSError:
        return location
    return replace(location, content=content) if len(content) == location.size else location
