"""The paper's figures, spot-checked against its tables."""

from claver.evaluation.paper import paper_rows, rows_for
from claver.evaluation.protocols import TestSet
from claver.evaluation.report import paper_rows_beside


def found(benchmark: str, setting: str, method: str, frames: int | None = None) -> list[tuple[float, float | None]]:
    rows = rows_for(benchmark, setting)
    return [(r.top1, r.top5) for r in rows if r.method == method and (frames is None or r.frames == frames)]


def test_tables_1_to_5() -> None:
    assert found("kinetics400", "supervised", "CLAVER-B/32 (KMT)", 8) == [(81.5, 95.5)]
    assert found("kinetics400", "supervised", "CLAVER-L/14 (336) (KMCT)", 16) == [(88.9, 98.0)]
    assert found("kinetics600", "supervised", "CLAVER-B/16 (KMT)") == [(85.9, 97.3)]
    assert found("hmdb51", "few-shot 2", "CLAVER (KMT)") == [(58.6, None)]
    assert found("ucf101", "few-shot 16", "CLAVER-B/16 (KMCT)") == [(98.1, None)]
    (row,) = [r for r in rows_for("ucf101", "zero-shot") if r.method == "CLAVER (KMT)"]
    assert (row.top1, row.top1_std, row.table) == (78.6, 1.7, "4")
    (row,) = [r for r in rows_for("kinetics600", "zero-shot") if r.method == "CLAVER (KMT)"]
    assert (row.top1, row.top1_std, row.top5, row.top5_std) == (73.8, 0.6, 93.1, 0.6)


def test_printed_gflops() -> None:
    printed = {(r.method, r.frames): r.gflops for r in paper_rows() if r.is_claver and r.table == "1"}
    assert sorted({value for value in printed.values() if value}) == [33, 64, 122, 241, 558, 2488]


def test_a_benchmark_the_paper_does_not_have() -> None:
    assert rows_for("motion", "supervised") == []


def test_rows_stand_only_beside_what_they_may_be_compared_with() -> None:
    def beside(dataset: str, setting: str, split: str = "test") -> tuple[int, str]:
        rows, why = paper_rows_beside([TestSet("x", ("a",), (), (), dataset=dataset, split=split)], setting)
        assert {(row.benchmark, row.setting) for row in rows} <= {(dataset.partition("-")[0], setting)}
        return len(rows), why

    assert beside("kinetics600-draw2", "zero-shot") == (13, "")
    assert beside("kinetics600", "supervised") == (10, "")
    assert beside("kinetics600-draw2", "supervised")[0] == 0
    assert "all 600 classes compete" in beside("kinetics600", "zero-shot")[1]
    assert "these are training clips" in beside("ucf101", "zero-shot", "train")[1]
    assert "it has: " in beside("ucf101", "supervised")[1]
    assert beside("", "supervised") == (0, "")
