"""Whether a search tells verbs from the same verbs backwards.

Rendered clips held out from training, of twelve verbs in six time-reversed pairs, are joined to long files, one of each
verb in random order in every file. The models that `claver quickstart` left search for each verb in its own texts.
Frame by frame both verbs of a pair are the same: what does not see order cannot pass one half at the first place.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from claver.errors import ClaverError
from claver.models.fingerprint import weights_identity
from claver.motion.prompts import aspect_texts
from claver.motion.rendering import render_clips
from claver.motion.verbs import VERBS, verb_names
from claver.plotting import new_figure, save_figure
from claver.studies.drawing import INK, bars, set_title
from claver.studies.size import spread_of
from claver.studies.study import Figures, Options, Record, Settings, Study, measured
from claver.studies.table import Cell, Table
from claver.video.writing import write_clip

if TYPE_CHECKING:
    from claver.index import Hit

KINDS = {"mean": "mean pooling", "kmt": "KMTA", "kmct": "KMCTA"}
COLUMNS = {
    "first": "right moment first %",
    "five": "among the first five %",
    "precision": "mean average precision %",
    "pair": "before any of the reversed verb %",
}
FRAMES, SECONDS = 8, 1.0  # of a clip; a window lasts as long
_FILES, _QUICK_FILES = 20, 3
_BLIND = 50.0  # percent of pairs that are told apart without order


def check(options: Options) -> None:
    """Raise `ClaverError` if there are no models, or no LanceDB."""
    if options.model is not None:
        raise ClaverError("the study search takes the folder of `claver quickstart`, not --model")
    for folder in _models(options).values():
        if not folder.is_dir():
            raise ClaverError(f"there is no model {folder}; `claver quickstart` makes it")
    if find_spec("lancedb") is None:
        raise ClaverError("the study search needs lancedb; pip install 'claver[search]'")


def _models(options: Options) -> dict[str, Path]:
    return {kind: Path(options.arguments[0]) / kind for kind in KINDS}


def runs(options: Options) -> list[Settings]:
    """Every kind with every draw of the files; weights count by their contents."""
    weights = {kind: weights_identity(folder).split()[-1] for kind, folder in _models(options).items()}
    files = _QUICK_FILES if options.quick else _FILES
    return [
        {"models": options.arguments[0], "kind": kind, "weights": weights[kind], "files": files, "seed": seed}
        | ({"quick": True} if options.quick else {})
        for seed in options.seeds
        for kind in KINDS
    ]


def run(settings: Settings, cache: Path) -> Figures:
    """Shares of verbs that were found first and among five, mean average precision, and pairs told apart."""
    from claver.index import Index
    from claver.models import load

    model = load(Path(settings["models"]) / settings["kind"])
    with TemporaryDirectory() as name:
        folder = Path(name) / "videos"
        folder.mkdir()
        shown = write_files(folder, settings["files"], settings["seed"])
        index = Index.open(Path(name) / "my.index")
        index.add(folder, model, fps=FRAMES, batch_size=32)
        texts = aspect_texts(["name"])
        found = {verb: index.search(texts[verb], model, top=len(shown), cache=False).hits for verb in verb_names()}
    names = {verb: [_verb_of(hit, shown) for hit in hits] for verb, hits in found.items()}
    rows = [figures_of(verb, names[verb], list(shown.values()).count(verb)) for verb in names]
    return {key: statistics.mean(row[key] for row in rows) for key in COLUMNS}


def write_files(folder: Path, files: int, seed: int) -> dict[tuple[str, int], str]:
    """Long files, and the verb at each second of each, by path and second."""
    rng, verbs = np.random.default_rng(seed), verb_names()
    shown: dict[tuple[str, int], str] = {}
    for number in range(files):
        clips = render_clips(np.arange(len(VERBS)) + number * len(VERBS), split="test", seed=seed, frames=FRAMES)
        order = rng.permutation(len(VERBS))
        path = write_clip(folder / f"{number}.mp4", np.concatenate(clips.frames[order]), fps=FRAMES)
        shown |= {(str(path.resolve()), at): verbs[clips.labels[clip]] for at, clip in enumerate(order)}
    return shown


def _verb_of(hit: Hit, shown: dict[tuple[str, int], str]) -> str:
    """What the middle of the best window shows."""
    return shown[hit.path, min(int(hit.best / SECONDS), len(VERBS) - 1)]


def figures_of(verb: str, names: Sequence[str], total: int) -> dict[str, float]:
    """What a search for a verb is worth that gave moments of these verbs, the best first; there are `total` of it."""
    verbs = verb_names()
    reverse = verbs[verbs.index(verb) ^ 1]
    right = np.array([name == verb for name in names])
    places = np.flatnonzero(right) + 1
    precision = float(sum((at + 1) / place for at, place in enumerate(places)) / total)
    first_of_pair = next((name for name in names if name in (verb, reverse)), "")
    pair = float(first_of_pair == verb)
    return {"first": float(right[0]), "five": float(right[:5].any()), "precision": precision, "pair": pair}


def table(records: Sequence[Record]) -> Table:
    """Each kind's share of each column."""
    rows: list[list[Cell]] = [
        [label, *(measured(records, figure, {"kind": kind}, scale=100) for figure in COLUMNS)]
        for kind, label in KINDS.items()
    ]
    files = records[0].settings["files"]
    return Table(
        f"Search for twelve motion verbs in {files} files of twelve seconds, {spread_of(records)}",
        ("model", *COLUMNS.values()),
        rows,
        note="Seeds are draws of the files; the models are the same. Frame by frame both verbs of a pair are alike, so "
        f"that a model blind to order gets {_BLIND:.0f} % of the pairs.",
    )


def draw(records: Sequence[Record], path: Path) -> None:
    """Two panels: the right moment first, and pairs told apart."""
    figure = new_figure(9.2, 2.6)
    set_title(figure, "Search for verbs and their reversals", records)
    for axes, key in zip(figure.subplots(1, 2, sharey=True), ("first", "pair"), strict=True):
        bars(axes, list(KINDS.values()), [measured(records, key, {"kind": kind}, scale=100) for kind in KINDS])
        axes.set(xlim=(0, 115), xlabel=COLUMNS[key].replace(" %", ", %"))
        if key == "pair":
            axes.axvline(_BLIND, color=INK, linestyle=":", linewidth=1)
    save_figure(figure, path)


STUDY = Study(
    "search",
    "Search for verbs and their reversals",
    "Search for verbs and their reversals",
    runs,
    run,
    table,
    draw,
    arguments=("FOLDER",),
    check=check,
)
