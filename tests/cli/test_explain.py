"""`claver explain` run as people run it."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Claver
from tests.tiny import talking_model
from tests.videos import write_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explain")
    talking_model().save_pretrained(folder / "model")
    write_video(folder / "clip.mp4")
    return folder


@pytest.fixture
def claver(inside: Claver) -> Claver:
    return lambda folder, *arguments: inside("explain", *arguments, cwd=folder)


def test_a_page(claver: Claver, folder: Path) -> None:
    done = claver(folder, "clip.mp4", "--action", "waving", "--against", "bowing", "--model", "model")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "explain.html"
    assert "of the relevance" in done.stdout
    assert "Why “waving” rather than “bowing”?" in (folder / "explain.html").read_text(encoding="utf-8")


def test_a_list_of_actions_and_another_number_of_frames(claver: Claver, folder: Path) -> None:
    options = ("--actions", "waving, bowing, running", "--model", "model", "--frames", 3, "--output", "why.json")
    done = claver(folder, "clip.mp4", "--action", "a person jumps", *options)
    assert done.returncode == 0, done.stderr
    read = json.loads((folder / "why.json").read_text())
    assert read["actions"] == ["waving", "bowing", "running", "a person jumps"]
    assert len(read["moments"]) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("clip.mp4", "--action", "waving", "--against", "waving"), "cannot be compared with itself"),
        (("clip.mp4", "--action", "waving", "--output", "why.gif"), "not as 'why.gif'"),
        (("clip.mp4", "--action", "waving", "--output", "nowhere/why.html"), "does not exist"),
        (("missing.mp4", "--action", "waving"), "no such file"),
        (("clip.mp4", "--action", "waving", "--actions", "kinetics40"), "did you mean"),
    ],
)
def test_mistakes_end_in_one_sentence(claver: Claver, folder: Path, arguments: tuple[str, ...], message: str) -> None:
    done = claver(folder, *arguments, "--model", "model")
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_help_shows_commands_that_can_be_pasted(claver: Claver) -> None:
    done = claver(Path.cwd(), "--help")
    assert done.returncode == 0
    assert "--against" in done.stdout
    assert "claver explain clip.mp4" in done.stdout
