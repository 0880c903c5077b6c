"""Recognising many short clips in two local actors of Ray, against one process: rate, and memory of the object store.

python -m benchmarks.scale --model MODEL --clips 5000
"""

from __future__ import annotations

import argparse
import re
import resource
import shutil
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import claver
from benchmarks.frames import write_video
from claver import Recognizer
from claver.scale import Actors
from claver.scale.work import Placement, recognize_on_ray

ACTIONS = ("waves", "bows", "falls")
SAMPLES = 20


def open_recognizer(model: str, device: str) -> Recognizer:
    """A recogniser with a few actions."""
    return Recognizer(claver.load(model, device=device), ACTIONS, cache=False, unknown=False)


def store() -> tuple[float, int]:
    """MiB and objects in the object stores of the cluster that this process is connected to."""
    import ray
    from ray._private.internal_api import memory_summary

    told = memory_summary(ray.get_runtime_context().gcs_address, stats_only=True)
    found = re.search(r"Plasma memory usage (\d+) MiB, (\d+) objects", told)
    assert found is not None, told
    return float(found[1]), int(found[2])


def measure(paths: list[str], model: str, actors: int) -> None:
    """Print rate and memory, as they are at even steps."""
    work = recognize_on_ray(Placement("local", Actors(actors, actors)), partial(open_recognizer, model))
    step = max(1, len(paths) // SAMPLES)
    first, most = 0.0, (0.0, 0)
    for number, _ in enumerate(work(paths), start=1):
        first = first or time.perf_counter()
        if number % step == 0:
            now, most = store(), max(most, store())
            resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            rate = number / max(time.perf_counter() - first, 1e-9)
            print(f"{number:7} clips  {now[0]:5.1f} MiB  {now[1]:3} objects  driver {resident:5.0f} MiB  {rate:6.1f}/s")
    print(f"ray, {actors} actors: at most {most[0]:.1f} MiB and {most[1]} objects in the store", flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=5000)
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--model", default="runs/quickstart/kmct")
    parser.add_argument("--size", type=int, nargs=2, default=(160, 120), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--frames", type=int, default=25)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        first = Path(folder) / "0.mp4"
        write_video(first, options.size[0], options.size[1], options.frames)
        paths = [str(first)]
        for number in range(1, options.clips):
            paths.append(str(shutil.copy(str(first), f"{folder}/{number}.mp4")))
        measure(paths, options.model, options.actors)
        alone, began = open_recognizer(options.model, "cpu"), time.perf_counter()
        some = paths[: max(8, len(paths) // 10)]
        count = len(list(alone.stream(some, threads=1)))
        print(f"one process: {count / (time.perf_counter() - began):.1f}/s over {count} clips")


if __name__ == "__main__":
    main()
