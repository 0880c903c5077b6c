"""The study of forgetting: its runs, what an exam asks, its table and its picture."""

import pytest
import torch
from tests.studies.test_prompt_studies import TINY

from claver.models.blend import blend
from claver.motion.rendering import STATES, VERBS
from claver.motion.unseen import UNSEEN_VERBS
from claver.studies.forgetting import STUDY
from claver.studies.forgetting_measure import Exam, said_of, start_of
from claver.studies.forgetting_ways import SHOWN, START, VARIANTS, WAYS, Variant
from claver.studies.prompt_studies import fresh
from claver.studies.study import Options, Record, key_of
from claver.studies.table import Measured
from claver.training.recipe import make_recipe


def test_every_way_is_run_with_every_seed_and_each_is_a_recipe_of_its_own():
    runs = STUDY.runs(Options(seeds=(0, 4)))
    assert [(run["way"], run["seed"]) for run in runs] == [(way, seed) for way in (START, *WAYS) for seed in (0, 4)]
    assert len({key_of({k: v for k, v in run.items() if k != "way"}) for run in runs}) == len(runs)
    assert {run["motion.average"]["every"] for run in runs if run["way"] != START} == {20}
    base = {"task": "clips", "data": {"train": 4, "test": 4}, "steps": 9, "warmup": 1}
    for run in runs:
        keys = {
            key.removeprefix("motion."): run[key] for key in run if key[7:] in ("distill", "interpolate", "average")
        }
        make_recipe(base | keys)


def test_rewritten_texts_say_the_name_before_each_sentence():
    said = said_of({"joined": True, "texts": ["name"]}, UNSEEN_VERBS)
    assert said.keys() == {verb.name for verb in UNSEEN_VERBS}
    assert {len(own) for own in said.values()} == {8}
    assert all(text.startswith(f"{name}: ") for name, own in said.items() for text in own)
    assert set(said_of({"texts": ["name"]}, VERBS).values()) == {(verb.name,) for verb in VERBS}


def test_labels_of_variants_differ_and_those_shown_are_measured():
    assert len({variant.label for variant in VARIANTS}) == len(VARIANTS) == 24
    assert set(SHOWN) <= set(VARIANTS)


@pytest.fixture(scope="module")
def asked(tiny_bench):
    settings = STUDY.runs(Options(quick=True, seeds=(0,)))[0] | TINY
    own = {key: value for key, value in settings.items() if key != "way"}
    return own, start_of(own, tiny_bench), Exam.of(own, tiny_bench), tiny_bench


def test_a_still_shown_as_a_clip_is_to_the_start_the_still(asked):
    from claver.motion.rendering import render_stills
    from claver.motion.stills import StillsTask

    own, start, exam, _ = asked
    stills = render_stills(range(1000), split="test", seed=own["seed"], size=start.config.image.size)
    figures = exam.sit(start, start)
    known = StillsTask(stills, stills).evaluate(start)
    for name in STATES:  # tokens are kept in half precision
        assert figures[f"knew {name}"] == pytest.approx(known[name], abs=0.01), name
    assert figures["knew"] == pytest.approx(sum(known.values()) / 6, abs=0.01)


def test_a_blend_of_nothing_but_the_start_behind_a_shut_gate_is_the_start(asked, monkeypatch):
    own, start, exam, bench = asked
    model = fresh(own, bench).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter is not model.temporal.embedding:
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    changed, back = exam.sit(start, model), exam.sit(start, model, Variant(weight=0.0))
    assert changed != back
    monkeypatch.setattr("claver.studies.forgetting_asked.Gate.__call__", lambda self, video: torch.zeros(len(video)))
    assert exam.sit(start, model, Variant(weight=0.0, gate=0.05)) == pytest.approx(exam.sit(start, start))
    assert blend(start.state_dict(), model, 0.0).temporal.embedding.equal(model.temporal.embedding)


@pytest.mark.parametrize("way", ["relational, interpolated", "plain, by `name: sentence`"])
def test_a_run_has_figures_of_every_variant(tiny_bench, way):
    runs = {run["way"]: run for run in STUDY.runs(Options(quick=True, seeds=(0,)))}
    names = {"new", "new within pair", "trained", "nouns", "states", "knew", *(f"knew {name}" for name in STATES)}
    figures = STUDY.run(runs[way] | TINY, tiny_bench)
    assert figures.keys() == {f"{name} @ {variant.label}" for name in names for variant in VARIANTS}
    assert all(0 <= value <= 1 for value in figures.values())
    assert STUDY.run(runs[START] | TINY, tiny_bench).keys() == names


def test_table_and_picture_tell_gain_and_forgetting_seed_by_seed(tmp_path):
    def figures(run):
        names = ("new", "new within pair", "trained", "nouns", "states", "knew")
        if run["way"] == START:
            return dict.fromkeys(names, 0.1) | {"knew": 0.7 + 0.1 * run["seed"]}
        place = list(WAYS).index(run["way"])
        return {
            f"{name} @ {variant.label}": (place + number) / 100
            for number, variant in enumerate(VARIANTS)
            for name in names
        }

    records = [Record(run, figures(run)) for run in STUDY.runs(Options(seeds=(0, 1)))]
    table = STUDY.table(records)
    assert len(table.rows) == 1 + len(WAYS) * len(SHOWN)
    assert all(len(row) == len(table.columns) for row in table.rows)
    plain = next(row for row in table.rows if row[:2] == ["plain", Variant().label])
    assert plain[-1].values == pytest.approx((70, 80))
    assert all(len(cell.values) == 2 for row in table.rows for cell in row if isinstance(cell, Measured))
    STUDY.draw(records, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes()[1:4] == b"PNG"
