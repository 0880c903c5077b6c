"""What docs/live.md shows in Python runs as it stands."""

import re
from pathlib import Path

import numpy as np
import pytest

from claver.video.writing import write_clip
from tests.tiny import talking_model

PAGE = (Path(__file__).parents[1] / "docs" / "live.md").read_text(encoding="utf-8")


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    pictures = np.random.default_rng(0).integers(0, 256, (16, 48, 64, 3), dtype=np.uint8)
    write_clip(tmp_path / "match.mp4", pictures, fps=8)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {"model": talking_model()}
    exec(block, names)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["0.00", "0.25", "0.50", "0.75", "1.00", "1.25", "1.50", "1.75"]
    assert lines[0].split(": ")[1].partition(",")[0] in ("waving", "bowing", "running")
    assert isinstance(names["events"], list)


def test_options_and_defaults_named_are_those_of_the_command() -> None:
    from claver.inference.events import ClipSaver, EventDetector
    from claver.video.live_source import FIRST_WAIT, LONGEST_WAIT, SILENT_SECONDS

    detector, settings = EventDetector(), ClipSaver.__init__.__kwdefaults__
    assert f"`--enter` ({detector.enter})" in PAGE
    assert f"`--leave` ({detector.leave})" in PAGE
    assert f"nothing for {SILENT_SECONDS:g} s is opened again after {FIRST_WAIT:g} s" in PAGE
    assert f"{LONGEST_WAIT:g} s, until" in PAGE
    assert f"of {settings['around']:g} s before" in PAGE
    assert f"last {settings['longest']:g} s are held" in PAGE
