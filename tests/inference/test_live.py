"""Live answers: what is pushed, files, and real streams on loopback that end, break off and come back."""

import itertools
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tiny import talking_model

import claver
from claver.errors import ClaverError, VideoError
from claver.inference.live import LiveRecognizer
from claver.inference.recognizer import Recognizer
from claver.video.iterating import TimedFrame
from claver.video.live_source import LiveSource
from claver.video.writing import write_clip

ACTIONS = ["waving", "a bow", "jumping"]
SERVER = Path(__file__).with_name("streaming_server.py")


def pictures(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 48, 64, 3), dtype=np.uint8)


def live(kind: str = "kmct", **settings: object) -> LiveRecognizer:
    return LiveRecognizer(talking_model(kind), ACTIONS, cache=False, **settings)  # type: ignore[arg-type]


def offline_scores(recognizer: Recognizer, frames: np.ndarray, window: int) -> np.ndarray:
    """Of the first of `window` frames of a clip, by the model on the whole of it."""
    filled = np.concatenate([frames, frames[:1].repeat(window - len(frames), axis=0)])
    encoder = recognizer.encoder
    with torch.inference_mode():
        pixels = encoder.normalized(encoder.preprocess.crop(filled))
        embeddings = recognizer.model.encode_video(pixels)[:, : len(frames)]
        return recognizer.bank.scores(embeddings.float(), recognizer.model.scale).numpy()


def test_every_pushed_frame_is_answered_as_offline() -> None:
    stream, frames = live(fps=None), pictures(11)
    for number, frame in enumerate(frames):
        moment = stream.push(frame, number / 4)
        clip = frames[number + 1 - moment.frames : number + 1]
        np.testing.assert_allclose(moment.scores, offline_scores(stream.recognizer, clip, 4), rtol=1e-4, atol=1e-4)
        assert (moment.seconds, moment.since) == (number / 4, (number + 1 - moment.frames) / 4)
        assert moment.seen == number + 1
        assert moment.frames >= min(number + 1, 3)
        assert moment.action == moment.top(1)[0].action == ACTIONS[int(moment.scores.argmax())]
        assert moment.latency > 0


def test_frames_that_come_too_soon_are_not_looked_at() -> None:
    stream, frames = live(fps=2), pictures(9)
    moments = [stream.push(frame, number / 8) for number, frame in enumerate(frames)]
    assert [moment.seen for moment in moments] == [1, 1, 1, 1, 2, 2, 2, 2, 3]
    assert moments[3] is moments[0]
    with pytest.raises(ClaverError, match=r"a frame of 0\.5 s cannot follow one of 1 s"):
        stream.push(frames[0], 0.5)
    stream.reset()
    assert stream.push(frames[0], 0.0).seen == 1


def test_several_streams_are_one_batch_and_answer_as_each_alone() -> None:
    both, alone = live(fps=None, streams=2), [live(fps=None), live(fps=None)]
    frames = [pictures(6, 1), pictures(6, 2)]
    for number in range(6):
        given = [(own[number], number / 4) for own in frames]
        pushed = both.push_all([given[0], None if number == 2 else given[1]])
        expected = [alone[0].push(*given[0])] + ([] if number == 2 else [alone[1].push(*given[1])])
        assert [moment.stream for moment in pushed] == ([0] if number == 2 else [0, 1])
        for got, want in zip(pushed, expected, strict=True):
            np.testing.assert_allclose(got.scores, want.scores, rtol=1e-4, atol=1e-4)
    with pytest.raises(ClaverError, match="2 streams, but frames of 1"):
        both.push_all([None])


def test_what_is_no_frame_or_no_setting_is_refused() -> None:
    with pytest.raises(VideoError, match="frame 0 must be"):
        live().push(np.zeros((4, 4), dtype=np.float32), 0)
    with pytest.raises(ClaverError, match="above 0"):
        live(fps=0)
    with pytest.raises(ClaverError, match="streams must be at least 1"):
        live(streams=0)
    for window in (0, -2):
        with pytest.raises(ClaverError, match=f"window must be at least 1 frame, .* not {window}$"):
            live(window=window)
    with pytest.raises(ClaverError, match="has its actions already"):
        LiveRecognizer(Recognizer(talking_model(), ACTIONS, cache=False), ACTIONS)
    with pytest.raises(VideoError, match=r"nothing\.mp4: there is no such file"):
        next(live().watch("nothing.mp4"))
    with pytest.raises(VideoError, match="addresses are read of rtsp"):
        next(live().watch("gopher://127.0.0.1/1"))
    with pytest.raises(ClaverError, match="1 streams, but 2 sources"):
        next(live().watch("a.mp4", "b.mp4"))


def test_scores_that_are_no_numbers_are_refused() -> None:
    stream = live()
    with torch.no_grad():
        stream.recognizer.model.logit_scale.fill_(torch.nan)
    with pytest.raises(VideoError, match=r"frame at 0\.25 s: the model gives non-finite scores for it"):
        stream.push(pictures(1)[0], 0.25)


def test_every_due_frame_of_a_file_is_answered(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", pictures(24), fps=8)
    stream = claver.LiveRecognizer(talking_model("kmct"), ACTIONS, fps=4, cache=False)
    moments = list(stream.watch(path))
    assert [moment.seconds for moment in moments] == [number / 4 for number in range(12)]
    assert {moment.dropped for moment in moments} == {0}
    assert [moment.seen for moment in stream.watch(path)] == list(range(1, 13))


@pytest.mark.parametrize(("rate", "fps", "seen"), [(10, 4, 8), (15, 4, 8), (30, 8, 16), (2, 4, 4)])
def test_frames_of_a_file_are_thinned_once(tmp_path: Path, rate: int, fps: int, seen: int) -> None:
    """Two seconds at a rate that is no multiple; of a frame that stays on screen there is one answer."""
    path = write_clip(tmp_path / "clip.mp4", pictures(2 * rate), fps=rate)
    moments = list(live(fps=fps).watch(path))
    assert [moment.seen for moment in moments] == list(range(1, seen + 1))
    assert len({moment.seconds for moment in moments}) == seen


def test_of_a_slow_answer_the_newest_frame_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "clip.mp4", pictures(40), fps=8)
    stream = live(fps=None)
    answer = stream._answer
    monkeypatch.setattr(stream, "_answer", lambda *given: (time.sleep(0.2), answer(*given)))
    moments = list(stream.watch(path, newest=True))
    assert moments[-1].seconds == 39 / 8
    assert moments[-1].dropped > 0
    assert moments[-1].dropped + len(moments) == 40


@contextmanager
def served(url: str, seconds: float, fps: int = 10) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, str(SERVER), url, str(seconds), str(fps)], stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def listening(port: int) -> None:
    """Wait until somebody listens there: to connect for a try would use up the one turn of a server of FFmpeg's."""
    table, until = Path("/proc/net/tcp"), time.monotonic() + 30
    while time.monotonic() < until:
        rows = [line.split() for line in table.read_text().splitlines()[1:]] if table.exists() else []
        if any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows):
            return
        time.sleep(0.1)
    assert not table.exists(), f"nobody listens at {port}"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.mark.slow
def test_a_tcp_stream_that_is_killed_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    port, moments = free_port(), []
    with caplog.at_level(logging.WARNING, "claver"), served(f"tcp://127.0.0.1:{port}?listen=1", 60) as first:
        listening(port)
        stream = live(fps=5).watch(f"tcp://127.0.0.1:{port}")
        moments += list(itertools.islice(stream, 5))
        first.kill()
        first.wait()
        with served(f"tcp://127.0.0.1:{port}?listen=1", 60):
            for moment in stream:
                moments.append(moment)
                if sum("tried again" in message for message in caplog.messages) and len(moments) > 30:
                    break
            stream.close()
    seconds = [moment.seconds for moment in moments]
    assert seconds == sorted(seconds)
    assert max(np.diff(seconds)) > 0.5, "the pause counts"
    assert sum("is lost" in message for message in caplog.messages) == 1


@pytest.mark.slow
def test_a_udp_stream_and_an_http_stream() -> None:
    port = free_port()
    with served(f"udp://127.0.0.1:{port}?pkt_size=1316", 60):
        stream = live(fps=5).watch(f"udp://127.0.0.1:{port}")
        assert [moment.seen for moment in itertools.islice(stream, 4)] == [1, 2, 3, 4]
        stream.close()
    port = free_port()
    with served(f"http://127.0.0.1:{port}/live.ts", 60):
        listening(port)
        stream = live(fps=5).watch(f"http://127.0.0.1:{port}/live.ts", reconnect=False)
        assert [moment.seen for moment in itertools.islice(stream, 4)] == [1, 2, 3, 4]
        stream.close()


@pytest.mark.slow
def test_nobody_there_is_one_sentence() -> None:
    with pytest.raises(VideoError, match=r"tcp://127\.0\.0\.1:\d+: it cannot be opened \(Connection refused\)"):
        next(live().watch(f"tcp://127.0.0.1:{free_port()}"))


def test_a_source_that_fails_does_not_end_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good, bad = write_clip(tmp_path / "good.mp4", pictures(24), fps=8), tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    with caplog.at_level(logging.WARNING, "claver"):
        moments = live(fps=4, streams=2).watch(good, bad)
        assert [moment.seen for moment in itertools.islice(moments, 12)] == list(range(1, 13))
        with pytest.raises(VideoError, match=r"bad\.mp4"):
            next(moments)
    assert sum("bad.mp4" in message for message in caplog.messages) == 1


class Flaky(LiveSource):
    """Opened three times, each time for some frames."""

    def frames(self, fps: float | None) -> Iterator[TimedFrame]:
        self.opened = getattr(self, "opened", 0) + 1
        if self.opened > 3:
            raise VideoError("<flaky>: gone.")
        for number in range(2):
            yield TimedFrame(number / 4, pictures(1, self.opened)[0])


def test_what_comes_back_is_another_clip_and_seconds_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(source: object) -> LiveSource:
        return Flaky("flaky", "network", "flaky")

    monkeypatch.setattr(LiveSource, "parse", staticmethod(parse))
    monkeypatch.setattr("claver.video.live_source.FIRST_WAIT", 0.3)
    stream = live(fps=4).watch("flaky", newest=False)
    moments = list(itertools.islice(stream, 6))
    stream.close()
    assert [moment.seen for moment in moments] == [1, 2] * 3
    assert [moment.frames for moment in moments] == [1, 2] * 3
    seconds = [moment.seconds for moment in moments]
    assert seconds == sorted(set(seconds))
    assert seconds[2] >= 0.3


def test_a_password_is_not_told() -> None:
    source = LiveSource.parse("rtsp://me:secret@camera/1")
    assert (source.name, source.target) == ("rtsp://camera/1", "rtsp://me:secret@camera/1")


def test_a_calibration_holds_for_its_views_and_frames() -> None:
    recognizer = Recognizer(talking_model("kmct"), ACTIONS, cache=False, views="4x3")
    assert recognizer.open_set is not None
    assert LiveRecognizer(recognizer).window == recognizer.frames
    recognizer.open_set = replace(recognizer.open_set, threshold=1.0)
    with pytest.raises(ClaverError, match="made of 4 frames in views 4x3, live answers are of 4 in 1x1"):
        LiveRecognizer(recognizer)
