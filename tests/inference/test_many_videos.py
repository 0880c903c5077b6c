"""Windows of many videos at once are those of each alone."""

from pathlib import Path

import pytest
import torch
from tests.tiny import tiny_model
from tests.videos import write_video

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
