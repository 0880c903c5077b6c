"""The table of a report, as a terminal of 80 columns shows it."""

import io

import pytest
import torch
from rich.console import Console

from claver.evaluation.protocols import Evaluation, TestSet
from claver.evaluation.report import print_report, to_dict

CLASSES = ("archery", "yoga")


@pytest.fixture
def splits() -> list[Evaluation]:
    tests = [TestSet(f"ucf_split{number}", CLASSES, ("a.mp4", "b.mp4"), (0, 1), "ucf101") for number in (1, 2)]
    return [Evaluation(test, torch.eye(2), {}, wording="rewritten") for test in tests]


def test_splits_and_the_wording_of_their_texts_can_be_read(splits: list[Evaluation]) -> None:
    shown = io.StringIO()
    console = Console(file=shown, width=80)
    print_report(console, splits, setting="zero-shot", name="best (kmct)", frames=8, views="4x3")
    rows = [[cell.strip() for cell in line.split("│")] for line in shown.getvalue().splitlines() if "│" in line]
    assert [row[1] for row in rows if row[-2] == "measured"][:2] == ["ucf_split1", "ucf_split2"]
    assert "best (kmct), rewritten texts" in " ".join(row[1] for row in rows)


def test_json_has_the_wording_of_each_set(splits: list[Evaluation]) -> None:
    assert [one["wording"] for one in to_dict(splits, {})["sets"]] == ["rewritten", "rewritten"]
