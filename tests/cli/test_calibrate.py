"""`claver calibrate`, and what `claver recognize` says of none of these."""

import csv
import io
import json
from pathlib import Path

import pytest
from tests.cli.conftest import Claver
from tests.tiny import talking_model
from tests.videos import write_video
from typer.testing import CliRunner

from claver.cli.formats import Format, render
from claver.cli.main import app
from claver.errors import ClaverError
from claver.inference.open_set import OpenSet

ACTIONS = "waving,bowing"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrate")
    talking_model().save_pretrained(folder / "model")
    for seed in range(5):
        write_video(folder / f"{seed}.mp4", seed=seed)
    rows = [f"{seed}.mp4,{('waving', 'bowing')[seed % 2] if seed else 'flying'}" for seed in range(5)]
    (folder / "clips.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    return folder


def test_a_calibration_is_made_and_used(inside: Claver, place: Path) -> None:
    own = ["--model", "model", "--actions", ACTIONS, "--workers", 0]
    made = inside("calibrate", "clips.csv", *own, "--alpha", "0.2", cwd=place)
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("calibration.json: threshold ")
    assert "from 4 clips of the actions\nof those 0.0% are below it, of further ones at most 20.0%\n" in made.stdout
    assert "of 1 clips of other classes" in made.stdout
    used = ["--format", "json", "--calibration", "calibration.json"]
    done = inside("recognize", *(f"{seed}.mp4" for seed in range(1, 5)), *own, *used, cwd=place)
    assert done.returncode == 0, done.stderr
    assert [record["none_of_these"] for record in json.loads(done.stdout)] == [False] * 4
    other = inside("recognize", "1.mp4", *own[:2], "--actions", "waving", *used, cwd=place)
    assert other.returncode == 1
    assert "calibration.json was made for other actions, or other texts for them" in other.stderr


def test_off_is_softmax_alone(inside: Claver, place: Path) -> None:
    asked = ["recognize", "1.mp4", "--model", "model", "--actions", ACTIONS, "--format", "json"]
    on, off = (json.loads(inside(*asked, *more, cwd=place).stdout)[0] for more in ([], ["--unknown", "off"]))
    assert on["top"] == off["top"]
    assert (off["unknown"], off["none_of_these"]) == (None, False)
    assert 0 <= on["unknown"] <= 1


def test_evaluate_and_explain_do_not_pay_for_it(
    inside: Claver, place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the background was encoded")

    monkeypatch.setattr(OpenSet, "encode", refuse)
    done = inside("evaluate", "clips.csv", "--model", "model", "--views", "1x1", "--workers", 0, cwd=place)
    assert done.returncode == 0, done.stderr
    page = tmp_path / "why.json"
    why = ["explain", "1.mp4", "--action", "waving", "--actions", ACTIONS, "--model", "model", "--output", page]
    assert inside(*why, cwd=place).returncode == 0
    paid = inside("recognize", "1.mp4", "--model", "model", "--actions", ACTIONS, cwd=place)
    assert "the background was encoded" in paid.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("recognize a.mp4 --unknown maybe", "--unknown is on or off, not 'maybe'"),
        ("recognize a.mp4 --unknown off --calibration b.json", "needs --unknown on"),
        ("calibrate a.csv --alpha 2", "--alpha is a share between 0 and 1, not 2"),
        ("calibrate a.csv --output a.csv", "a.csv is read, and would be lost"),
        ("calibrate a.csv --output nowhere/b.json", "the folder nowhere does not exist"),
    ],
)
def test_mistakes_in_a_sentence(command: str, said: str) -> None:
    with pytest.raises(ClaverError, match=said):
        CliRunner().invoke(app, command.split(), catch_exceptions=False)


def test_too_few_clips_are_said_before_any_is_read(inside: Claver, place: Path) -> None:
    made = inside("calibrate", "clips.csv", "--model", "model", "--actions", ACTIONS, "--output", "c.json", cwd=place)
    assert made.returncode == 1
    assert "alpha 0.05 needs at least 19 clips of the actions, and there are 4" in made.stderr
    assert not (place / "c.json").exists()


def test_every_format_shows_it_and_old_records_are_still_written() -> None:
    answer = {"action": "waving", "probability": 0.9, "score": 2.0}
    record = {"path": "a.mp4", "seconds": None, "damaged": None, "top": [answer]}
    told = {**record, "unknown": 0.875, "none_of_these": True}
    table = render([told], Format.table)
    assert table.index("none of these") < table.index("waving")
    assert "87.5%" in table
    assert "none of these" not in render([{**told, "unknown": 0.25, "none_of_these": False}], Format.table)
    rows = list(csv.DictReader(io.StringIO(render([told, record, {"path": "b", "error": "no"}], Format.csv))))
    assert list(rows[0])[-3:] == ["damaged", "unknown", "none_of_these"]
    assert [row["none_of_these"] for row in rows] == ["yes", "", ""]
    assert [row["unknown"] for row in rows] == ["0.875000", "", ""]
    assert json.loads(render([told], Format.jsonl))["unknown"] == 0.875
