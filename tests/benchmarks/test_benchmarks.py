"""The benchmark command runs, and what it compares gives the same results (it checks that itself)."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from benchmarks.__main__ import main
from benchmarks.machine import Machine
from benchmarks.report import APART, joined, markdown, write
from benchmarks.timing import QUICK, Row, assert_same, compare, missing

from benchmarks import gpu


@pytest.mark.slow
def test_a_quick_run_measures_every_area_and_writes_both_files(tmp_path: Path) -> None:
    output = tmp_path / "bench.md"
    rows = main(["--quick", "--output", str(output)])
    areas = {row.area for row in rows}
    assert areas == {
        "attention", "video encoder", "class names", "peak memory", "X-CLIP", "frame reading", "loader",
        "training step", "memory of a step", "keeping what CLIP knew, a step", "evaluation", "live", "export",
        "GPU, bf16",
    }  # fmt: skip
    assert all(row.note for row in rows if not row.rounds), "what was not measured says why"
    written = json.loads(output.with_suffix(".json").read_text())
    assert len(written["rows"]) == len(rows)
    assert written["machine"]["rates"]["fp32"] > 0
    assert "`--quick` run" in output.read_text()


def test_ratios_are_medians_of_rounds() -> None:
    work = torch.randn(64, 64)
    rows = compare("a", "twice", lambda: (work @ work, work @ work), {"once": lambda: work @ work}, QUICK)
    assert [(row.what, row.rounds) for row in rows] == [("once", QUICK.most)]
    assert 0 < rows[0].low <= rows[0].ratio <= rows[0].high


def test_different_results_are_refused() -> None:
    with pytest.raises(AssertionError):
        assert_same(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.1]))


def test_the_page_says_what_was_met_missed_and_not_run() -> None:
    machine = Machine("a processor", 2, 2, "Linux", "3.11", "2.13", "none", {"fp32": 160.0, "bf16": 50.0})
    met = Row("area", "what", "usual", 2.0, 1.0, 2.0, 1.9, 2.1, 5, target=1.5)
    page = markdown([met, met.labelled("other", target=3), missing("area", "third", "not there")], machine, quick=False)
    assert "1.5: met" in page
    assert "3: missed" in page
    assert "not there" in page
    assert "no fast bf16 products" in page


def test_a_partial_run_joins_the_page(tmp_path: Path) -> None:
    machine = Machine("a processor", 2, 2, "Linux", "3.11", "2.13", "none", {"fp32": 160.0, "bf16": 50.0})
    old, kept = (Row(area, "what", "usual", 2.0, 1.0, 2.0, 1.9, 2.1, 5) for area in ("old", "kept"))
    absent = missing("gpu", "all", "no card")
    write(tmp_path / "page.md", [old, kept, absent], machine)
    new = replace(old, ratio=3.0)
    rows = joined(tmp_path / "page.md", [new], machine)
    assert [(row.area, row.ratio) for row in rows[:2]] == [("kept", 2.0), ("old", 3.0)]
    assert rows[2].note == absent.note
    assert joined(tmp_path / "page.md", [new], replace(machine, processor="another")) == [new]


def test_what_is_measured_apart_stays_on_the_page() -> None:
    machine = Machine("a processor", 2, 2, "Linux", "3.11", "2.13", "none", {"fp32": 160.0, "bf16": 50.0})
    page = Path(__file__).parents[2] / "docs" / "benchmarks.md"
    assert markdown([], machine).endswith(APART)
    assert page.read_text(encoding="utf-8").endswith(APART)


@pytest.mark.slow
def test_the_rows_of_a_gpu_run_on_a_cpu_and_one_that_fails_ends_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small and in single precision: that they run, and give what the usual way gives, which they assert."""
    shown: list[Row] = []
    rows = gpu.rows(QUICK, device="cpu", shown=shown.append)
    assert rows == shown
    assert [row.what for row in rows if row.note.startswith("failed")] == []
    measured = [row for row in rows if row.rounds]
    assert {row.what.split(",")[0] for row in measured} == {
        "KMCTA", "KMTA", "video encoder", "training step", "recognize",
    }  # fmt: skip
    assert sum("unmasked" in row.baseline for row in measured) == 4

    def break_down(*arguments: object) -> list[Row]:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(gpu, "_attention", break_down)
    monkeypatch.setattr(gpu, "_encoder", break_down)
    rows = gpu.rows(QUICK, device="cpu")
    assert sum("failed: RuntimeError: no such kernel" in row.note for row in rows) == 8
    assert any(row.rounds for row in rows)
