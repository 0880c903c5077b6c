"""Whether a search tells verbs from the same verbs backwards: `python -m benchmarks.search runs/quickstart`, a minute.

Rendered clips held out from training, of twelve verbs in six time-reversed pairs, are joined to long files, one of each
verb in random order in every file. The models that `claver quickstart` left search for each verb in its own texts.
Frame by frame both verbs of a pair are the same: what does not see order cannot pass one half at the first place.
`--speed ROWS` measures instead the search in an index of so many random clustered vectors of 512 numbers.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from claver.index import Hit, Index
from claver.index.store import Rows, WindowStore
from claver.models import load
from claver.motion.prompts import aspect_texts
from claver.motion.rendering import render_clips
from claver.motion.verbs import VERBS, verb_names
from claver.video.writing import write_clip

FRAMES, SECONDS = 8, 1.0  # of a clip; a window lasts as long


def write_files(folder: Path, files: int, seed: int) -> dict[tuple[str, int], str]:
    """Long files, and the verb at each second of each."""
    rng, verbs = np.random.default_rng(seed), verb_names()
    shown: dict[tuple[str, int], str] = {}
    for number in range(files):
        clips = render_clips(np.arange(len(VERBS)) + number * len(VERBS), split="test", seed=seed, frames=FRAMES)
        order = rng.permutation(len(VERBS))
        path = write_clip(folder / f"{number}.mp4", np.concatenate(clips.frames[order]), fps=FRAMES)
        shown |= {(str(path.resolve()), at): verbs[clips.labels[clip]] for at, clip in enumerate(order)}
    return shown


def measure(folder: Path, kind: Path, shown: dict[tuple[str, int], str]) -> dict[str, float]:
    """Percent of verbs found first and among five, mean average precision, and pairs of verbs told apart."""
    model = load(kind)
    index = Index.open(folder / f"{kind.name}.index")
    index.add(folder, model, fps=FRAMES, batch_size=32)
    verbs, texts = verb_names(), aspect_texts(["name"])
    pair = {name: verbs[at ^ 1] for at, name in enumerate(verbs)}
    rows: list[dict[str, float]] = []
    for verb in verbs:
        hits = index.search(texts[verb], model, top=len(shown), cache=False).hits
        names = [_verb_of(hit, shown) for hit in hits]
        right = np.array([name == verb for name in names])
        places = np.flatnonzero(right) + 1
        total = sum(name == verb for name in shown.values())
        precision = float(sum((at + 1) / place for at, place in enumerate(places)) / total)
        rows.append({"first": float(right[0]), "five": float(right[:5].any()), "precision": precision})
        rows[-1]["pair"] = float(next(name for name in names if name in (verb, pair[verb])) == verb)
    return {key: 100 * statistics.mean(row[key] for row in rows) for key in rows[0]}


def _verb_of(hit: Hit, shown: dict[tuple[str, int], str]) -> str:
    """What the middle of the best window shows."""
    return shown[hit.path, min(int(hit.best / SECONDS), len(VERBS) - 1)]


def speed(rows: int, width: int = 512) -> None:
    """Seconds of the exact comparison with one vector."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((1000, width), dtype=np.float32)
    with TemporaryDirectory() as folder:
        store = WindowStore(Path(folder), width, write=True)
        for start in range(0, rows, 50_000):
            count = min(50_000, rows - start)
            vectors = centres[rng.integers(0, len(centres), count)] + rng.standard_normal(
                (count, width), dtype=np.float32
            )
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            times = np.arange(count, dtype=np.float32)
            files = np.arange(start, start + count, dtype=np.int32) // 100
            store.append(Rows(files, times, times + 1, vectors.astype(np.float16)))
        store.compact()
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        taken = []
        for _ in range(6):
            query = rng.standard_normal(width, dtype=np.float32)
            began = time.perf_counter()
            store.nearest(query / np.linalg.norm(query), 2000)
            taken.append(time.perf_counter() - began)
    print(f"{rows:,} × {width} float16: {statistics.median(taken[1:]):.2f} s a search, {size / 1e6:,.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="?", type=Path, default=Path("runs/quickstart"))
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--speed", type=int, metavar="ROWS")
    options = parser.parse_args()
    if options.speed:
        speed(options.speed)
        return
    for kind in ("mean", "kmt", "kmct"):
        found = []
        for seed in range(options.seeds):
            with TemporaryDirectory() as folder:
                shown = write_files(Path(folder), options.files, seed)
                found.append(measure(Path(folder), options.runs / kind, shown))
        told = ", ".join(f"{key} {statistics.mean(one[key] for one in found):.1f}" for key in found[0])
        print(f"{kind}: {told} %", flush=True)


if __name__ == "__main__":
    main()
