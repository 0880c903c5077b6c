"""Fig. 5: words parted as the paper does, and as captions are made."""

import pytest
from tests.studies.test_prompt_studies import TINY

from claver.explain import Word
from claver.motion.rendering import VERBS
from claver.studies.study import Options, Record
from claver.studies.words import PARTS, ROWS, STUDY, _phrases, _shares

MOVES_LEFT = next(verb for verb in VERBS if verb.name == "moves left")


def test_a_caption_is_said_of_its_motion_of_its_thing_and_the_rest():
    caption = "a video of a small red star that travels from right to left"
    assert _phrases(caption.split(), MOVES_LEFT) == [*["rest"] * 4, *["thing"] * 3, "rest", *["motion"] * 5]


def test_shares_of_both_partings():
    words = [
        Word("a", "other", 0.05),
        Word("red", "other", 0.1),
        Word("star", "noun", 0.25),
        Word("moves", "verb", 0.4),
        Word("left", "other", 0.2),
    ]
    shares = _shares(words, MOVES_LEFT)
    assert {part: round(shares[part], 6) for part in PARTS} == {
        "verb": 0.4,
        "noun": 0.25,
        "motion": 0.6,
        "thing": 0.35,
        "rest": 0.05,
    }
    assert shares["motion alike"] == pytest.approx(2 / 5)


@pytest.mark.parametrize("row", [ROWS[0], ROWS[2]], ids=lambda row: row.label)
def test_shares_of_motion_thing_and_rest_add_up(tiny_bench, row):
    settings = next(
        run
        for run in STUDY.runs(Options(quick=True, seeds=(0,)))
        if (run["motion.temporal.kind"], run["texts"]) == (row.kind, list(row.texts))
    )
    figures = STUDY.run(settings | TINY | {"clips": 24}, tiny_bench)
    assert figures["motion"] + figures["thing"] + figures["rest"] == pytest.approx(1)
    assert 0 < figures["verb"] < figures["motion"]


def test_table_and_picture(tmp_path):
    figures = {"verb": 0.2, "noun": 0.3, "motion": 0.4, "thing": 0.5, "rest": 0.1}
    figures |= {f"{part} alike": 0.2 for part in PARTS}
    records = [Record(run, figures) for run in STUDY.runs(Options(seeds=(0, 1)))]
    rows = STUDY.table(records).rows
    assert [row[0] for row in rows] == [*(row.label for row in ROWS), "every word alike"]
    assert all([round(cell.mean) for cell in row[1:]] == [20, 30, 40, 50, 10] for row in rows[:-1])
    STUDY.draw(records, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes()[1:4] == b"PNG"
