"""After every frame the answer is that of an offline clip that ends with it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tiny import tiny_model

from claver.errors import ClaverError
from claver.inference.streaming import StreamEncoder
from claver.log import warn_once
from claver.models import Claver

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def frames(batch: int, count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, count, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def offline(model: Claver, clip_BTCHW: torch.Tensor, window: int) -> torch.Tensor:
    """The model on a clip of `window` frames, of which the first come from the stream; the rest is anything."""
    missing = window - clip_BTCHW.shape[1]
    filled = torch.cat([clip_BTCHW, clip_BTCHW[:, :1].expand(-1, missing, -1, -1, -1)], dim=1)
    with torch.no_grad():
        return model.encode_video(filled)[:, : clip_BTCHW.shape[1]]


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 2), st.integers(1, 6), st.integers(1, 20), st.integers(0, 2**31))
def test_a_causal_stream_answers_as_the_last_half_to_whole_window(
    batch: int, window: int, count: int, seed: int
) -> None:
    model = tiny_model("kmct", frames=4)
    video, stream = frames(batch, count, seed), StreamEncoder(model, window)
    for number in range(count):
        got = stream.push(video[:, number])
        length = got.shape[1]
        assert min(number + 1, window // 2 + 1) <= length <= window
        begun = number + 1 - length
        torch.testing.assert_close(got, offline(model, video[:, begun : number + 1], window), **CLOSE)
    assert stream.seen == count


@pytest.mark.parametrize("kind", ["kmt", "joint", "pipeline", "class", "mean"])
def test_other_kinds_answer_as_the_clip_of_the_last_frames(kind: str) -> None:
    model, window = tiny_model(kind, frames=4), 4
    video, stream = frames(2, 7), StreamEncoder(model)
    assert stream.window == window
    for number in range(7):
        got = stream.push(video[:, number])
        with torch.no_grad():
            expected = model.encode_video(video[:, number + 1 - got.shape[1] : number + 1])
        torch.testing.assert_close(got, expected, **CLOSE)


@pytest.mark.parametrize(
    ("kind", "window", "said"),
    [
        ("kmt", 4, ["temporal embedding interpolated to 1, 2, … frames until a stream has the 4 of its window"]),
        (
            "kmt",
            3,
            [
                "temporal embedding interpolated to 1, 2, … frames until a stream has the 3 of its window",
                "temporal embedding interpolated from 4 to 3 frames",
            ],
        ),
        ("mean", 4, []),
    ],
)
def test_that_a_stream_is_filling_is_said_once(
    kind: str, window: int, said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    warn_once.cache_clear()
    model, video = tiny_model(kind, frames=4), frames(1, 7)
    for _ in range(2):
        stream = StreamEncoder(model, window)
        for number in range(7):
            stream.push(video[:, number])
    assert caplog.messages == said
    if kind == "kmt":
        with torch.no_grad():
            model.encode_video(video[:, :2])
        assert caplog.messages == [*said, "temporal embedding interpolated from 4 to 2 frames"]


def test_memory_is_bounded_and_a_reset_begins_anew() -> None:
    model = tiny_model("kmct", frames=4)
    video, stream = frames(1, 30), StreamEncoder(model)
    first = [stream.push(video[:, number]) for number in range(8)]
    taken = stream.nbytes
    for number in range(8, 30):
        stream.push(video[:, number])
    assert stream.nbytes == taken > 0
    stream.reset()
    assert stream.seen == 0
    for number in range(8):
        assert torch.equal(stream.push(video[:, number]), first[number])


@pytest.mark.parametrize("kind", ["kmct", "kmt"])
def test_the_image_tower_runs_once_for_each_frame(kind: str) -> None:
    model, calls = tiny_model(kind, frames=4), []
    model.image.register_forward_pre_hook(lambda tower, given: calls.append(len(given[0])))
    stream = StreamEncoder(model)
    for number in range(9):
        stream.push(frames(3, 9)[:, number])
    assert calls == [3] * 9


def test_a_window_has_a_frame() -> None:
    with pytest.raises(ClaverError, match="at least 1 frame, not 0"):
        StreamEncoder(tiny_model("kmct"), 0)
