"""What docs/scale.md shows runs as it stands."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from claver.cli.main import app
from tests.tiny import talking_model
from tests.videos import write_video

PAGE = (Path(__file__).parents[1] / "docs" / "scale.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ray", reason="ray (extra scale) is not installed")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    for number in range(5):
        write_video(tmp_path / "clips" / f"{number}.mp4", seed=number)
    talking_model().save_pretrained(tmp_path / "MODEL")
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(block, {"__name__": "__main__"})
    assert capsys.readouterr().out.splitlines()[-1] == "5 answers"


def test_that_changed_files_are_not_looked_at_again_is_said_where_one_looks() -> None:
    told = CliRunner().invoke(app, ["recognize", "--help"], env={"COLUMNS": "400"}).output
    assert "a name that has an answer is not looked at again" in " ".join(told.replace("│", " ").split())
    assert "A name that has an answer is not looked at again" in " ".join(PAGE.split())


def test_every_option_it_names_is_one() -> None:
    told = CliRunner().invoke(app, ["recognize", "--help"], env={"COLUMNS": "200"}).output
    named = set(re.findall(r"`(--[a-z-]+)", PAGE)) - {"--port"}
    assert len(named) > 4
    for option in named:
        assert option in told, option
