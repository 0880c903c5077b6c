"""Windows of many videos at once are those of each alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests.tiny import tiny_model
from tests.videos import write_video

from claver.errors import ClaverError
from claver.inference import VideoEncoder, WindowEncoder
from claver.inference.many_videos import EncodedVideo, Unencoded, encode_videos
from claver.inference.windows import Windows


@pytest.mark.parametrize("threads", [1, 3])
def test_windows_are_those_of_each_video_alone(tmp_path: Path, threads: int) -> None:
    paths = [str(write_video(tmp_path / f"{n}.mp4", frames=5 + 9 * n, seed=n)) for n in range(5)]
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    encoder = WindowEncoder(VideoEncoder(tiny_model()), fps=4, batch_size=5)
    found = {one.path: one for one in encode_videos(encoder, [*paths[:2], str(bad), *paths[2:]], threads=threads)}
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


def test_what_ends_a_thread_ends_the_run_and_no_thread_is_no_answer() -> None:
    encoder = WindowEncoder(VideoEncoder(tiny_model()), fps=5)

    def failing() -> Iterator[str]:
        yield from ()
        raise SystemError("no more names")

    with pytest.raises(SystemError, match="no more names"):
        list(encode_videos(encoder, failing()))
    with pytest.raises(ClaverError, match="at least 1, not 0"):
        list(encode_videos(encoder, ["clip.mp4"], threads=0))
