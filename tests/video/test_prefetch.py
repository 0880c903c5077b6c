"""Files worked on ahead, in order, by processes that may die."""

import os
import time
from pathlib import Path

import pytest

from claver.errors import VideoError
from claver.video.prefetch import prefetch


def work(path: str) -> str:
    """What a name asks for: a result, an error, or the end of the process."""
    if "kill" in path:
        os._exit(9)
    if "bad" in path:
        raise VideoError(f"{path}: bad.")
    if "huge" in path:
        raise MemoryError
    time.sleep(0.02 if "slow" in path else 0)
    return path.upper()


@pytest.mark.parametrize("workers", [0, 2])
def test_results_and_errors_come_in_order(workers: int) -> None:
    names = ["a slow", "b", "c bad", "d huge", "e slow", "f"]
    results = list(prefetch(names, work, workers=workers))
    assert [name for name, _ in results] == names
    assert [r for _, r in results if isinstance(r, str)] == ["A SLOW", "B", "E SLOW", "F"]
    errors = [str(r) for _, r in results if isinstance(r, VideoError)]
    assert errors == ["c bad: bad.", "d huge: there is not enough memory for its frames."]


def test_a_file_that_kills_its_process_stops_no_other() -> None:
    names = ["a", "b kill", "c slow", "d", "e kill", "f"]
    results = dict(prefetch(names, work, workers=2))
    assert list(results) == names
    assert [results[name] for name in ("a", "c slow", "d", "f")] == ["A", "C SLOW", "D", "F"]
    for name in ("b kill", "e kill"):
        assert "the process that read it was killed" in str(results[name])


def test_no_more_than_depth_files_are_in_work(tmp_path: Path) -> None:
    taken = []

    def names() -> list[str]:
        for name in "abcdefgh":
            taken.append(name)
            yield name

    stream = prefetch(names(), work, workers=1, depth=3)
    next(stream)
    assert taken == ["a", "b", "c"]
    assert [name for name, _ in stream] == list("bcdefgh")


@pytest.mark.parametrize("depth", [0, -1])
def test_a_depth_of_none_is_refused_and_loses_no_file(depth: int) -> None:
    with pytest.raises(ValueError, match=f"depth must be at least 1, not {depth}"):
        next(prefetch(["a"], work, workers=1, depth=depth))
