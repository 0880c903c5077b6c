"""Motion clips as MP4 files: they decode to what was drawn, and nothing of the user's is overwritten."""

import csv

import av
import numpy as np
import pytest

from claver.errors import ClaverError
from claver.motion.rendering import render_clips, verb_names, write_clip, write_clips


def decode(path):
    with av.open(str(path)) as container:
        rate = container.streams.video[0].average_rate
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]), rate


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b.astype(float)) ** 2))


def test_a_written_clip_decodes_to_its_frames(tmp_path):
    clips = render_clips(range(12), split="test", size=128, frames=24)
    for i, frames in enumerate(clips.frames):
        decoded, rate = decode(write_clip(tmp_path / "new folder" / f"{i}.mp4", frames, fps=12))
        assert decoded.shape == frames.shape
        assert rate == 12
        assert min(psnr(a, b) for a, b in zip(decoded, frames, strict=True)) > 30
    assert len(list((tmp_path / "new folder").iterdir())) == 12  # and no leftovers


def test_a_large_file_shrunk_to_32_pixels_is_the_small_clip(tmp_path):
    """What is learned on small tensors meets the same pictures in files: 8 segment centres of 24 frames, 128 → 32."""
    small = render_clips(range(12), split="test").frames
    for i, frames in enumerate(render_clips(range(12), split="test", size=128, frames=24).frames):
        decoded = decode(write_clip(tmp_path / f"{i}.mp4", frames))[0][1::3]
        shrunk = decoded.reshape(8, 32, 4, 32, 4, 3).mean((2, 4))
        assert psnr(shrunk, small[i]) > 33


def test_a_folder_of_clips_has_a_class_per_verb_and_a_manifest(tmp_path):
    manifest = write_clips(tmp_path / "clips", split="test", count=14, size=64, frames=6)
    with manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == [verb_names()[i % 12] for i in range(14)]
    expected = render_clips(range(14), split="test", size=64, frames=6).frames
    for row, frames in zip(rows, expected, strict=True):
        assert row["path"].startswith(row["label"].replace(" ", "_") + "/")
        assert psnr(decode(manifest.parent / row["path"])[0], frames) > 30


def test_a_folder_is_never_overwritten(tmp_path):
    options = {"split": "test", "count": 2, "size": 32, "frames": 4}
    (tmp_path / "empty").mkdir()
    manifest = write_clips(tmp_path / "empty", **options)
    written = manifest.stat().st_mtime_ns
    assert write_clips(tmp_path / "empty", **options).stat().st_mtime_ns == written
    with pytest.raises(ClaverError, match="other settings"):
        write_clips(tmp_path / "empty", **(options | {"count": 3}))
    foreign = tmp_path / "mine"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("years of work")
    with pytest.raises(ClaverError, match="something else"):
        write_clips(foreign, **options)
    with pytest.raises(ClaverError, match="something else"):
        write_clips(foreign / "thesis.txt", **options)
    assert (foreign / "thesis.txt").read_text() == "years of work"


def test_a_folder_that_fails_half_way_leaves_nothing(tmp_path, monkeypatch):
    calls = []

    def failing(path, frames, fps):
        calls.append(path)
        if len(calls) == 3:
            raise OSError("disk full")
        path.write_bytes(b"")

    monkeypatch.setattr("claver.motion.files.encode", failing)
    with pytest.raises(OSError, match="disk full"):
        write_clips(tmp_path / "clips", split="test", count=5, size=32, frames=4)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((4, 33, 32, 3), np.uint8), "even height"),
        (np.zeros((4, 32, 32), np.uint8), "frames"),
        (np.zeros((4, 32, 32, 3), np.float32), "uint8"),
        (np.zeros((0, 32, 32, 3), np.uint8), "frames"),
    ],
)
def test_what_cannot_be_a_clip_is_refused(tmp_path, frames, message):
    with pytest.raises(ClaverError, match=message):
        write_clip(tmp_path / "x.mp4", frames)
    assert list(tmp_path.iterdir()) == []


def test_odd_sizes_and_counts_are_refused_before_anything_is_written(tmp_path):
    for wrong in ({"size": 33}, {"count": 0}, {"fps": 0}):
        with pytest.raises(ClaverError):
            write_clips(tmp_path / "x", **({"split": "test", "count": 1, "size": 32, "frames": 4} | wrong))
    assert list(tmp_path.iterdir()) == []
