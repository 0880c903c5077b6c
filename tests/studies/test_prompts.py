"""Table 11, left: five sets of texts, and what they do for verbs never seen."""

from itertools import pairwise

import pytest
from tests.studies.test_prompt_studies import TINY

from claver.studies.prompts import ASKED, STAGES, STUDY
from claver.studies.study import Options, Record


def test_each_stage_says_what_the_one_before_says_and_more():
    assert [stage.paper for stage in STAGES[:5]] == [77.4, 77.4, 78.0, 78.2, 78.4]  # Table 11
    for before, after in pairwise(STAGES[:5]):
        assert after.texts[: len(before.texts)] == before.texts
        assert len(after.texts) == len(before.texts) + 1


def test_every_set_is_run_with_every_seed():
    runs = STUDY.runs(Options(seeds=(0, 4)))
    usual = [run for run in runs if "longer" not in run]
    assert sorted((len(run["texts"]), run["seed"]) for run in usual) == [(n, s) for n in range(1, 6) for s in (0, 4)]
    longer = [run for run in runs if "longer" in run]
    assert [(len(run["texts"]), run["seed"]) for run in longer] == [(1, 0), (1, 4), (5, 0), (5, 4)]
    assert {run["motion.steps"] for run in longer} == {1.5 * usual[0]["motion.steps"]}


def test_a_run_asks_about_unseen_verbs_by_every_set_of_texts(tiny_bench):
    settings = STUDY.runs(Options(quick=True, seeds=(0,)))[0] | TINY
    figures = STUDY.run(settings, tiny_bench)
    assert {f"unseen by {name}" for name in ASKED} <= figures.keys()
    assert all(0 <= value <= 1 for value in figures.values())


def test_table_and_picture_tell_means_over_seeds(tmp_path):
    records = [
        Record(run, _figures(top1=0.5 + 0.1 * run["seed"], unseen=len(run["texts"]) / 10 + 0.05 * ("longer" in run)))
        for run in STUDY.runs(Options(seeds=(0, 1)))
    ]
    table = STUDY.table(records)
    assert [row[0] for row in table.rows] == [stage.label for stage in STAGES]
    assert all(row[1].mean == pytest.approx(55) for row in table.rows)
    assert [round(row[3].mean) for row in table.rows] == [10, 20, 30, 40, 50, 15, 55]
    STUDY.draw(records, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes()[1:4] == b"PNG"


def _figures(top1, unseen):
    return {"top1": top1, "within_pair": 0.5} | {f"unseen by {name}": unseen for name in ASKED}
