"""An index of vectors: what it finds is what comparing all finds, whatever came, went or was merged since."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from claver.errors import ClaverError
from claver.index import store as module
from claver.index import vectors
from claver.index.store import Rows, WindowStore

pytest.importorskip("lancedb", reason="lancedb (extra search) is not installed")
WIDTH = 64


def rows(files: range, seed: int = 0) -> Rows:
    """Ten windows of each file around a vector of its own."""
    rng = np.random.default_rng((seed, files.start))
    centres = np.repeat(rng.standard_normal((len(files), WIDTH)), 10, axis=0)
    found = centres + 0.5 * rng.standard_normal(centres.shape)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    starts = np.tile(np.arange(10, dtype=np.float32), len(files))
    return Rows(np.repeat(np.array(files, np.int32), 10), starts, starts + 2, found.astype(np.float16))


@pytest.fixture
def store(tmp_path: Path) -> WindowStore:
    made = WindowStore(tmp_path, WIDTH, write=True)
    made.append(rows(range(200)))
    return made


def queries(count: int = 20) -> np.ndarray:
    found = np.random.default_rng(9).standard_normal((count, WIDTH)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def names(found: Rows) -> list[tuple[int, float]]:
    return list(zip(found.files.tolist(), found.starts.tolist(), strict=True))


def recall(store: WindowStore, *, files: list[int] | None = None) -> float:
    """Of the ten nearest of every query, by comparing all, the share that is among 800 candidates of the index."""
    shares = []
    for query in queries():
        exact = names(store.nearest(query, 10, files=files, exact=True))
        shares.append(len(set(exact) & set(names(store.nearest(query, 800, files=files)))) / len(exact))
    return float(np.mean(shares))


def test_the_nearest_are_those_of_comparing_all(store: WindowStore) -> None:
    assert store.partitions is None
    assert store.unindexed() == 2000
    assert store.build() == 2000
    assert (store.partitions, store.unindexed()) == (vectors.partitions_of(2000), 0)
    assert recall(store) > 0.95
    for query in queries(5):  # candidates are compared by the vectors themselves: the order is exact
        assert names(store.nearest(query, 2000))[:20] == names(store.nearest(query, 20, exact=True))


def test_the_index_is_what_is_asked(store: WindowStore) -> None:
    """With codes of one bit, a single candidate is mostly not the nearest: so it was not found by comparing all."""
    store.build()
    first = [names(store.nearest(query, 1)) == names(store.nearest(query, 1, exact=True)) for query in queries(40)]
    assert not all(first)


def test_what_is_added_later_is_found_and_what_is_deleted_is_not(
    store: WindowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.build()
    new = rows(range(500, 520), seed=1)
    store.append(new)
    assert store.unindexed() == 200
    query = new.vectors[25].astype(np.float32)
    assert names(store.nearest(query, 1)) == [(502, 5.0)]
    store.compact()
    assert store.unindexed() == 200  # not worth writing the index anew
    monkeypatch.setattr(module, "_UNINDEXED", 200)
    store.compact()
    assert store.unindexed() == 0
    assert names(store.nearest(query, 1)) == [(502, 5.0)]
    assert recall(store) > 0.95
    store.delete([502])
    assert 502 not in store.nearest(query, 400).files
    monkeypatch.setattr(module, "_UNINDEXED", 0)
    store.compact()
    assert 502 not in store.nearest(query, 400).files
    assert recall(store) > 0.95
    assert store.build() == 2190
    assert recall(store) > 0.95


def test_many_small_files_are_merged_and_taken_in(store: WindowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.build()
    monkeypatch.setattr(module, "_SMALL", 4)
    for at in range(3):
        assert store.unindexed() == 10 * at
        store.append(rows(range(600 + at, 601 + at)))
        store.compact()
    assert store.unindexed() == 0


def test_few_files_are_searched_in_all_partitions(store: WindowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "CODES", 1)
    monkeypatch.setattr(vectors, "SHARE", 0.01)
    store.build()
    assert vectors.probes_of(6, 2000) == 1
    assert len(store.nearest(queries()[0], 60, files=[3, 77, 150])) == 30
    assert recall(store, files=[3, 77, 150]) == 1


def test_another_build_leaves_one_index(store: WindowStore) -> None:
    store.build()
    store.append(rows(range(1000, 2000)))
    store.build()
    assert store.partitions == vectors.partitions_of(12000)
    assert len(store._indexes()) == 1


def test_what_cannot_be_indexed_is_told(tmp_path: Path) -> None:
    with pytest.raises(ClaverError, match="no windows yet"):
        WindowStore(tmp_path, WIDTH, write=True).build()
    (tmp_path / "odd").mkdir()
    odd = WindowStore(tmp_path / "odd", 30, write=True)
    few = rows(range(3))
    odd.append(Rows(few.files, few.starts, few.stops, np.ascontiguousarray(few.vectors[:, :30])))
    with pytest.raises(ClaverError, match=r"cannot be indexed: .*divisible by 8"):
        odd.build()
    assert odd.partitions is None


INTERRUPTED = """
import os, signal, sys, threading, time
from pathlib import Path
from claver.index.store import WindowStore
from claver.index.vectors import name_of
store = WindowStore(Path(sys.argv[1]), 64, write=True)
threading.Timer(0.02, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    store.build()
    print("built")
except KeyboardInterrupt:
    time.sleep(2)  # what goes on behind it would be there by now
    print("interrupted", store._indexes())
"""


def test_interrupted_it_leaves_everything_as_it_was(tmp_path: Path) -> None:
    store = WindowStore(tmp_path, WIDTH, write=True)
    store.append(rows(range(3000)))
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert "interrupted []" in done.stdout, done
    assert store.partitions is None
    assert len(store.nearest(queries()[0], 10)) == 10
    assert store.build() == 30_000


@pytest.mark.parametrize(
    ("windows", "partitions", "probes"), [(1, 1, 1), (2000, 6, 6), (1_000_000, 125, 125), (100_000_000, 1250, 625)]
)
def test_sizes(windows: int, partitions: int, probes: int) -> None:
    assert vectors.partitions_of(windows) == partitions
    assert vectors.probes_of(partitions, windows) == probes


def test_when_it_should_be_built_again() -> None:
    assert not vectors.grown(3_000_000, vectors.partitions_of(1_000_000))
    assert vectors.grown(4_100_000, vectors.partitions_of(1_000_000))
    assert not vectors.grown(500, 1)
