"""Windows of many videos at once are those of each alone."""

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from tests.crashing import CrashingPreprocess, note_crashing
from tests.tiny import tiny_model
from tests.videos import write_video

from claver.errors import ClaverError
from claver.inference import VideoEncoder, WindowEncoder
from claver.inference.many_videos import EncodedVideo, Unencoded, encode_videos
from claver.inference.windows import Windows


@pytest.mark.parametrize("decoding", [{"threads": 1}, {"threads": 3}, {"workers": 2}])
def test_windows_are_those_of_each_video_alone(tmp_path: Path, decoding: dict[str, int]) -> None:
    paths = [str(write_video(tmp_path / f"{n}.mp4", frames=5 + 9 * n, seed=n)) for n in range(5)]
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    encoder = WindowEncoder(VideoEncoder(tiny_model()), fps=4, batch_size=5)
    found = {one.path: one for one in encode_videos(encoder, [*paths[:2], str(bad), *paths[2:]], **decoding)}  # type: ignore[arg-type]
    failed = found.pop(str(bad))
    assert isinstance(failed, Unencoded)
    assert not failed.passing
    assert sorted(found) == paths
    for path, one in found.items():
        alone = Windows.joined(list(encoder(path)))
        assert isinstance(one, EncodedVideo)
        assert one.windows.starts.tolist() == alone.starts.tolist()
        assert one.windows.stops.tolist() == alone.stops.tolist()
        assert torch.allclose(one.windows.embeddings, alone.embeddings, atol=1e-5)


def write_turning_white(path: Path) -> Path:
    """A video of 60 dark frames and 60 white ones."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(120):
            picture = np.full((48, 64, 3), 255 if number >= 60 else 20, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    return path


def test_a_crash_in_the_middle_of_a_video_costs_that_video_alone(tmp_path: Path) -> None:
    model = tiny_model()
    white = str(write_turning_white(tmp_path / "white.mp4"))
    paths = [str(write_video(tmp_path / f"{n}.mp4", frames=30, seed=n)) for n in range(4)]
    pre = CrashingPreprocess(**vars(model.config.preprocess))
    encoder = WindowEncoder(VideoEncoder(model, preprocess=pre), fps=10, batch_size=2)
    glanced: list[str] = []
    told = encode_videos(
        encoder, [*paths[:2], white, *paths[2:]], workers=2, glance=lambda path, _: glanced.append(path)
    )
    found = {one.path: one for one in told}
    assert white in glanced  # some of its frames had come
    crashed = found.pop(white)
    assert isinstance(crashed, Unencoded)
    assert str(crashed.error) == (
        f"{white}: the process that read it was killed by SIGSEGV, as when a decoder crashes."
    )
    assert not crashed.passing
    assert sorted(found) == paths
    whole = WindowEncoder(VideoEncoder(model), fps=10, batch_size=2)
    for path, one in found.items():
        assert isinstance(one, EncodedVideo)
        alone = Windows.joined(list(whole(path)))
        assert torch.allclose(one.windows.embeddings, alone.embeddings, atol=1e-5)


def test_what_may_do_another_time_is_told_apart_from_what_will_not(tmp_path: Path) -> None:
    names = ["fine", "killed", "hangs", "also fine"]
    paths = [str(write_video(tmp_path / f"{name}.mp4", frames=12)) for name in names]
    encoder = WindowEncoder(VideoEncoder(tiny_model()), fps=10)
    told = encode_videos(encoder, paths, workers=1, note=note_crashing, decode_timeout=2)
    found = {Path(one.path).stem: one for one in told}
    killed, hanging = found["killed"], found["hangs"]
    assert isinstance(killed, Unencoded)
    assert isinstance(hanging, Unencoded)
    assert (killed.passing, hanging.passing) == (True, True)
    assert "killed, by its decoder or for want of memory" in str(killed.error)
    assert "it gave no frame for 2 s and was given up" in str(hanging.error)
    assert [found[name].note for name in ("fine", "also fine")] == [f"note of {paths[0]}", f"note of {paths[3]}"]


def test_who_stops_early_leaves_no_worker_behind(tmp_path: Path) -> None:
    paths = [str(write_video(tmp_path / f"{n}.mp4", frames=60, seed=n)) for n in range(12)]
    encoder = WindowEncoder(VideoEncoder(tiny_model()), fps=10, batch_size=1)
    results = encode_videos(encoder, paths, workers=2)
    assert isinstance(next(results), EncodedVideo)
    own = multiprocessing.active_children()
    assert len(own) >= 1
    results.close()  # type: ignore[attr-defined]
    assert not any(process.is_alive() for process in own)


def test_what_ends_the_list_ends_the_run_and_no_thread_is_no_answer() -> None:
    encoder = WindowEncoder(VideoEncoder(tiny_model()), fps=5)

    def failing() -> Iterator[str]:
        yield from ()
        raise SystemError("no more names")

    with pytest.raises(SystemError, match="no more names"):
        list(encode_videos(encoder, failing()))
    for wrong, told in (
        ({"threads": 0}, "threads is at least 1, not 0"),
        ({"workers": -1}, "workers is at least 0, not -1"),
    ):
        with pytest.raises(ClaverError, match=told):
            list(encode_videos(encoder, ["clip.mp4"], **wrong))  # type: ignore[arg-type]
