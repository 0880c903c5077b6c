"""`--preprocess`: what recognize, evaluate and explain do to the pixels."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.tiny import talking_model
from tests.videos import write_video
from typer.testing import CliRunner

import claver
from claver.cli.main import app
from claver.video import Preprocess

ACTIONS = ["waving", "bowing"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of ours whose own preprocessing is not the paper's, and a labelled clip."""
    folder = tmp_path_factory.mktemp("preprocess")
    model = talking_model()
    model.config = replace(model.config, preprocess=Preprocess(32, 32))
    model.save_pretrained(folder / "model")
    write_video(folder / "clip.mp4")
    (folder / "clips.csv").write_text("path,label\nclip.mp4,waving\n")
    return folder


def score(place: Path, preprocess: str | None) -> float:
    """That of the action, by Python."""
    model = claver.load(place / "model", preprocess=preprocess)  # type: ignore[arg-type]
    return float(claver.Recognizer(model, ACTIONS, texts="names")(place / "clip.mp4").scores[0])


def run(*arguments: object) -> None:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, (done.output, done.exception)


@pytest.mark.parametrize("preprocess", [None, "checkpoint", "paper"])
def test_commands_prepare_pixels_as_asked(place: Path, tmp_path: Path, preprocess: str | None) -> None:
    settings = ["--model", place / "model", *(["--preprocess", preprocess] if preprocess else [])]
    expected = pytest.approx(score(place, preprocess), rel=1e-4)
    actions = ["--actions", ",".join(ACTIONS)]
    run("recognize", place / "clip.mp4", *settings, *actions, "--texts", "names", "--output", tmp_path / "a.jsonl")
    (record,) = map(json.loads, (tmp_path / "a.jsonl").read_text().splitlines())
    assert {answer["action"]: answer["score"] for answer in record["top"]}["waving"] == expected
    (tmp_path / "names.csv").write_text("action,text\nwaving,waving\nbowing,bowing\n")
    explained = ["--action", "waving", "--actions", tmp_path / "names.csv", "--output", tmp_path / "why.json"]
    run("explain", place / "clip.mp4", *settings, *explained)
    assert json.loads((tmp_path / "why.json").read_text())["similarity"] == expected
    run("evaluate", place / "clips.csv", *settings, "--texts", "names", "--output", tmp_path / "e.json", "--workers", 0)
    assert json.loads((tmp_path / "e.json").read_text())["settings"].get("preprocess") == preprocess


def test_paper_and_checkpoint_differ_here(place: Path) -> None:
    assert score(place, "paper") != pytest.approx(score(place, "checkpoint"), rel=1e-4)
    assert score(place, None) == pytest.approx(score(place, "checkpoint"), rel=1e-6)


def test_another_word_is_answered(place: Path) -> None:
    command = ["explain", place / "clip.mp4", "--action", "a", "--model", place / "model", "--preprocess", "own"]
    done = CliRunner().invoke(app, [str(word) for word in command])
    assert done.exit_code != 0
    assert "preprocess must be paper or checkpoint, not 'own'" in str(done.exception)
