"""Many files through one encoder: beside a GPU the next batch is read while the present one is computed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests.videos import write_video
from torch import Tensor

from claver.inference.encoder import Failure, ViewEncoder, one_behind
from claver.inference.views import Views
from claver.video import Preprocess


class Elsewhere:
    """A model that says it is on some device, and is never asked for anything."""

    def __init__(self, kind: str) -> None:
        self.device = torch.device(kind)

    def encode_video(self, pixels_VTCHW: Tensor, /) -> Tensor:
        raise AssertionError("the encoder of this test computes by itself")


class Logged(ViewEncoder):
    """Notes when a batch is begun, and answers with the mean of each view."""

    def __init__(self, kind: str, log: list[str]) -> None:
        super().__init__(Elsewhere(kind), Views(), frames=2, preprocess=Preprocess(32, 32), damaged="answer")
        self.log = log

    def encode(self, views_VTCHW: Tensor, batch_size: int) -> Tensor:
        self.log.append("begun")
        return views_VTCHW.float().mean((-1, -2))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("videos")
    return [write_video(folder / f"{seed}.mp4", frames=4, seed=seed) for seed in range(5)]


def streamed(kind: str, videos: list[Path]) -> tuple[list[str], list[Tensor]]:
    log: list[str] = []

    def files() -> Iterator[Path]:
        for video in videos:
            log.append("read")
            yield video

    found = []
    for video in Logged(kind, log).stream(files(), batch_size=2):
        assert not isinstance(video, Failure)
        log.append("answered")
        found.append(video.frames)
    return log, found


def test_a_gpu_has_its_next_batch_before_the_answers_of_the_last_are_looked_at(videos: list[Path]) -> None:
    log, found = streamed("cuda", videos)
    batch, answers = ["read", "read", "begun"], ["answered", "answered"]
    assert log == [*batch, *batch, *answers, "read", "begun", *answers, "answered"]
    log, usual = streamed("cpu", videos)
    assert log == [*batch, *answers, *batch, *answers, "read", "begun", "answered"]
    for mine, theirs in zip(found, usual, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_what_is_computed_when_something_fails_is_not_lost(
    videos: list[Path], kind: str, error: type[BaseException]
) -> None:
    def files() -> Iterator[Path]:
        yield from videos[:4]
        raise error

    found: list[str] = []
    answers = Logged(kind, []).stream(files(), batch_size=2)
    with pytest.raises(error):
        found.extend(video.source for video in answers)
    assert found == [str(video) for video in videos[:4]]


def test_the_time_that_files_take_is_known(videos: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def files() -> Iterator[Path]:
        for video in videos:
            clock[0] += 3
            yield video

    monkeypatch.setattr("claver.inference.encoder.time.perf_counter", lambda: clock[0])
    encoder = Logged("cpu", [])
    for _ in encoder.stream(files(), batch_size=2):
        clock[0] += 1
    assert encoder.waited == 3 * len(videos)


def test_no_more_than_one_is_held_back() -> None:
    begun: list[int] = []

    def items() -> Iterator[int]:
        for number in range(4):
            begun.append(number)
            yield number

    ahead = [len(begun) - number for number in one_behind(items())]
    assert ahead == [2, 2, 2, 1]
    assert list(one_behind(iter(()))) == []
