"""The command line in the tests' own process."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.tiny import talking_model

from claver.cli import main
from claver.terminal import Loudness, set_loudness

Claver = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small model."""
    folder = tmp_path_factory.mktemp("model")
    talking_model().save_pretrained(folder)
    return folder


@pytest.fixture
def inside(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Claver:
    """`claver` with arguments as in a process of its own, but without the seconds of loading all it needs again."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def run(*arguments: Any, input: str = "", cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
        capfd.readouterr()
        monkeypatch.chdir(cwd or Path.cwd())
        monkeypatch.setattr(sys, "argv", ["claver", *(os.fsdecode(str(argument)) for argument in arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(os.fsencode(input)), "utf-8", newline=""))
        try:
            with pytest.raises(SystemExit) as ended:
                main.main()
        finally:
            set_loudness(Loudness.usual)
        written = capfd.readouterr()
        return subprocess.CompletedProcess(sys.argv, int(ended.value.code or 0), written.out, written.err)

    return run
