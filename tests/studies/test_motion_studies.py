"""The studies of the temporal tower: their runs, their tables, their pictures, their commands for real clips."""

import shlex
from pathlib import Path

import pytest
import torch
from tests.studies.small import SMALL

from claver.studies import branches, frames, rank, shuffle, temporal
from claver.studies.study import Options, Record, Study, key_of
from claver.studies.table import Measured
from claver.training.recipe import load_recipe

STUDIES = [module.STUDY for module in (temporal, frames, shuffle, rank, branches)]
SHARES = ("top1", "top_pair", "within_pair")
PNG = b"\x89PNG"


def records_of(study: Study, options: Options | None = None) -> list[Record]:
    """Made-up figures, different for every run and name: top1 is 0.001 for the first run, 0.002 for the second …"""
    names = dict.fromkeys(SHARES, 1) | {"seconds": 100}
    if study is shuffle.STUDY:
        names = {f"{way}.{n}": 1 for way, _ in shuffle._names() for n in ("top1", "flipped", "similarity")}
    if study is rank.STUDY:
        names = {
            f"{n}@{length}": 100
            for n in ("tokens", "scores", "share", "full", "effective")
            for length in rank.LENGTHS["random"]
        }
    runs = {key_of(settings): settings for settings in study.runs(options or Options())}.values()
    return [
        Record(run, {name: by * (place + number / 100) / 1000 for number, (name, by) in enumerate(names.items())})
        for place, run in enumerate(runs, 1)
    ]


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_every_measured_cell_is_of_every_seed(study):
    table = study.table(records_of(study))
    cells = [cell for row in table.rows for cell in row if isinstance(cell, Measured)]
    assert cells
    assert {len(cell.values) for cell in cells} == {3}
    tops = [row[1].values for row in table.rows if isinstance(row[1], Measured)]
    assert len(set(tops)) == len(tops), "two rows show the same runs"


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_every_study_draws(study, tmp_path):
    study.draw(records_of(study), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
@pytest.mark.parametrize(
    ("options", "size", "spread"),
    [
        (Options(), "3 seeds", "mean ± deviation over 3 seeds"),
        (Options(quick=True, seeds=(0,)), "quick, one seed", "quick, one seed"),
        (Options(quick=True, seeds=(0, 1)), "quick, 2 seeds", "quick, mean ± deviation over 2 seeds"),
        (Options(seeds=(4,)), "one seed", "one seed"),
    ],
)
def test_titles_say_how_much_was_run(study, options, size, spread, tmp_path, monkeypatch):
    records = records_of(study, options)
    title = study.table(records).title
    assert f", {spread}" in title
    assert ("deviation" in title) == (len(options.seeds) > 1)
    figures = drawn(study, records, tmp_path, monkeypatch)
    assert figures.get_suptitle().endswith(f" · {size}")


@pytest.mark.parametrize("study", [temporal.STUDY, branches.STUDY], ids=lambda study: study.name)
def test_bars_of_ours_and_of_the_paper_both_start_at_zero(study, tmp_path, monkeypatch):
    figure = drawn(study, records_of(study), tmp_path, monkeypatch)
    assert [axes.get_xlim()[0] for axes in figure.axes] == [0, 0]


def drawn(study, records, folder, monkeypatch):
    """The figure of a study as matplotlib has it."""
    figure = pytest.importorskip("matplotlib.figure")
    saved = []
    monkeypatch.setattr(figure.Figure, "savefig", lambda self, *_, **__: saved.append(self))
    study.draw(records, folder / "figure.png")
    return saved[0]


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_quick_is_less(study):
    full, quick = study.runs(Options()), study.runs(Options(quick=True, seeds=(0,)))
    assert len(quick) <= len(full) / 3
    assert max(run["motion.steps"] for run in quick) < min(run["motion.steps"] for run in full)


@pytest.mark.parametrize("study", [study for study in STUDIES if study.commands], ids=lambda study: study.name)
def test_commands_for_real_clips_are_recipes_that_load(study):
    options = Options(seeds=(0,), model="openai/clip-vit-base-patch32", data=Path("a b.csv"), test=Path("val.csv"))
    lines = [shlex.split(line) for line in study.commands(options)]
    trained = [words for words in lines if words[:2] == ["claver", "train"]]
    for words in trained:
        recipe = load_recipe(words[2], words[3:-2])
        assert str(recipe.videos.train) == "a b.csv"
    assert len({words[-1] for words in trained}) == len(trained) == len(lines) / 2


def test_temporal_takes_rows_apart_and_the_papers_numbers_with_them():
    table = temporal.table(records_of(temporal.STUDY))
    rows = {row[0]: row for row in table.rows}
    assert rows["mean pooling"][2].values == pytest.approx((0.1, 0.2, 0.3))
    assert rows["KMTA, 2 layers"][2] == rows["KMTA"][2]
    assert rows["nouns only: KMTA"][2] != rows["KMTA"][2]
    assert (rows["joint attention"][-1], rows["KMTA"][-1]) == (80.1, 81.5)


def test_studies_share_their_models():
    trained = {key_of(run) for run in temporal.runs(Options())}
    assert all(key_of(run) in trained for run in shuffle.runs(Options()))
    assert sum(key_of(run) in trained for run in frames.runs(Options())) == 9
    own = ({k: v for k, v in run.items() if k not in ("weights", "head_width")} for run in rank.runs(Options()))
    assert all(key_of(run) in trained for run in own)


def test_tokens_of_a_clip():
    assert frames.tokens(patch=8, frames=16) == 272
    assert frames.tokens(patch=16, frames=8) == 40


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["joint", "kmt", "kmct"])
def test_shuffling_after_the_embedding_is_nothing_to_joint_attention(tmp_path, kind):
    figures = shuffle.run(SMALL | {"motion.temporal.kind": kind}, tmp_path)
    assert figures["none.change"] == 0
    assert figures["before_tokens.change"] > 1e-3
    assert (figures["after_tokens.change"] < 1e-5) == (kind == "joint")
    assert (figures["after_frames.change"] < 1e-5) == (kind in ("joint", "kmt"))


def test_ranks_of_a_small_random_tower(tmp_path, monkeypatch):
    monkeypatch.setattr(rank, "_WIDTH", 64)
    monkeypatch.setattr(rank, "LENGTHS", {"random": (1, 4)})
    torch.manual_seed(0)
    figures = rank.run(SMALL | {"weights": "random", "head_width": 32}, tmp_path)
    assert figures["tokens@4"] == 68
    assert figures["scores@4"] <= 32
    assert figures["scores@1"] == 17
    assert 1 < figures["effective@4"] <= 68
    assert 0 < figures["share@4"] <= 1
    assert figures["least_own@4"] > 0
