"""Training clips from files and from shards, and how much of the decoding hides behind computation."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import cast

import numpy as np
import torch

from benchmarks.encoder import random_model
from benchmarks.frames import write_video
from benchmarks.timing import Row, Settings, compare, row_of
from claver.data.clips import ClipDecoder, Clips
from claver.data.loading import Batch, ClipLoader
from claver.data.manifest import Manifest, Sample
from claver.data.opening import open_clips
from claver.data.shards import write_shards
from claver.models import Claver
from claver.video.transforms import normalize

AREA = "loader"
FRAMES, BATCH, CLIPS = 8, 8, 16


def rows(settings: Settings) -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder, seconds, batch = Path(name), 1 if settings.quick else 10, 1 if settings.quick else BATCH
        manifest = _dataset(folder, seconds)
        write_shards(manifest, folder / "shards")
        files, shards = open_clips(manifest), open_clips(folder / "shards")
        what = f"{batch} clips × {FRAMES} frames of {seconds} s, H.264 640×360"
        made = [_sources(files, shards, batch, what, settings)]
        if settings.clock is time.perf_counter:  # what another process does is in no processor time of ours
            made.append(_hidden(files, batch, what, settings))
        return made


def _dataset(folder: Path, seconds: int) -> Manifest:
    """Copies of one video: a file each, so that each is opened and read."""
    write_video(folder / "0.mp4", 640, 360, seconds * 25)
    content = (folder / "0.mp4").read_bytes()
    for number in range(1, CLIPS):
        (folder / f"{number}.mp4").write_bytes(content)
    return Manifest(("one",), tuple(Sample(f"{number}.mp4", 0, "train") for number in range(CLIPS)), folder)


def _sources(files: Clips, shards: Clips, batch: int, what: str, settings: Settings) -> Row:
    """Files against shards, decoded in this process, one batch at a time."""
    with closing(_batches(files, batch)) as one, closing(_batches(shards, batch)) as other:
        assert next(one).frames.shape == next(other).frames.shape
        [row] = compare(AREA, "from single files", lambda: next(one), {what: lambda: next(other)}, settings)
    rates = f"{batch / row.before:.1f} and {batch / row.after:.1f} clips/s in 1 process, page cache warm"
    return row.labelled(f"{what}, from shards", note=rates)


def _hidden(files: Clips, batch: int, what: str, settings: Settings) -> Row:
    """Steps that decode and then compute, against decoding ahead in a process of its own."""
    model, rounds = random_model("B/32", "kmct"), 1 if settings.quick else 3
    decode, in_turn, ahead = [], [], []
    for _ in range(rounds):
        decode.append(_seconds_a_step(files, batch, None, 0))
        in_turn.append(_seconds_a_step(files, batch, model, 0))
        ahead.append(_seconds_a_step(files, batch, model, 1))
    row = row_of(AREA, f"{what}, and B/32 on them, decoded ahead", "decoded in turn", in_turn, ahead)
    hidden = (row.before - row.after) / float(np.median(decode))
    return row.labelled(
        row.what, note=f"{hidden:.0%} of the decoding is hidden; both share {torch.get_num_threads()} cores"
    )


@torch.inference_mode()
def _seconds_a_step(clips: Clips, size: int, model: Claver | None, workers: int, steps: int = 4) -> float:
    """From the first batch on, when the worker process is up and as far ahead as it may be."""
    with closing(_batches(clips, size, workers)) as batches:
        batch = next(batches)
        start = time.perf_counter()
        for _ in range(steps):
            if model is not None:
                pixels = normalize(
                    batch.frames.movedim(-1, -3), model.config.preprocess.mean, model.config.preprocess.std
                )
                model.encode_video(pixels)
            batch = next(batches)
        return (time.perf_counter() - start) / steps


def _batches(clips: Clips, size: int, workers: int = 0) -> Generator[Batch]:
    loader = ClipLoader(
        clips, lambda step: np.arange(size) + step * size % len(clips), ClipDecoder(FRAMES), workers=workers
    )
    return cast("Generator[Batch]", iter(loader))
