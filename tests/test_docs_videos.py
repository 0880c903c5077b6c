"""What docs/videos.md shows in Python runs as it stands."""

import re
from pathlib import Path

import pytest

from tests.video.video_files import write_video

PAGE = (Path(__file__).parents[1] / "docs" / "videos.md").read_text(encoding="utf-8")


def test_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "match.mp4", 100)
    write_video(tmp_path / "camera.ts", 50)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 1
    exec(blocks[0], {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1.0 (96, 128, 3) False"
    assert lines[8] == "None"
    assert len(lines) == 17
