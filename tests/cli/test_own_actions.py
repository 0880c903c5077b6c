"""A trained model remembers its actions: recognize, explain and evaluate need no --actions and no --texts."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from tests.tiny import talking_model
from tests.videos import write_video
from typer.testing import CliRunner

import claver
from claver.cli.main import app
from claver.errors import ClaverError

CLASSES = ("wave", "bow", "run")
TEXTS = {name: [f"they {name}", f"a {name} seen from afar"] for name in CLASSES}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps on six clips of three classes, by texts of a file; `run` is the run."""
    folder = tmp_path_factory.mktemp("trained")
    rows = ["path,label,split"]
    for n in range(9):
        write_video(folder / f"{n}.mp4", seed=n)
        rows.append(f"{n}.mp4,{CLASSES[n % 3]},{'test' if n > 5 else 'train'}")
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")
    texts = [f"{name},{text}" for name, own in TEXTS.items() for text in own]
    (folder / "texts.csv").write_text("\n".join(["action,text", *texts]) + "\n")
    talking_model().save_pretrained(folder / "start")
    sets = {"train": "clips.csv", "train_split": "train", "test": "clips.csv", "test_split": "test", "workers": 0}
    recipe = {"task": "videos", "videos": sets | {"texts": "texts.csv"}, "init_from": "start", "freeze": ["image"]}
    recipe |= {"steps": 2, "warmup": 1, "batch_size": 3, "lr": 1e-3, "evaluate_every": 2, "trackers": []}
    recipe |= {"temporal": {"kind": "kmct", "frames": 4}, "ema": 0.9}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder


@pytest.fixture
def place(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained)
    if not (trained / "run").exists():
        run("train", "recipe.yaml", "--output", "run")
    return trained


def run(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_every_model_of_a_run_keeps_its_actions(place: Path) -> None:
    for name in ("run/last", "run/last/ema", "run/best"):
        learned = claver.load(place / name).learned
        assert learned is not None
        assert learned.names == ("bow", "run", "wave")  # the manifest's order
        assert learned.texts == tuple(tuple(TEXTS[action]) for action in learned.names)
        assert (learned.frames, learned.sampling, learned.views) == (4, "sparse", "1x1")


def test_recognize_names_them_as_if_they_were_given_with_their_texts(place: Path) -> None:
    own, given = (
        json.loads(run("recognize", "7.mp4", "--model", "run", "--format", "jsonl", *more))
        for more in ([], ["--actions", "bow,run,wave", "--texts", "texts.csv"])
    )
    assert own == given
    assert {answer["action"] for answer in own["top"]} == set(CLASSES)
    other = json.loads(run("recognize", "7.mp4", "--model", "run", "--format", "jsonl", "--texts", "names"))
    assert other != own


@pytest.mark.parametrize(
    ("actions", "said"),
    [("bow,jump,wabe", "'wabe' (did you mean 'wave'?)"), ("Bow,run,jump", ""), ("bow,wave,waves", "")],
)
def test_a_name_much_like_a_learned_one_is_told(place: Path, actions: str, said: str) -> None:
    words = ["recognize", "7.mp4", "--model", "run", "--format", "jsonl", "--actions", actions]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert {answer["action"] for answer in json.loads(result.stdout)["top"]} == set(actions.split(","))
    lines = [line for line in result.stderr.splitlines() if "did you mean" in line]
    assert lines == ([f"claver: not among the actions that the model was trained on: {said}"] if said else [])


def test_a_clip_without_own_actions_keeps_kinetics(place: Path) -> None:
    answer = json.loads(run("recognize", "7.mp4", "--model", "start", "--format", "jsonl", "--top", "400"))
    assert len(answer["top"]) == 400


def test_evaluate_takes_their_texts_and_lets_all_compete(place: Path) -> None:
    head, *rows = (place / "clips.csv").read_text().splitlines()
    (place / "two.csv").write_text("\n".join([head, *(row for row in rows if ",run," not in row)]) + "\n")
    run("evaluate", "clips.csv", "--model", "run", "--views", "1x1", "--output", "all.json")
    run("evaluate", "clips.csv", "--model", "run", "--views", "1x1", "--texts", "texts.csv", "--output", "given.json")
    run("evaluate", "two.csv", "--model", "run", "--views", "1x1", "--predictions", "two.jsonl")
    own, given = (json.loads((place / name).read_text()) for name in ("all.json", "given.json"))
    assert own["sets"] == given["sets"]
    figures = json.loads((place / "run/best/figures.json").read_text())
    assert own["sets"][0]["top1"] == pytest.approx(figures["top-1"])
    for line in (place / "two.jsonl").read_text().splitlines():
        assert "run" in line  # the third class competes, though it has no clip


def test_explain_lets_them_compete(place: Path) -> None:
    run("explain", "7.mp4", "--action", "wave", "--model", "run", "--output", "why.json")
    told = json.loads((place / "why.json").read_text())
    assert told["actions"] == ["bow", "run", "wave"]


def test_a_run_does_not_go_on_with_other_texts_or_classes(place: Path) -> None:
    shutil.copytree(place / "run", place / "again")
    text = (place / "texts.csv").read_text()
    (place / "texts.csv").write_text(text.replace("they bow", "she bows"))
    try:
        with pytest.raises(ClaverError, match="again/last belongs to a run on other actions or texts: 'bow'; give"):
            run("train", "recipe.yaml", "--output", "again")
    finally:
        (place / "texts.csv").write_text(text)


def test_what_training_starts_from_does_not_leave_its_actions_behind(place: Path) -> None:
    run("train", "recipe.yaml", "init_from=run", "videos.texts=names", "--output", "second")
    learned = claver.load(place / "second").learned
    assert learned is not None
    assert learned.texts == (("bow",), ("run",), ("wave",))
