"""The speed of a search: `python -m benchmarks.search 1000000 --build`, a minute or two for a million windows.

Vectors of windows as videos have them: topics, videos around topics, scenes of a video, windows of a scene, all around
a common mean, with a spectrum that falls. Queries are clips of another scene of a video that is there, videos that are
not there of a topic that is, and texts, which lie apart from all windows. `--build` indexes the vectors, too, and
compares.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from claver.index.store import Rows, WindowStore

Floats = npt.NDArray[np.float32]
WIDTH, PER_VIDEO, PER_SCENE, TOPICS, QUERIES = 512, 100, 8, 500, 20
SHARES = {"mean": 0.45, "topic": 0.15, "video": 0.2, "scene": 0.12, "window": 0.08}  # of a vector's square
CANDIDATES, NEAREST = 2000, 10
ROOTS = {name: share**0.5 for name, share in SHARES.items()}


class World:
    """Vectors of videos that can be drawn again, one by one."""

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        falling = (np.arange(WIDTH) + 10.0) ** -0.5
        self.spectrum = (falling / np.linalg.norm(falling)).astype(np.float32)
        self.mean = unit(self._draw(rng, 1))[0]
        self.topics = self._draw(rng, TOPICS)
        self.apart = unit(rng.standard_normal((1, WIDTH), dtype=np.float32))[0]

    def _draw(self, rng: np.random.Generator, count: int) -> Floats:
        drawn: Floats = rng.standard_normal((count, WIDTH), dtype=np.float32) * self.spectrum
        return drawn

    def video(self, number: int) -> tuple[Floats, Floats, Floats]:
        """Vectors of its windows [W, E], of its topic and of the video itself [E]."""
        rng = np.random.default_rng((1, number))
        topic, own = self.topics[rng.integers(TOPICS)], self._draw(rng, 1)[0]
        scenes = np.repeat(self._draw(rng, -(-PER_VIDEO // PER_SCENE)), PER_SCENE, axis=0)[:PER_VIDEO]
        around = ROOTS["scene"] * scenes + ROOTS["window"] * self._draw(rng, PER_VIDEO)
        return unit(self.around(topic) + ROOTS["video"] * own + around), topic, own

    def around(self, topic: Floats) -> Floats:
        """What all windows of a topic have in common."""
        common: Floats = ROOTS["mean"] * self.mean + ROOTS["topic"] * topic
        return common

    def queries(self, videos: int) -> dict[str, Floats]:
        """Some of each kind [Q, E]."""
        rng = np.random.default_rng(2)
        found: dict[str, list[Floats]] = {"another scene": [], "another video": [], "text": []}
        for _ in range(QUERIES):
            _, topic, own = self.video(int(rng.integers(videos)))
            scene, other = self._draw(rng, 2)
            found["another scene"].append(self.around(topic) + ROOTS["video"] * own + ROOTS["scene"] * scene)
            found["another video"].append(self.around(topic) + ROOTS["video"] * other + ROOTS["scene"] * scene)
            meant = ROOTS["topic"] * topic + ROOTS["video"] * (0.5 * own + 0.8 * other)
            found["text"].append(0.5 * unit(meant[None])[0] + 0.87 * self.apart)
        return {kind: unit(np.stack(vectors)) for kind, vectors in found.items()}


def unit(vectors: Floats) -> Floats:
    """The same of length 1."""
    scaled: Floats = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return scaled


def filled(world: World, videos: int, at_once: int = 500) -> Iterator[Rows]:
    """Windows of videos, many at once."""
    for start in range(0, videos, at_once):
        numbers = np.arange(start, min(start + at_once, videos), dtype=np.int32)
        vectors = np.concatenate([world.video(int(number))[0] for number in numbers]).astype(np.float16)
        starts = np.tile(np.arange(PER_VIDEO, dtype=np.float32), len(numbers))
        yield Rows(np.repeat(numbers, PER_VIDEO), starts, starts + 2, vectors)


def names(rows: Rows) -> set[tuple[int, float]]:
    """What tells windows apart."""
    return set(zip(rows.files.tolist(), rows.starts.tolist(), strict=True))


def speed(rows: int, build: bool) -> None:
    """Seconds of a search that compares all and, side by side, of one by the index of vectors."""
    world, videos = World(), max(1, rows // PER_VIDEO)
    with TemporaryDirectory() as name:
        store = WindowStore(Path(name), WIDTH, write=True)
        for part in filled(world, videos):
            store.append(part)
        store.compact()
        print(f"{len(store):,} × {WIDTH} float16, {megabytes(name):,.0f} MB with what was merged just now", flush=True)
        before = megabytes(name)
        if build:
            began = time.perf_counter()
            store.build()
            more = megabytes(name) - before
            print(f"built in {time.perf_counter() - began:.1f} s, {more:,.0f} MB, {store.partitions} partitions")
        for kind, queries in world.queries(videos).items():
            print(f"{kind}: {compared(store, queries, build)}", flush=True)


def compared(store: WindowStore, queries: Floats, build: bool) -> str:
    """Medians over queries, and the share of the ten nearest that is among the candidates of the index."""
    exact, near, recall = [], [], []
    for query in queries:
        began = time.perf_counter()
        all_compared = store.nearest(query, CANDIDATES, exact=True)
        exact.append(time.perf_counter() - began)
        if build:
            began = time.perf_counter()
            found = store.nearest(query, CANDIDATES)
            near.append(time.perf_counter() - began)
            best = names(all_compared.select(slice(NEAREST)))
            recall.append(len(best & names(found)) / len(best))
    told = f"all compared {statistics.median(exact):.2f} s"
    if not build:
        return told
    ratio = statistics.median(exact) / statistics.median(near)
    return f"{told}, indexed {statistics.median(near):.3f} s ({ratio:.0f}×), recall@10 {statistics.mean(recall):.3f}"


def megabytes(folder: str) -> float:
    """On disk."""
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="?", type=int, default=1_000_000, help="windows")
    parser.add_argument("--build", action="store_true", help="index the vectors, and compare")
    options = parser.parse_args()
    speed(options.rows, options.build)


if __name__ == "__main__":
    main()
