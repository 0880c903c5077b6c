"""Records in Parquet: none lost, none twice, whatever was interrupted."""

import json
from pathlib import Path

import pytest

from claver.errors import ClaverError
from claver.inference.jobs import Record
from claver.scale import Parts
from claver.scale.parts import run_parts

pyarrow = pytest.importorskip("pyarrow", reason="pyarrow (extra scale) is not installed")
parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow (extra scale) is not installed")
ITEMS = [f"clip {number}.mp4" for number in range(10)]


def record(item: str, **more: object) -> Record:
    return {"path": item, **more}


def fill(folder: Path, items: list[str], **settings: object) -> list[str]:
    """Do what is missing; what was missing."""
    with Parts(folder, settings, rows=3) as parts:
        left = parts.missing(items)
        for item in left:
            parts.add(record(item, error="bad") if item.startswith("bad") else record(item, top=[1]))
        parts.flush()
        return left


def test_a_job_resumes_with_what_no_part_has(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    assert fill(folder, ITEMS[:7]) == ITEMS[:7]
    assert fill(folder, ITEMS) == ITEMS[7:]
    with Parts(folder, {}) as parts:
        assert sorted(one["path"] for one in parts.records()) == ITEMS
    table = parquet.read_table(folder)  # as anybody reads it
    assert table.column_names == ["id", "path", "error", "record"]
    assert table.column("path").to_pylist() == ITEMS
    assert table.column("error").null_count == len(ITEMS)
    assert json.loads(table.column("record")[0].as_py()) == record(ITEMS[0], top=[1])


def test_what_was_not_flushed_is_done_again_and_nothing_is_half_written(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    parts = Parts(folder, {}, rows=3)
    for item in ITEMS[:5]:
        parts.add(record(item))
    parts.close()  # as a kill would end it
    assert fill(folder, ITEMS) == ITEMS[3:]
    assert {path.suffix for path in folder.iterdir()} == {".parquet", ".json"}


def test_a_part_is_written_after_its_time(tmp_path: Path) -> None:
    with Parts(tmp_path / "parts", {}, seconds=0.0) as parts:
        parts.add(record("a"))
        assert parts.missing(["a", "b"]) == ["b"]


def test_errors_are_tried_again_when_asked_for_and_never_in_twice(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    items = [*ITEMS, "bad 1", "bad 2", "bad 3"]  # two of them are alone in the last part
    fill(folder, items)
    with Parts(folder, {}) as parts:
        assert [one["path"] for one in parts.records(errors_only=True)] == items[10:]
        assert parts.missing(items) == []
        parts.forget_errors()
        assert parts.missing(items) == items[10:]
    assert fill(folder, items) == items[10:]
    with Parts(folder, {}) as parts:
        assert sorted(one["path"] for one in parts.records()) == sorted(items)


def test_other_settings_are_refused_but_one_that_is_new_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    fill(folder, ITEMS[:1], model="a", views=(1, 3))
    fill(folder, ITEMS[:2], model="a", views=(1, 3), setting_of_a_later_version=7)
    now = {"model": "a", "views": (1, 3), "setting_of_a_later_version": 7}
    for more in ({"model": "b"}, {"views": (1, 1)}, {"setting_of_a_later_version": 8}):
        with pytest.raises(ClaverError, match=f"holds records made with other {next(iter(more))};"):
            Parts(folder, now | more)
    with Parts(folder, now), pytest.raises(ClaverError, match="another claver command is writing"):
        Parts(folder, now)


def test_a_setting_that_is_gone_is_another_one(tmp_path: Path) -> None:
    fill(tmp_path / "parts", ITEMS[:1], model="a", damaged="skip")
    with pytest.raises(ClaverError, match="holds records made with other damaged;"):
        Parts(tmp_path / "parts", {"model": "a"})
    assert fill(tmp_path / "parts", ITEMS[:1], model="a", damaged="skip") == []


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ClaverError, match="holds no records of claver"):
        Parts(tmp_path / "mine", {})
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ClaverError, match="cannot write"):
        Parts(tmp_path / "file", {})
    with pytest.raises(ClaverError, match="cannot write"):
        Parts(tmp_path / "no" / "such", {})


@pytest.mark.parametrize("what", ["missing", "forget_errors", "records"])
@pytest.mark.parametrize("damage", ["cut", "overwritten", "another table"])
def test_a_damaged_part_is_named(tmp_path: Path, what: str, damage: str) -> None:
    fill(tmp_path / "parts", ITEMS)
    part = tmp_path / "parts" / "part-000001.parquet"
    content = part.read_bytes()
    if damage == "another table":
        parquet.write_table(pyarrow.table({"number": [1]}), part)
    else:
        part.write_bytes(content[:100] if damage == "cut" else content[:4] + bytes(len(content) - 8) + content[-4:])
    with Parts(tmp_path / "parts", {}) as parts:
        ask = {"missing": lambda: parts.missing(ITEMS), "forget_errors": parts.forget_errors}
        with pytest.raises(ClaverError, match=r"parts/part-000001\.parquet is damaged \(.+\); delete it"):
            ask.get(what, lambda: list(parts.records()))()
    part.unlink()
    assert fill(tmp_path / "parts", ITEMS) == ITEMS[:3]


@pytest.mark.parametrize("content", ["5", "[]", "null", "{"])
def test_settings_that_are_none_are_named(tmp_path: Path, content: str) -> None:
    fill(tmp_path / "parts", ITEMS)
    (tmp_path / "parts" / "_settings.json").write_text(content)
    with pytest.raises(ClaverError, match=r"_settings\.json"):
        Parts(tmp_path / "parts", {})


def test_names_of_any_bytes_are_kept(tmp_path: Path) -> None:
    odd = "clip \udcff.mp4"
    fill(tmp_path / "parts", [odd])
    assert fill(tmp_path / "parts", [odd]) == []
    with Parts(tmp_path / "parts", {}) as parts:
        assert [one["path"] for one in parts.records()] == [odd]
    assert parquet.read_table(tmp_path / "parts").column("path").to_pylist() == ["clip \\udcff.mp4"]


def test_the_folder_goes_when_its_output_is_written(tmp_path: Path) -> None:
    fill(tmp_path / "parts", ITEMS)
    with Parts(tmp_path / "parts", {}) as parts:
        parts.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_somebody_else_stays_when_the_folder_goes(tmp_path: Path) -> None:
    fill(tmp_path / "parts", ITEMS)
    (tmp_path / "parts" / "notes.txt").write_text("mine")
    with Parts(tmp_path / "parts", {}) as parts:
        parts.remove()
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["notes.txt"]


def test_an_item_of_which_no_record_comes_is_told(tmp_path: Path) -> None:
    with Parts(tmp_path / "parts", {}) as parts:
        with pytest.raises(ClaverError, match=r"^no record came of 2 of 10 items, such as clip 8\.mp4$"):
            run_parts(ITEMS, lambda items: map(record, items[:-2]), parts)
        run_parts(ITEMS, lambda items: map(record, items), parts)
        assert sorted(one["path"] for one in parts.records()) == ITEMS
