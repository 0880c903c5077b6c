"""Searching for verbs and their reversals: files with one of each, figures worked out by hand, and the command."""

import json
from pathlib import Path

import pytest
from tests.tiny import talking_model
from typer.testing import CliRunner

from claver.cli.main import app
from claver.errors import ClaverError
from claver.motion.verbs import verb_names
from claver.studies import search
from claver.studies.study import Options, Record
from claver.video import VideoReader

VERBS = verb_names()


def test_every_file_has_each_verb_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    shown = search.write_files(tmp_path, 2, seed=0)
    orders = [[shown[str(tmp_path.resolve() / f"{n}.mp4"), at] for at in range(len(VERBS))] for n in range(2)]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(VERBS)
    assert orders[0] != orders[1]
    with VideoReader(tmp_path / "0.mp4") as reader:
        assert reader.info.duration == pytest.approx(len(VERBS) * search.SECONDS)


@pytest.mark.parametrize(
    ("names", "figures"),
    [
        ([0, 1, 0, 2], (1, 1, (1 + 2 / 3) / 2, 1)),
        ([1, 2, 0, 0], (0, 1, (1 / 3 + 2 / 4) / 2, 0)),
        ([2, 3, 4, 5, 6, 0], (0, 0, (1 / 6) / 2, 1)),
        ([2, 3], (0, 0, 0, 0)),
    ],
)
def test_figures_by_hand(names: list[int], figures: tuple[float, ...]) -> None:
    found = search.figures_of(VERBS[0], [VERBS[name] for name in names], 2)
    assert tuple(found[key] for key in search.COLUMNS) == pytest.approx(figures)


def test_table_and_figure_have_every_kind(tmp_path: Path) -> None:
    records = [
        Record({"kind": kind, "files": 20, "seed": seed}, dict.fromkeys(search.COLUMNS, 0.1 * place + 0.01 * seed))
        for place, kind in enumerate(search.KINDS, 1)
        for seed in range(3)
    ]
    table = search.table(records)
    assert [row[0] for row in table.rows] == ["mean pooling", "KMTA", "KMCTA"]
    assert table.rows[1][4].values == pytest.approx((20, 21, 22))  # type: ignore[union-attr]
    search.draw(records, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quickstart")
    for kind in search.KINDS:
        talking_model(kind).save_pretrained(folder / kind)
    return folder


def test_the_command_measures_each_model(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lancedb", reason="lancedb (extra search) is not installed")
    pytest.importorskip("accelerate", reason="accelerate (extra train) is not installed")
    monkeypatch.setattr(search, "_QUICK_FILES", 1)
    words = ["study", "search", str(models), "--quick", "--output", str(tmp_path / "out")]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    records = [json.loads(line) for line in (tmp_path / "out" / "data.jsonl").read_text().splitlines()]
    assert [record["settings"]["kind"] for record in records] == list(search.KINDS)
    assert len({record["settings"]["weights"] for record in records}) == 3
    assert all(0 < record["figures"]["precision"] <= 1 for record in records)
    assert (tmp_path / "out" / "figure.png").is_file()


def test_what_is_missing_is_told(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClaverError, match=r"there is no model .*mean; `claver quickstart` makes it"):
        search.check(Options(arguments=(str(tmp_path),)))
    with pytest.raises(ClaverError, match="not --model"):
        search.check(Options(arguments=(str(models),), model="m"))
    monkeypatch.setattr(search, "find_spec", lambda name: None)
    with pytest.raises(ClaverError, match=r"pip install 'claver\[search\]'"):
        search.check(Options(arguments=(str(models),)))
