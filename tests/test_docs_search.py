"""What docs/search.md shows in Python runs as it stands."""

import re
from pathlib import Path

import pytest

from tests.tiny import talking_model
from tests.videos import write_video

PAGE = (Path(__file__).parents[1] / "docs" / "search.md").read_text(encoding="utf-8")


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lancedb", reason="lancedb (extra search) is not installed")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos" / "match.mp4", frames=60)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {"model": talking_model()}
    exec(block, names)
    assert names["index"].info().files == 1  # type: ignore[attr-defined]
