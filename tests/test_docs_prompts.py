"""What docs/prompts.md shows in Python runs as it stands; its commands are those that exist."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from claver.cli.main import app
from claver.inference.recognizer import Recognizer
from claver.text.selection import texts_for
from tests.tiny import talking_model

PAGE = (Path(__file__).parents[1] / "docs" / "prompts.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.S)
COMMANDS = re.findall(r"^claver (prompts (?:show|stats).*)$", PAGE, re.M)


def test_python() -> None:
    names: dict[str, object] = {}
    for code in PYTHON:
        if "recognizer" in code:
            names["recognizer"] = Recognizer(talking_model(), names["actions"])  # type: ignore[arg-type]
        exec(compile(code, "prompts.md", "exec"), names)
    recognizer = names["recognizer"]
    assert isinstance(recognizer, Recognizer)
    assert recognizer.actions == ("draw sword", "waving")


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command: str) -> None:
    assert CliRunner().invoke(app, shlex.split(command)).exit_code == 0


def test_rows_of_table_11_are_choices_that_grow() -> None:
    [listed] = re.findall(r"left half are (.*?)\.\n", PAGE, re.S)
    rows = re.findall(r"`(.*?)`", listed)
    counts = [len(texts_for(["brush hair"], row, dataset="hmdb51").texts[0]) for row in rows]
    assert counts == [1, 8, 11, 14, 17]
