"""Names of others on a terminal: shown, never acting; in a pipe or a file the very bytes."""

import io
import json
import logging
import os
import pty
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from claver.json_text import to_json
from claver.processes import WorkerPool
from claver.progress import Screen
from claver.terminal import Loudness, set_loudness, shown, shown_text

NASTY = "a\x1b]0;PWNED\x07\x9b2J\x7f\u202egpj.\u2066\ud800\udcff\rb"
ACTING = {
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
}


def on_a_terminal(*command: str, **settings: Any) -> str:
    """What a command prints when all three streams are a terminal."""
    ours, theirs = pty.openpty()
    running = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, **settings)
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        said += part
    running.wait(60)
    os.close(ours)
    return said.decode("utf-8", "surrogateescape")


def test_what_acts_is_shown_and_the_rest_stays() -> None:
    assert shown(NASTY) == r"a\x1b]0;PWNED\x07\u009b2J\u007f\u202egpj.\u2066\ud800\udcff\rb"
    assert shown("one\n\ttwo") == r"one\n\ttwo"
    assert shown_text("one\n\ttwo") == "one\n\ttwo"
    harmless = "déjà vu, می‌رود, 👩‍🚀, 走る, \u00a0"  # with joiners, which scripts need
    assert shown(harmless) == harmless


@given(st.text(st.characters(codec=None) | st.sampled_from([*sorted(ACTING), "\ud800", "\u2028"])))
def test_nothing_that_acts_is_left(text: str) -> None:
    assert not ACTING & set(shown(text))
    assert shown(shown(text)) == shown(text)
    assert shown(text).encode().decode() == shown(text)
    assert set(shown_text(text)) & ACTING <= {"\t", "\n"}


@given(st.dictionaries(st.text(st.characters(codec=None)), st.text(st.characters(codec=None)) | st.floats()))
def test_json_stays_the_same_json(values: dict[str, Any]) -> None:
    assert repr(json.loads(shown_text(to_json(values)))) == repr(values)
    assert to_json(values).encode()


@pytest.mark.parametrize("how", ["text", "string", "cell", "title"])
def test_a_rich_console_lets_nothing_through(how: str) -> None:
    file = io.StringIO()
    screen = Screen(file=file, width=200, force_terminal=False)
    table = Table(title=escape(NASTY) if how == "title" else None)
    table.add_column("a")
    table.add_row(escape(NASTY))
    said: dict[str, Any] = {"text": Text(NASTY), "string": escape(NASTY), "cell": table, "title": table}
    screen.print(said[how])
    assert set(file.getvalue()) & ACTING <= {"\n"}
    assert r"\x1b]0;PWNED" in file.getvalue()


def test_a_console_takes_no_name_for_a_picture() -> None:
    file = io.StringIO()
    Screen(file=file).print("a:warning:b", markup=False)
    assert file.getvalue() == "a:warning:b\n"


PUT = """
import sys
from claver.terminal import complain, put, say
put("a\\x1b[2J\\x9b\\udcff,b\\r\\n")
say("said \\x1b[2J")
complain("no \\x1b[2J\\nclaver: forged")
"""


def test_programs_get_the_very_bytes_and_terminals_none_that_act() -> None:
    done = subprocess.run([sys.executable, "-c", PUT], capture_output=True, timeout=60)
    assert done.stdout == b"a\x1b[2J\xc2\x9b\xff,b\r\n" + rb"said \x1b[2J" + b"\n"
    assert done.stderr == rb"claver: no \x1b[2J\nclaver: forged" + b"\n"
    said = on_a_terminal(sys.executable, "-c", PUT)
    assert said.splitlines() == [r"a\x1b[2J\u009b\udcff,b\r", r"said \x1b[2J", r"claver: no \x1b[2J\nclaver: forged"]


def test_a_terminal_of_few_signs_shows_escapes() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-c", "from claver.terminal import say; say('é → ✗')"]
    done = subprocess.run(command, capture_output=True, env=environment, timeout=60)
    assert done.stdout == rb"\xe9 \u2192 \u2717" + b"\n"


def test_banks_and_errors_of_others(tmp_path: Path) -> None:
    text = {"list": "mine", "action": "waving", "kind": "synonym", "text": "a hand \x1b]0;PWNED\x07\x1b[2Kwaves"}
    (tmp_path / "bank.jsonl").write_text(json.dumps(text) + "\n")
    claver = (sys.executable, "-m", "claver")
    said = on_a_terminal(*claver, "prompts", "show", "waving", "--bank", str(tmp_path / "bank.jsonl"))
    assert r"a hand \x1b]0;PWNED\x07\x1b[2Kwaves" in said
    assert "\x1b" not in said
    said = on_a_terminal(*claver, "prompts", "show", "\x1b]0;PWNED\x07", "--list", "ucf101")
    assert "\x1b" not in said
    assert "PWNED" in said


def warn_of(name: str) -> None:
    logging.getLogger("claver").warning("%s is odd", name)


def test_warnings_of_other_processes_are_harmless_and_as_loud(capfd: pytest.CaptureFixture[str]) -> None:
    for level, said in ((Loudness.usual, "claver: warning: a\\x1b[2J is odd\n"), (Loudness.quiet, "")):
        set_loudness(level)
        try:
            with closing(WorkerPool(warn_of, 1)) as pool:
                pool.submit("a\x1b[2J").result(60)
        finally:
            set_loudness(Loudness.usual)
        assert capfd.readouterr().err == said
