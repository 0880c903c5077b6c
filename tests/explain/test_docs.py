"""What docs/explain.md shows runs as it stands, on stand-ins for what `make quickstart` leaves behind."""

import re
from pathlib import Path

import pytest
from tests.tiny import talking_model
from tests.videos import write_video

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "explain.md").read_text(encoding="utf-8")


def test_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    quickstart = tmp_path / "runs" / "quickstart"
    talking_model().save_pretrained(quickstart / "kmct")
    (quickstart / "clips").mkdir()
    write_video(quickstart / "clips" / "grows.mp4")
    (quickstart / "actions.csv").write_text("action\ngrows\nshrinks\n")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    exec(compile(code, "explain.md", "exec"), {})
    assert "(4, 4, 4) (4, 4, 4) (4, 4, 4)" in capsys.readouterr().out
    assert (tmp_path / "why.html").is_file()


def test_pictures_are_there_and_described() -> None:
    pictures = re.findall(r"!\[(.*?)\]\((.*?)\)", PAGE)
    assert pictures
    for description, name in pictures:
        assert description
        assert (DOCS / name).is_file()
