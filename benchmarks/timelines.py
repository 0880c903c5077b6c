"""Time lines on long rendered videos: mAP by kind of temporal tower, and the cost of an hour against `recognize`.

    claver quickstart --seed 0 --output RUNS/0          (and 1 and 2)
    python -m benchmarks.timelines quality RUNS/0 RUNS/1 RUNS/2
    python -m benchmarks.timelines speed

A rendered video joins verbs with pauses, in which a shape stands still, and verbs that no model has learned; each piece
has a scene of its own, and its boundaries are known. Settings were chosen on the validation split.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.encoder import random_model
from claver import Recognizer, Timeline, load
from claver.evaluation.localization import ACTIVITYNET, THUMOS, Detection, Instance, localize
from claver.inference import VideoEncoder, WindowEncoder
from claver.models import Claver
from claver.motion.rendering import VERBS, render_clips
from claver.motion.tasks import model_for_motion, motion_recipes, verb_class_texts
from claver.motion.unseen import UNSEEN_VERBS
from claver.training.initialization import with_temporal
from claver.video import VideoReader
from claver.video.writing import write_clip

KINDS = ("mean", "kmt", "kmct")
RATE, SIZE = 16, 64  # frames a second, and pixels, of the rendered videos
VIDEOS, PIECES = 6, 60
FPS, STRIDE = 6.0, 4  # a window lasts 1.3 s and begins every 0.67 s


@dataclass(frozen=True)
class Long:
    """A long video and what happens in it."""

    path: Path
    instances: tuple[Instance, ...]


def render_long(folder: Path, number: int, split: str, pieces: int = PIECES) -> Long:
    """Half of the pieces are verbs of 1.5 to 3 s, a quarter pauses of 1 to 3 s, a quarter unknown verbs."""
    rng = np.random.default_rng([number, len(split)])
    frames, instances, at = [], [], 0
    path = folder / f"{split}{number}.mp4"
    for piece in range(pieces):
        kind = rng.choice(["verb", "pause", "unknown"], p=[0.5, 0.25, 0.25])
        count = int(rng.integers(RATE, 3 * RATE) if kind == "pause" else rng.integers(3 * RATE // 2, 3 * RATE))
        scene, label = int(rng.integers(100_000)), int(rng.integers(len(VERBS)))
        index = [scene * len(VERBS) + label]
        verbs = UNSEEN_VERBS if kind == "unknown" else VERBS
        clip = render_clips(index, split=split, seed=1000 + piece, frames=count, size=SIZE, verbs=verbs).frames[0]
        if kind == "pause":
            clip = np.repeat(clip[count // 2 : count // 2 + 1], count, axis=0)
        elif kind == "verb":
            instances.append(Instance(str(path), VERBS[label].name, at / RATE, (at + count) / RATE))
        frames.append(clip)
        at += count
    write_clip(path, np.concatenate(frames), RATE)
    return Long(path, tuple(instances))


def quality(runs: Sequence[Path], split: str, settings: dict[str, Any]) -> None:
    """mAP of each kind, mean and standard deviation over the runs."""
    with tempfile.TemporaryDirectory() as folder:
        videos = [render_long(Path(folder), number, split) for number in range(VIDEOS)]
        seconds = sum(duration_of(video.path) for video in videos)
        instances = [instance for video in videos for instance in video.instances]
        print(f"{len(videos)} videos, {seconds:.0f} s, {len(instances)} instances, {settings}", flush=True)
        for kind in KINDS:
            scores = [_map(load(run / kind), videos, settings) for run in runs]
            _print(kind, scores)


def duration_of(path: Path) -> float:
    """Seconds."""
    with VideoReader(path) as video:
        return video.info.duration


def _map(model: Any, videos: Sequence[Long], settings: dict[str, Any]) -> dict[str, float]:
    recognizer = Recognizer(model, verb_class_texts(), unknown=settings.get("background") == "names")
    found: dict[str, list[Detection]] = {"mAP": [], "chosen": []}
    for video in videos:
        timeline = Timeline.of(video.path, recognizer, **settings)
        for name, segments in (("mAP", timeline.candidates), ("chosen", timeline.segments)):
            found[name] += [Detection(str(video.path), one.action, one.start, one.stop, one.score) for one in segments]
    instances = [instance for video in videos for instance in video.instances]
    result = localize(found["mAP"], instances)
    chosen = localize(found["chosen"], instances)
    return {
        "0.3:0.7": result.mean(THUMOS),
        "0.5": result.mean([0.5]),
        "0.5:0.95": result.mean(ACTIVITYNET),
        "0.3:0.7 of the segments chosen": chosen.mean(THUMOS),
        "segments chosen": len(found["chosen"]),
    }


def _print(kind: str, scores: Sequence[dict[str, float]]) -> None:
    cells = []
    for name in scores[0]:
        values = [100 * score[name] if name != "segments chosen" else score[name] for score in scores]
        spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
        cells.append(f"{name} {mean(values):.1f}{spread} ({', '.join(f'{value:.1f}' for value in values)})")
    print(f"{kind}: {'; '.join(cells)}", flush=True)


def speed() -> None:
    """An hour and two minutes by a small model, and two minutes by a B/32: a time line against clips that overlap."""
    with tempfile.TemporaryDirectory() as folder:
        minutes = {count: write_minutes(Path(folder), count) for count in (2, 60)}
        for size, count in (("small", 60), ("small", 2), ("B/32", 2)):
            for kind in ("mean", "kmt", "kmct"):
                found = {way: _apart(way, size, kind, minutes[count]) for way in ("timeline", "clips")}
                ratio = found["clips"][0] / found["timeline"][0]
                costs = "; ".join(f"{way} {cpu:.1f} s, {peak:.0f} MB" for way, (cpu, peak) in found.items())
                print(f"{size}, {kind}, {count} min: {costs}; {ratio:.2f} times faster", flush=True)


def write_minutes(folder: Path, count: int) -> Path:
    """So many minutes at 128 pixels and 8 frames a second: one rendered minute, again and again, not encoded anew."""
    minute, path = folder / "minute.mp4", folder / f"{count}.mp4"
    if not minute.exists():
        clips = [render_clips([n], split="test", frames=32, size=128).frames[0] for n in range(15)]
        write_clip(minute, np.concatenate(clips), 8)
    again = ["-stream_loop", str(count - 1), "-i", str(minute), "-c", "copy", str(path)]
    subprocess.run(["ffmpeg", "-loglevel", "error", *again], check=True)
    return path


def _apart(way: str, size: str, kind: str, path: Path) -> tuple[float, float]:
    """Processor seconds, decoding included, and peak memory in MB, of a process of its own."""
    command = [sys.executable, "-m", "benchmarks.timelines", "one", way, size, kind, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    cpu, peak = done.stdout.split()[-2:]
    return float(cpu), float(peak)


def _one(way: str, size: str, kind: Any, path: Path) -> None:
    torch.set_num_threads(1)
    model = random_model("B/32", kind) if size == "B/32" else small_model(kind)
    encoder = VideoEncoder(model)
    began, count = time.process_time(), 0
    for vectors in windows_of(encoder, path) if way == "timeline" else clips_of(encoder, path):
        count += len(vectors)
    assert count > 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{time.process_time() - began:.3f} {peak:.0f}")


def small_model(kind: Any) -> Claver:
    """Random weights, of the sizes of the quickstart's models."""
    stills, motion = motion_recipes(0)
    model = model_for_motion(stills)
    return with_temporal(model, motion.temporal.model_copy(update={"kind": kind}), token_scale=1.0, seed=0).eval()


def windows_of(encoder: VideoEncoder, path: Path) -> Iterator[Tensor]:
    """What a time line does."""
    for part in WindowEncoder(encoder, fps=2, batch_size=8)(path):
        yield part.embeddings


def clips_of(encoder: VideoEncoder, path: Path) -> Iterator[Tensor]:
    """The same windows as clips that overlap, each read and encoded whole, as many at a time."""
    frames, stride, waiting = encoder.frames, encoder.frames // 2, []
    with VideoReader(path) as video:
        ticks = np.arange(0, video.info.duration - 1e-6, 1 / 2)
        shown = np.searchsorted(video.info.timestamps, ticks + 1e-3, side="right") - 1
        for first in range(0, len(shown) - frames + 1, stride):
            waiting.append(encoder.look(video.read(shown[first : first + frames])).pixels)
            if len(waiting) == 8:
                yield encoder.encode(torch.cat(waiting), 8).mean(1)
                waiting = []
    if waiting:
        yield encoder.encode(torch.cat(waiting), 8).mean(1)


def main() -> None:
    """Measure quality or speed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.timelines", description=__doc__)
    commands = parser.add_subparsers(required=True, dest="command")
    wanted = commands.add_parser("quality")
    wanted.add_argument("runs", type=Path, nargs="+", help="folders of the quickstart, a seed each")
    wanted.add_argument("--split", default="test")
    wanted.add_argument("--background", default="video")
    wanted.add_argument("--smoothing", type=float, default=0.5)
    wanted.add_argument("--fps", type=float, default=FPS)
    wanted.add_argument("--stride", type=int, default=STRIDE)
    commands.add_parser("speed")
    one = commands.add_parser("one")
    for name in ("way", "size", "kind", "path"):
        one.add_argument(name)
    options = parser.parse_args()
    if options.command == "one":
        _one(options.way, options.size, options.kind, Path(options.path))
    elif options.command == "speed":
        speed()
    else:
        names = ("background", "smoothing", "fps", "stride")
        quality(options.runs, options.split, {name: getattr(options, name) for name in names})


if __name__ == "__main__":
    main()
