"""Table 13: so many clips of each verb and no more."""

import pytest
from tests.studies.test_prompt_studies import TINY

from claver.motion.unseen import UNSEEN_VERBS
from claver.studies import fewshot
from claver.studies.fewshot import PAPER, SHOTS, STUDY
from claver.studies.study import Options, Record

# As printed: KMT for K = 2, 4, 8, 16, then KMCT.
TABLE_13 = """
HMDB-51 (%) | 58.6 | 63.9 | 68.0 | 72.5 | 58.3 | 64.5 | 68.6 | 72.9
UCF-101 (%) | 89.7 | 92.9 | 96.1 | 98.0 | 90.0 | 92.9 | 96.6 | 98.1
"""


def test_the_papers_numbers_are_those_of_table_13():
    for line in TABLE_13.strip().splitlines():
        name, *printed = line.split(" | ")
        benchmark = name.removesuffix(" (%)")
        assert [*PAPER["kmt"][benchmark], *PAPER["kmct"][benchmark]] == [float(number) for number in printed]
    assert {len(rows) for rows in PAPER.values()} == {2}


def test_a_model_that_knows_no_verbs_is_not_asked_zero_shot():
    runs = STUDY.runs(Options(seeds=(0,)))
    assert {run["shots"] for run in runs if run["start"] == "verbs"} == set(SHOTS)
    assert {run["shots"] for run in runs if run["start"] == "stills"} == {2, 4, 8, 16}


@pytest.mark.parametrize("shots", [2, 8])
def test_it_learns_from_exactly_k_clips_of_each_verb_and_the_more_are_more_of_the_same(tiny_bench, monkeypatch, shots):
    seen = []
    monkeypatch.setattr(
        fewshot, "train", lambda recipe, model, clips, texts, verbs: seen.append((recipe, clips, verbs))
    )
    settings = next(
        run for run in STUDY.runs(Options(quick=True, seeds=(0,))) if run["shots"] == shots and run["start"] == "stills"
    )
    assert 0 <= STUDY.run(settings | TINY, tiny_bench)["top1"] <= 1
    ((recipe, clips, verbs),) = seen
    assert len(clips) == len(clips.labels) == shots * 12  # no reversals on top
    assert clips.labels.bincount().tolist() == [shots] * 12
    assert verbs is UNSEEN_VERBS
    assert recipe.batch_size <= len(clips)
    assert recipe.steps == settings["shots.steps"]


def test_table_and_picture(tmp_path):
    records = [
        Record(run, {"top1": run["shots"] / 100 + 0.1 * run["seed"], "within_pair": 0.5})
        for run in STUDY.runs(Options(seeds=(0, 1)))
    ]
    table = STUDY.table(records)
    assert table.columns[1:] == ("zero-shot", "K=2", "K=4", "K=8", "K=16")
    assert [round(cell.mean, 1) for cell in table.rows[0][1:]] == [5.0, 7.0, 9.0, 13.0, 21.0]
    assert table.rows[2][1].values == ()
    STUDY.draw(records, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes()[1:4] == b"PNG"
