"""docs/towers.md: its own image tower works as shown, by the commands shown; and what docs name is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from claver import plugins
from claver.cli.main import app
from claver.models import towers
from tests.models import random_family as families
from tests.videos import write_video

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "towers.md").read_text(encoding="utf-8")


def test_the_tower_shown_works_by_the_commands_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    plugin = re.search(r"```python\n(# my_towers.py\n.*?)```", PAGE, re.S)
    commands = re.findall(r"^claver (--plugin .*)$", PAGE, re.M)
    assert plugin is not None
    assert len(commands) == 2
    families.sentence_encoder(tmp_path / "words")
    (tmp_path / "my_towers.py").write_text(plugin[1])
    write_video(tmp_path / "clip.mp4", seed=0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(towers, "_registered", {})
    monkeypatch.setenv(plugins.ENVIRONMENT, "")
    for command in commands:
        words = shlex.split(command.replace("sentence-transformers/all-MiniLM-L6-v2", "words"))
        done = CliRunner().invoke(app, words, catch_exceptions=False)
        assert done.exit_code == 0, done.output
    assert "surfing" in done.output


@pytest.mark.parametrize("page", [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
def test_files_that_are_named_are_there(page: Path) -> None:
    named = set(
        re.findall(r"`([a-z_]+(?:/[\w.-]+)+\.(?:py|csv|yaml|md))(?::[^`]*)?`", page.read_text(encoding="utf-8"))
    )
    gone = [name for name in named if not any((root / name).exists() for root in (ROOT, ROOT / "src" / "claver"))]
    assert gone == []
