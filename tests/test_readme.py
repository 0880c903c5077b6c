"""What README.md shows runs as it stands, on stand-ins for what `make quickstart` leaves behind."""

import csv
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import talking_model
from tests.videos import write_video

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.S)
_OFFLINE = "recognize|watch|timeline|index|search|prompts|explain"
COMMANDS = re.findall(rf"^\.venv/bin/claver ((?:{_OFFLINE}) .*)$", README, re.M)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `runs/quickstart` in it: models of random weights, a clip, a list of actions."""
    top = tmp_path_factory.mktemp("readme")
    quickstart = top / "runs" / "quickstart"
    for kind in ("kmt", "kmct"):
        talking_model(kind).save_pretrained(quickstart / kind)  # type: ignore[arg-type]
    (quickstart / "clips").mkdir()
    write_video(quickstart / "clips" / "grows.mp4")
    with (quickstart / "actions.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["action"], ["grows"], ["shrinks"]])
    return top


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_python(code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib (extra explain) is not installed")
    monkeypatch.chdir(folder)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    if "kmcta" in names:
        assert str(names["out"].shape) == "torch.Size([1, 12, 8, 197, 64])"  # type: ignore[attr-defined]
    else:
        assert (folder / "answer.png").is_file()


def run(command: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "claver", *shlex.split(command)], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command: str, folder: Path) -> None:
    if command.startswith("search"):  # which needs the index that the one before makes, perhaps in another process
        for before in (other for other in COMMANDS if other.startswith("index")):
            run(before, folder)
    told = run(command, folder)
    assert (folder / "timeline.html").is_file() if command.startswith("timeline") else told


def test_there_is_something_to_run() -> None:
    assert len(PYTHON) == 2
    assert len(COMMANDS) == 11
