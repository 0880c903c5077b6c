"""What docs/timelines.md shows in Python runs as it stands."""

import re
from pathlib import Path

import pytest

from tests.tiny import talking_model
from tests.videos import write_video

PAGE = (Path(__file__).parents[1] / "docs" / "timelines.md").read_text(encoding="utf-8")


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "match.mp4", frames=60)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(block, {"model": talking_model()})
    assert (tmp_path / "match.vtt").read_text().startswith("WEBVTT")
