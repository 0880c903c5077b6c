"""Frames decoded ahead wait for room, and ends for nothing."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, cast

import numpy as np
import pytest

from claver.inference.cutting import Cutter, VideoEnd, VideoFrames
from claver.inference.frames_ahead import FramesAhead

THREADS = 2
LONG = 40  # batches; many more than there is room for


class Decoder:
    """Gives LONG batches of the video "long" and none of any other; counts them."""

    given = 0

    def __call__(self, path: str, put: Callable[[VideoFrames], object]) -> VideoEnd:
        for tick in range(LONG if path == "long" else 0):
            put(VideoFrames(path, [tick], np.zeros((1, 3, 4, 4), np.uint8), 1.0))
            self.given += 1
        return VideoEnd(path)


def test_a_video_that_ends_before_anyone_listens_does_not_stop_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(future: Future[Any], hear: Callable[[Future[Any]], object]) -> None:
        wait([future], timeout=0.2)  # the short ones are over by now, and the long one has filled what room there is
        listen(future, hear)

    listen = Future.add_done_callback
    monkeypatch.setattr(Future, "add_done_callback", late)
    ahead = FramesAhead(cast(Cutter, Decoder()), iter(["long", "a", "b", "c", "d"]), threads=THREADS)
    taken: list[VideoFrames | VideoEnd] = []
    taking = threading.Thread(target=lambda: taken.extend(ahead), daemon=True)
    taking.start()
    taking.join(20)
    stuck = taking.is_alive()
    ahead.close()
    assert not stuck
    assert [item.ticks for item in taken if isinstance(item, VideoFrames)] == [[tick] for tick in range(LONG)]
    assert sorted(item.path for item in taken if isinstance(item, VideoEnd)) == ["a", "b", "c", "d", "long"]


def test_who_decodes_waits_as_long_as_nobody_takes() -> None:
    decoder = Decoder()
    with FramesAhead(cast(Cutter, decoder), iter(["long"]), threads=THREADS) as ahead:
        taken = iter(ahead)
        next(taken)
        time.sleep(0.3)
        assert 0 < decoder.given <= 2 * THREADS + 3
        assert len(list(taken)) == LONG
