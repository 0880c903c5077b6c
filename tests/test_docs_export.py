"""What docs/export.md shows in Python runs as it stands, and its commands are claver's."""

import re
from pathlib import Path

import pytest

from claver.export.attention import DYNAMIC_TOKENS
from claver.models import named_config
from claver.models.exported.manifest import OPSET
from tests.exports import needs_onnx, timed_model
from tests.videos import write_video

PAGE = (Path(__file__).parents[1] / "docs" / "export.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    needs_onnx()
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "clip.mp4", frames=40)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(block, {"model": timed_model("kmct")})
    printed = capsys.readouterr().out
    assert "exported: video, text, step (onnx, fp32)" in printed
    assert "Answer(action=" in printed


def test_numbers_of_the_page_are_those_of_the_code() -> None:
    assert f"{DYNAMIC_TOKENS:,} tokens" in PAGE
    assert f"opset {OPSET}" in PAGE
    for size, frames in (("B/32", 20), ("B/16", 5)):
        tokens = named_config(size).image.tokens
        assert frames * tokens <= DYNAMIC_TOKENS < (frames + 1) * tokens
        assert f"{size} with {frames}" in PAGE
