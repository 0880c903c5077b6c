"""The study of forgetting above real weights, on numbers for its tokens and a small model for the pair."""

import itertools
from pathlib import Path

import pytest
import torch

from claver.data.manifest import Manifest, Sample
from claver.errors import ClaverError
from claver.models import Claver
from claver.studies import forgetting_real_measure as subject
from claver.studies import real_clips
from claver.studies.forgetting_real import STUDY, check
from claver.studies.forgetting_real_measure import pairs_of, recipe_of, said_of, unseen_sequences
from claver.studies.forgetting_ways import REWRITTEN, SHOWN, START, VARIANTS, WAYS, Variant
from claver.studies.real_clips import SEQUENCES, TEXTS, RealClips, other_clips
from claver.studies.study import Options, Record, Settings
from claver.training.initialization import new_model, train_tokenizer
from claver.training.recipe import NewModel

NAMES = ("new", "new of six", "trained", "other first", "knew", "same answer")
OTHERS = ("surfing", "baking", "knitting", "juggling", "welding", "yawning", "skiing")


def test_five_seeds_leave_out_every_pair_and_every_sequence_once() -> None:
    for first in (0, 3):
        seeds = range(first, first + 5)
        pairs = [frozenset(pair) for seed in seeds for pair in pairs_of(seed)]
        assert sorted(map(sorted, pairs)) == [list(pair) for pair in itertools.combinations(range(6), 2)]
        for seed in seeds:
            assert sorted(action for pair in pairs_of(seed) for action in pair) == list(range(6))
        assert sorted(number for seed in seeds for number in unseen_sequences(seed).tolist()) == list(SEQUENCES)


def test_texts_are_names_or_a_name_before_each_sentence() -> None:
    assert said_of(["kicking"], joined=False) == {"kicking": ("kicking",)}
    said = said_of(["kicking", "pushing"], joined=True)
    assert said.keys() == {"kicking", "pushing"}
    assert said["kicking"][0] == "kicking: one person kicks another"
    assert {len(own) for own in said.values()} == {3}


@pytest.fixture
def options(tmp_path: Path) -> Options:
    listed = tmp_path / "clips.csv"
    listed.write_text("path,label\n" + "".join(f"{name}.mp4,{name}\n" for name in OTHERS), encoding="utf-8")
    return Options(quick=True, seeds=(0,), arguments=(str(listed), str(tmp_path)), data=tmp_path)


def test_every_way_is_run_by_its_recipe_with_every_seed(options: Options) -> None:
    runs = STUDY.runs(options)
    assert [run["way"] for run in runs] == [START, *WAYS]
    recipes = {run["way"]: recipe_of(run) for run in runs if run["way"] != START}
    for way, recipe in recipes.items():
        assert (recipe.distill is not None) == ("distillation" in way or way.startswith(("feature", "relational")))
        assert (recipe.interpolate is not None) == ("interpolated" in way)
        assert recipe.average is not None
        assert recipe.average.every == 2
        assert recipe.freeze == ("image",)
    assert [run["way"] for run in runs if run.get("rewritten")] == [REWRITTEN]


def test_runs_are_known_by_recipe_and_clips(options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learned, labels = tmp_path / "learned.avi", [0]
    learned.write_bytes(b"clip")
    for name in OTHERS:
        (tmp_path / f"{name}.mp4").write_bytes(name.encode())
    monkeypatch.setattr(subject, "read_names", lambda folder: ([str(learned)], torch.tensor(labels), None))
    runs = STUDY.runs(options)

    def known(run: Settings) -> str:
        real_clips._contents_of.cache_clear()  # read once in a process
        return STUDY.made_of(run)

    assert len(set(map(known, runs))) == len(runs) - 1  # of two the recipe is one, and the settings differ
    found = [known(runs[0])]
    learned.write_bytes(b"another")
    found.append(known(runs[0]))
    labels[0] = 1
    found.append(known(runs[0]))
    (tmp_path / "surfing.mp4").write_bytes(b"another")
    found.append(known(runs[0]))
    listed = Path(options.arguments[0])
    listed.write_text(listed.read_text().replace("baking.mp4,baking", "baking.mp4,cooking"))
    found.append(known(runs[0]))
    assert len(set(found)) == len(found)


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch, options: Options) -> Claver:
    """A small model of random weights, and tokens in which actions differ."""
    torch.manual_seed(0)
    sizes = NewModel(size=32, patch=16, width=64, layers=1, text_width=64, text_layers=1, embedding=32, vocabulary=300)
    texts = [*OTHERS, *(text for name, own in TEXTS.items() for text in (name, *own))]
    start = new_model(sizes, train_tokenizer(texts, 300, 48), seed=0).eval()
    labels, sequences = (torch.tensor(own) for own in zip(*itertools.product(range(6), SEQUENCES), strict=True))
    action = torch.randn(6, 64)[labels][:, None, None, None, None]
    clips = RealClips(torch.randn(60, 2, 2, 8, 5, 64) + action, labels, sequences)
    other = torch.randn(len(OTHERS), 2, 2, 8, 5, 64)
    monkeypatch.setattr(subject, "_start", lambda: start)
    monkeypatch.setattr(subject, "real_clips", lambda folder, cache: clips)
    monkeypatch.setattr(subject, "clip_tokens", lambda paths, cache, squash: other)
    manifest = Manifest(OTHERS, tuple(Sample(f"{name}.mp4", n) for n, name in enumerate(OTHERS)), Path())
    monkeypatch.setattr(subject, "other_clips", lambda listed, root: manifest)
    subject._others.cache_clear()
    return start


def test_the_study_from_its_runs_to_its_picture(pair: Claver, options: Options, tmp_path: Path) -> None:
    runs = STUDY.runs(options)
    start = STUDY.run(runs[0], tmp_path)
    assert start.keys() == set(NAMES)
    assert start["same answer"] == 1
    chosen = [run for run in runs if run["way"] in ("plain", "relational, interpolated", REWRITTEN)]
    records = [Record(runs[0], start), *(Record(run, STUDY.run(run, tmp_path)) for run in chosen)]
    for record in records[1:]:
        assert record.figures.keys() == {f"{name} @ {variant.label}" for name in NAMES for variant in VARIANTS}
        assert record.figures["trained @ last weights"] > 0.5  # of four
        assert record.figures["same answer @ last weights"] < 1
    table = STUDY.table(records)
    assert "quick, one seed" in table.markdown()
    assert len(table.rows) == 1 + 3 * len(SHOWN)
    assert all(len(row) == len(table.columns) for row in table.rows)
    STUDY.draw(records, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_blend_of_nothing_behind_a_shut_gate_answers_as_the_start(
    pair: Claver, options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shut = (Variant(weight=0.0, gate=0.05),)
    monkeypatch.setattr(subject, "VARIANTS", shut)
    monkeypatch.setattr("claver.studies.forgetting_asked.Gate.__call__", lambda self, video: torch.zeros(len(video)))
    runs = {run["way"]: run for run in STUDY.runs(options)}
    figures = STUDY.run(runs["plain"], tmp_path)
    assert figures == {f"{name} @ {shut[0].label}": value for name, value in STUDY.run(runs[START], tmp_path).items()}


def test_what_is_not_there_is_said(options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClaverError, match="needs --data"):
        check(Options(arguments=options.arguments))
    with pytest.raises(ClaverError, match=r"there is no file .*surfing\.mp4"):
        other_clips(*options.arguments)
    for name in OTHERS:
        (tmp_path / f"{name}.mp4").write_bytes(b"")
    listed = Path(options.arguments[0])
    listed.write_text("".join(f"{line}\n" for line in listed.read_text().splitlines()[:6]))
    monkeypatch.setattr("claver.studies.forgetting_real.check_clips", lambda options, study: None)
    with pytest.raises(ClaverError, match="has 5 actions"):
        check(options)
