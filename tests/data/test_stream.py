"""Streams: every clip once in an epoch over all processes, the same from any step on, read as the disk likes it."""

import builtins
import shutil
from collections import Counter
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.videos import write_video

from claver.data import (
    Batch,
    CenterCrop,
    ClipDecoder,
    ClipLoader,
    Clips,
    ClipStream,
    Manifest,
    Sample,
    open_clips,
    open_shards,
    write_shards,
)

READING = ClipDecoder(frames=4, short_side=32, crop=CenterCrop(28))


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    root = tmp_path_factory.mktemp("clips")
    for n in range(12):
        write_video(root / f"{n}.mp4", seed=n)
    return Manifest(("bow", "run", "wave"), tuple(Sample(f"{n}.mp4", n % 3) for n in range(12)), root)


@pytest.fixture(scope="module")
def shards(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four shards of three clips."""
    folder = tmp_path_factory.mktemp("shards") / "s"
    largest = max(Path(path).stat().st_size for path in manifest.paths())
    write_shards(manifest, folder, size=3 * largest)
    assert len(list(folder.glob("*.tar"))) >= 3
    return folder


def batches(clips: Clips, stream: ClipStream, last_step: int, **settings: Any) -> list[Batch]:
    loader = ClipLoader(clips, stream.rows_at, READING, last_step=last_step, locations=stream.locations, **settings)
    return list(loader)


def test_each_clip_comes_once_in_an_epoch_in_ever_new_order(shards: Path) -> None:
    stream = ClipStream(open_shards(shards), batch_size=4, buffer=3)
    rows = [int(row) for step in range(6) for row in stream.rows_at(step)]
    assert sorted(rows[:12]) == sorted(rows[12:]) == list(range(12))
    assert rows[:12] != rows[12:]
    read, shown = stream.order(0)
    assert read != shown == rows[:12]
    assert ClipStream(open_shards(shards), batch_size=4, buffer=3, seed=1).order(0)[0] != read


@pytest.mark.parametrize("batch_size", [4, 5, 7, 32])
@pytest.mark.parametrize("processes", [1, 2, 3, 4])
def test_processes_share_every_epoch_whatever_the_sizes(shards: Path, batch_size: int, processes: int) -> None:
    clips = open_shards(shards)
    streams = [ClipStream(clips, batch_size=batch_size, share=(rank, processes)) for rank in range(processes)]
    steps = [[stream.rows_at(step) for stream in streams] for step in range(12)]
    parts = [len(part) for part in np.array_split(np.arange(batch_size), processes)]
    assert all([len(rows) for rows in step] == parts for step in steps)
    seen = np.concatenate([rows for step in steps for rows in step])
    for epoch in range(batch_size * 12 // 12):
        assert Counter(seen[12 * epoch : 12 * (epoch + 1)].tolist()) == Counter(range(12)), epoch


def test_a_process_reads_an_unbroken_part_of_the_shards(shards: Path) -> None:
    clips = open_shards(shards)
    read = [ClipStream(clips, batch_size=4, share=(rank, 2)).order(3)[0] for rank in range(2)]
    files = [clips.locations[row].file for row in read[0] + read[1]]
    assert len({file for file, following in pairwise(files) if file != following}) == len(set(files)) - 1
    assert [len(part) for part in read] == [6, 6]


def test_batches_are_the_same_from_any_step_on_and_for_any_number_of_workers(shards: Path) -> None:
    clips = open_shards(shards)
    settings: dict[str, Any] = {"batch_size": 5, "buffer": 4, "seed": 1, "share": (1, 2)}
    whole = batches(clips, ClipStream(clips, **settings), 9, seed=1)
    assert whole[0].frames.shape == (2, 4, 28, 28, 3)
    for first, workers in ((1, 0), (7, 1)):
        later = batches(clips, ClipStream(clips, **settings), 9, seed=1, first_step=first, workers=workers)
        assert [batch.step for batch in later] == list(range(first, 9))
        for ours, theirs in zip(later, whole[first:], strict=True):
            assert torch.equal(ours.frames, theirs.frames)
            assert ours.labels.tolist() == [row % 3 for row in ours.rows] == theirs.labels.tolist()


def test_shards_are_opened_once_in_an_epoch_and_clips_of_earlier_steps_are_not_read(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips, opened = open_shards(shards), []
    stream = ClipStream(clips, batch_size=4, buffer=2)
    expected = [clips.locations[row] for step in (2, 3) for row in stream.rows_at(step)]
    files = len({place.file for place in clips.locations})
    opening = builtins.open
    monkeypatch.setattr(builtins, "open", lambda name, *mode: opened.append(str(name)) or opening(name, *mode))
    locations = list(islice(stream.locations(0), 12))
    assert len(opened) == files
    opened.clear()
    late = list(islice(stream.locations(2), 8))
    assert [place.name for place in late] == [place.name for place in expected]
    assert late == locations[8:] + late[4:]
    assert all(place.content == place.source() for place in late)
    left = {place.file for place in expected[:4]}
    assert set(opened[: len(left)]) == left


def test_frames_are_those_of_the_files(manifest: Manifest, shards: Path) -> None:
    """The way of the bytes, through one buffer or straight from a file, leaves no trace in the batch."""
    clips = open_shards(shards)
    stream = ClipStream(clips, batch_size=4, seed=5)
    loader = ClipLoader(open_clips(manifest), stream.rows_at, READING, seed=5, last_step=3)
    for streamed, loaded in zip(batches(clips, stream, 3, seed=5), loader, strict=True):
        assert torch.equal(streamed.frames, loaded.frames)


def test_bytes_that_are_no_video_are_replaced(shards: Path, tmp_path: Path) -> None:
    shutil.copytree(shards, tmp_path / "s")
    clips = open_shards(tmp_path / "s")
    with open(clips.locations[4].file, "r+b") as file:
        file.seek(clips.locations[4].offset)
        file.write(bytes(clips.locations[4].size or 0))
    stream = ClipStream(clips, batch_size=12)
    loader = ClipLoader(clips, stream.rows_at, READING, last_step=2, locations=stream.locations)
    for batch in loader:
        assert batch.labels.tolist() == [row % 3 for row in stream.rows_at(batch.step)]
        assert 4 not in batch.rows
    assert [bad.path for bad in loader.replaced] == ["4.mp4"]
