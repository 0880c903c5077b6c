"""A new frame of a live stream, against its share of an offline clip of the same model."""

from __future__ import annotations

import statistics
import time

import torch
from torch import Tensor

from benchmarks.encoder import random_model
from benchmarks.timing import Row, Settings, assert_same, compare
from claver.inference.streaming import StreamEncoder
from claver.models import Claver

AREA = "live"


@torch.inference_mode()
def rows(settings: Settings) -> list[Row]:
    sizes = ("B/32",) if settings.quick else ("B/32", "B/16")
    lengths = (4,) if settings.quick else (8, 16)
    return [row for size in sizes for frames in lengths for row in _rows(size, frames, settings)]


def _rows(size: str, frames: int, settings: Settings) -> list[Row]:
    model = random_model(size, "kmct", frames, quick=settings.quick)
    video = torch.randn(1, frames, 3, 224, 224)
    endless, single = StreamEncoder(model), Single(model, frames)
    assert_same(single.clip(video), model.encode_video(video))
    for number in range(2 * frames):  # both clips are under way
        endless.push(video[:, number % frames])
    # The same number of frames: an offline clip, and as many frames of a stream. At 1 / 1.15 a frame costs 1.15 / T.
    works = {
        "one clip, frame by frame": lambda: single.clip(video),
        "endless stream, two clips": lambda: [endless.push(video[:, number]) for number in range(frames)],
    }
    one, two = compare(AREA, f"offline clip of {frames} frames", lambda: model.encode_video(video), works, settings)
    name = f"{size}, KMCTA, {frames} frames"
    middle, most = _latency(endless, video, 5 if settings.quick else 60)
    note = f"caches {endless.nbytes / 2**20:.0f} MiB; a frame {middle:.0f} ms, 95 % within {most:.0f} ms"
    return [
        one.labelled(f"{name}: {one.what}", target=1 / 1.15),
        two.labelled(f"{name}: {two.what}", target=1 / 1.15, note=note),
    ]


class Single:
    """One clip frame by frame against one cache."""

    def __init__(self, model: Claver, frames: int) -> None:
        from claver.attention.kv_cache import KeyValueCache

        self.model, self.cache = model, KeyValueCache(frames)

    def clip(self, video_1TCHW: Tensor) -> Tensor:
        """Frame embeddings [1, T, E]."""
        self.cache.clear()
        steps = [
            self.model.temporal.step(self.model.image_tokens(frame), self.cache)
            for frame in video_1TCHW.split(1, dim=1)
        ]
        return self.model.readout(torch.cat(steps, dim=1))


def _latency(stream: StreamEncoder, video_1TCHW: Tensor, count: int) -> tuple[float, float]:
    """Median and 95th percentile of a frame, in milliseconds."""
    times = []
    for number in range(count):
        began = time.perf_counter()
        stream.push(video_1TCHW[:, number % video_1TCHW.shape[1]])
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times), sorted(times)[round(0.95 * (count - 1))]
