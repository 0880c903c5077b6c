"""Batches: the same for any number of workers and any first step; bad clips replaced and counted, too many refused."""

import os
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.videos import write_ffv1, write_video

from claver.data import CenterCrop, ClipDecoder, ClipLoader, Clips, Manifest, Sample, open_clips, read_in_order
from claver.errors import ClaverError, VideoError
from claver.training.sampling import batch_at
from claver.video import Preprocess, load_views
from claver.video.reader import Frames

CLASSES = ("bow", "wave")
READING = ClipDecoder(frames=4, short_side=32, crop=CenterCrop(28))


class RandomCut:
    """A cut that draws, as training's does."""

    def __call__(self, frames: Frames, rng: np.random.Generator) -> Frames:
        top, left = rng.integers(0, 4, 2)
        return frames[:, top : top + 28, left : left + 28]


class DeadlyCut:
    """Kills its process on the clip that is 40 pixels high; once only if `flag` is a file to mark that."""

    def __init__(self, flag: str = "") -> None:
        self.flag = flag

    def __call__(self, frames: Frames, rng: np.random.Generator) -> Frames:
        if frames.shape[1] == 40 and not (self.flag and os.path.exists(self.flag)):
            if self.flag:
                Path(self.flag).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return frames[:, :28, :28]


def clips_in(folder: Path, count: int = 10, bad: tuple[int, ...] = (), odd: tuple[int, ...] = ()) -> Clips:
    for n in range(count):
        path = folder / f"{n}.mp4"
        write_video(path, seed=n, frames=8 + n, height=40 if n in odd else 48)
        if n in bad:
            path.write_bytes(b"broken")
    return open_clips(Manifest(CLASSES, tuple(Sample(f"{n}.mp4", n % 2) for n in range(count)), folder))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return clips_in(tmp_path_factory.mktemp("clips"))


def rows_for(clips: Clips, batch_size: int = 4):  # type: ignore[no-untyped-def]
    return partial(batch_at, samples=len(clips), batch_size=batch_size, seed=0)


def test_batches_are_the_same_for_any_number_of_workers_and_any_first_step(clips: Clips) -> None:
    decoder = ClipDecoder(frames=4, short_side=32, crop=RandomCut())
    whole = list(ClipLoader(clips, rows_for(clips), decoder, seed=1, last_step=5))
    assert [batch.step for batch in whole] == list(range(5))
    assert whole[0].frames.shape == (4, 4, 28, 28, 3)
    assert whole[0].frames.dtype == torch.uint8
    for batch in whole:
        assert np.array_equal(batch.rows, rows_for(clips)(batch.step))
        assert batch.labels.tolist() == (batch.rows % 2).tolist()
    for workers, first in ((2, 0), (0, 2)):
        later = list(
            ClipLoader(clips, rows_for(clips), decoder, seed=1, first_step=first, last_step=5, workers=workers)
        )
        for ours, theirs in zip(later, whole[first:], strict=True):
            assert ours.step == theirs.step
            assert torch.equal(ours.frames, theirs.frames)
    other = next(iter(ClipLoader(clips, rows_for(clips), decoder, seed=2)))
    assert not torch.equal(other.frames, whole[0].frames)


def test_shares_of_a_batch_have_the_clips_of_the_whole(clips: Clips) -> None:
    """Two processes with half a batch each see what one sees: random numbers hang on the clip, not on its place."""
    decoder = ClipDecoder(frames=4, short_side=32, crop=RandomCut())
    [whole] = ClipLoader(clips, rows_for(clips), decoder, last_step=1)
    halves = [
        next(iter(ClipLoader(clips, lambda step, part=part: rows_for(clips)(step)[part], decoder)))
        for part in (slice(0, 2), slice(2, 4))
    ]
    assert torch.equal(torch.cat([half.frames for half in halves]), whole.frames)


def test_a_clip_is_read_as_the_preprocessing_reads_it(clips: Clips) -> None:
    decoder = ClipDecoder(frames=4, short_side=32, crop=CenterCrop(28), sampling="centre", views=3)
    frames = clips.read(3, decoder)
    assert frames.shape == (12, 28, 28, 3)
    preprocess = Preprocess(size=28, short_side=32, mean=(0.0, 0.0, 0.0), std=(1 / 255, 1 / 255, 1 / 255))
    views = load_views(clips.locations[3].file, frames=4, temporal_views=3, preprocess=preprocess)
    assert torch.allclose(torch.from_numpy(frames).permute(0, 3, 1, 2).float(), views.flatten(0, 1), atol=1e-3)


def test_a_bad_clip_is_replaced_by_another_of_its_class_and_reported(tmp_path: Path) -> None:
    clips = clips_in(tmp_path, bad=(2, 5))
    loader = ClipLoader(clips, rows_for(clips, 10), READING, last_step=2)
    batches = list(loader)
    for batch in batches:
        wanted = rows_for(clips, 10)(batch.step)
        assert batch.labels.tolist() == (wanted % 2).tolist()
        assert (batch.rows != wanted).sum() == 2
        assert not {2, 5} & set(batch.rows.tolist())
    assert sorted(bad.row for bad in loader.replaced) == [2, 5]
    assert all(bad.cause.startswith(bad.path) for bad in loader.replaced)
    # One that begins later, knowing nothing of the first step, agrees.
    [later] = ClipLoader(clips, rows_for(clips, 10), READING, first_step=1, last_step=2, workers=1)
    assert torch.equal(later.frames, batches[1].frames)
    assert np.array_equal(later.rows, batches[1].rows)


def test_too_many_bad_clips_end_the_run_with_the_list(tmp_path: Path) -> None:
    clips = clips_in(tmp_path, 30, bad=tuple(range(2, 26, 2)))
    loader = ClipLoader(clips, rows_for(clips, 30), READING, report=tmp_path / "bad.txt")
    with pytest.raises(
        ClaverError, match=r"11 of 30 clips cannot be read, more than the 10 that are tolerated"
    ) as error:
        next(iter(loader))
    assert str(tmp_path / "bad.txt") in str(error.value)
    assert len((tmp_path / "bad.txt").read_text().splitlines()) == 11


def test_a_class_without_a_readable_clip_is_named(tmp_path: Path) -> None:
    clips = clips_in(tmp_path, 4, bad=(1, 3))
    with pytest.raises(ClaverError, match=r"no clip of class 'wave' that was tried can be read: .*/[13].mp4: FFmpeg"):
        next(iter(ClipLoader(clips, rows_for(clips), READING)))


def test_a_worker_killed_from_outside_costs_nothing(tmp_path: Path) -> None:
    clips = clips_in(tmp_path, 4, odd=(3,))
    deadly = ClipDecoder(frames=4, short_side=None, crop=DeadlyCut(str(tmp_path / "killed")))
    loader = ClipLoader(clips, lambda step: np.array([3, 0]), deadly, last_step=1, workers=1)
    [batch] = loader
    assert (tmp_path / "killed").exists()
    assert loader.replaced == []
    [expected] = ClipLoader(clips, lambda step: np.array([3, 0]), deadly, last_step=1)
    assert torch.equal(batch.frames, expected.frames)


def test_a_clip_that_kills_its_worker_is_replaced(tmp_path: Path) -> None:
    clips = clips_in(tmp_path, 4, odd=(3,))
    deadly = ClipDecoder(frames=4, short_side=None, crop=DeadlyCut())
    loader = ClipLoader(clips, lambda step: np.array([3, 0]), deadly, last_step=1, workers=1)
    [batch] = loader
    assert [bad.row for bad in loader.replaced] == [3]
    assert "was killed" in loader.replaced[0].cause
    assert batch.rows.tolist() == [1, 0]
    assert batch.labels.tolist() == [1, 0]


def test_clips_of_unequal_size_and_rows_out_of_range_are_refused(tmp_path: Path) -> None:
    clips = clips_in(tmp_path, 4, odd=(1,))
    with pytest.raises(ClaverError, match="clips of a batch differ in size"):
        next(iter(ClipLoader(clips, rows_for(clips), ClipDecoder(frames=2, short_side=None, crop=None))))
    with pytest.raises(ClaverError, match="a crop of 64 pixels does not fit into a picture of"):
        next(iter(ClipLoader(clips, rows_for(clips), ClipDecoder(frames=2, short_side=32, crop=CenterCrop(64)))))
    with pytest.raises(ClaverError, match="step 0 asks for clip 9; there are 4"):
        next(iter(ClipLoader(clips, lambda step: np.array([9]), READING)))
    with pytest.raises(ClaverError, match="at least 1"):
        ClipDecoder(frames=0)


def test_reading_in_order_replaces_nothing(tmp_path: Path) -> None:
    clips = clips_in(tmp_path, 6, bad=(2,))
    decoder = ClipDecoder(frames=4, short_side=32, crop=None, sampling="centre")
    for workers in (0, 1):
        seen = dict(read_in_order(clips, [5, 2, 0], decoder, workers=workers))
        assert list(seen) == [5, 2, 0]
        assert isinstance(seen[2], VideoError)
        assert str(seen[2]).startswith(str(tmp_path / "2.mp4"))
        assert isinstance(seen[0], np.ndarray)
        assert seen[0].shape == (4, 32, 42, 3)


def test_a_squashed_reading_is_the_preprocessing_s(clips: Clips) -> None:
    preprocess = Preprocess(size=32, short_side=32, resize="squash")
    decoder = ClipDecoder(frames=4, short_side=32, crop=CenterCrop(32), sampling="centre", resize="squash")
    views = load_views(clips.locations[0].source(), frames=4, preprocess=preprocess, normalized=False)
    np.testing.assert_array_equal(clips.read(0, decoder), views[0].permute(0, 2, 3, 1).numpy())


def test_damaged_clips_are_told_and_those_of_damaged_frames_alone_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, torn in (("sound", ()), ("partly", (4, 5)), ("torn", range(8))):
        write_ffv1(tmp_path / f"{name}.mkv", torn)
    samples = [Sample(f"{name}.mkv", 0) for name in ("sound", "partly", "torn")]
    clips = open_clips(Manifest(("bow",), tuple(samples), tmp_path))
    decoder = ClipDecoder(frames=4, short_side=32, crop=CenterCrop(28), sampling="centre")
    loader = ClipLoader(clips, lambda step: np.arange(3), decoder, last_step=2)
    for batch in loader:
        assert 2 not in batch.rows
    assert list(loader.damaged) == [1]
    assert loader.damaged[1].share == 0.25
    assert [replaced.row for replaced in loader.replaced] == [2]
    told = [record.getMessage() for record in caplog.records if "used all the same" in record.getMessage()]
    assert len(told) == 1, "each clip once"
    assert told[0].startswith(f"{tmp_path / 'partly.mkv'}: it is damaged and used all the same: 25 % of the frames")
    results = dict(read_in_order(clips, range(3), decoder))
    assert isinstance(results[2], VideoError)
    assert not isinstance(results[1], VideoError)
