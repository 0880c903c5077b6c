"""The paper's protocols from the folders as they are downloaded to the table, by commands alone."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.data.layouts import trees
from tests.tiny import talking_model
from typer.testing import CliRunner

from claver.cli.main import app
from claver.data import dataset_classes, read_manifest

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """One command in a folder that has a model and a recipe in it; returns what it shows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    talking_model().save_pretrained(tmp_path / "start")
    recipe = {"task": "videos", "init_from": "start", "freeze": ["image"], "steps": 2, "warmup": 1, "batch_size": 3}
    videos = {"train": "train.csv", "train_split": "train", "workers": 0, "texts": "templates"}
    recipe |= {"videos": videos, "lr": 1e-4, "temporal": {"kind": "kmct", "frames": 4}, "trackers": []}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))

    def command(words: str, *last: str) -> str:
        result = CliRunner().invoke(app, [*words.split(), *last], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return command


def evaluate(run: Run, words: str, sets: int, *last: str) -> str:
    """The command's table; its JSON must have been counted right."""
    shown = run(f"evaluate --views 1x1 --workers 0 --texts templates --output result.json {words}", *last)
    result = json.loads(Path("result.json").read_text())
    assert len(result["sets"]) == sets
    tops = [one["top1"] for one in result["sets"]]
    assert result["top1"]["mean"] == pytest.approx(sum(tops) / sets)
    assert (result["top1"]["std"] is None) == (sets == 1)
    assert not any(one["unreadable"] for one in result["sets"])
    return shown


@pytest.mark.slow
def test_kinetics_400_fully_supervised(run: Run, tmp_path: Path) -> None:
    trees.kinetics(tmp_path / "kinetics400")
    run("data index kinetics400 --output all.csv")
    run("data index kinetics400 --output present.csv --only-present")
    run("data check present.csv --workers 0 --write-good train.csv")
    shown = run("train recipe.yaml videos.test=train.csv videos.test_split=val evaluate_every=2 --output run")
    assert "best: run/best (step 2: top-1" in shown
    table = evaluate(run, "all.csv --split val --model run", 1)
    assert "kinetics400, supervised" in table
    assert re.search(r"CLAVER-B/16 \(KMCT\).*Table 1", table)
    assert re.search(r"run \(kmct\), plain.* │ +4 │ +1x1 │ +\d+\.\d │.*measured", table)
    assert "3 clips, each counted once; 0 could not be read" in table


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tree", "dataset", "top1"), [(trees.ucf, "ucf101", "78.4 ± 2.1"), (trees.hmdb, "hmdb51", "54.0 ± 2.0")]
)
def test_three_splits_zero_shot_and_few_shot(
    run: Run, tmp_path: Path, tree: Callable[..., Path], dataset: str, top1: str
) -> None:
    classes = dataset_classes(dataset, raw=True)
    tree(tmp_path / dataset, classes=classes)
    for fold in (1, 2, 3):
        run(f"data index {dataset} --fold {fold} --output split{fold}.csv")
    run("data check split1.csv --workers 0")
    table = evaluate(run, "split1.csv split2.csv split3.csv --split test --model start --setting zero-shot", 3)
    assert f"{dataset}, zero-shot" in table
    assert re.search(rf"CLAVER-B/16 \(KMCT\).*{top1}", table)
    assert re.search(r"start \(kmct\), plain.* │ +\d+\.\d ± \d+\.\d │.*measured", table)
    assert all(f"split{fold}" in table for fold in (1, 2, 3))

    run("data split split1.csv --few-shot 2 --seed 1 --output train.csv")
    assert read_manifest("train.csv").counts().tolist() == [2] * len(classes)
    run("train recipe.yaml --output few")
    run("train recipe.yaml videos.train=split1.csv videos.shots=2 videos.shots_seed=1 --output same")
    assert Path("few/last/model.safetensors").read_bytes() == Path("same/last/model.safetensors").read_bytes()
    shown = evaluate(run, "split1.csv --split test --model few --setting", 1, "few-shot 2")
    assert f"{dataset}, few-shot 2" in shown
    assert re.search(r"CLAVER-B/16 \(KMCT\).*Table \d", shown)


@pytest.mark.slow
def test_kinetics_600_zero_shot_in_three_draws(run: Run, tmp_path: Path) -> None:
    draws = [set(dataset_classes(f"kinetics600-draw{draw}", raw=True)) for draw in (1, 2, 3)]
    everywhere, never = sorted(set.intersection(*draws))[:2], "abseiling"
    trees.kinetics(tmp_path / "kinetics600", per_class=1, classes=(*everywhere, never))
    for path in (tmp_path / "kinetics600" / "annotations").iterdir():
        path.rename(path.with_name(path.name.replace("400", "600")))
    run("data index kinetics600 --output all.csv")
    for draw in (1, 2, 3):
        run(f"data split all.csv --k600-draw {draw} --output draw{draw}.csv")
    table = evaluate(run, "draw1.csv draw2.csv draw3.csv --model start --setting zero-shot", 3)
    assert "kinetics600, zero-shot" in table
    assert "74.1 ± 0.9" in table
    result = json.loads(Path("result.json").read_text())
    assert [(one["clips"], one["classes"]) for one in result["sets"]] == [(2, 160)] * 3


@pytest.mark.slow
def test_shards_are_trained_on_as_a_stream_and_evaluated(run: Run, tmp_path: Path) -> None:
    trees.ucf(tmp_path / "ucf101")
    run("data index ucf101 --output train.csv --only-present")
    run("data shard train.csv --split train --output train --size 20KB")
    run("data shard train.csv --split test --output test")
    run("train recipe.yaml videos.train=train videos.stream=true videos.test=test evaluate_every=2 --output run")
    evaluate(run, "test --model run", 1)
    figures = json.loads(Path("result.json").read_text())["sets"][0]
    evaluate(run, "train.csv --split test --model run", 1)
    files = json.loads(Path("result.json").read_text())["sets"][0]
    assert {**figures, "name": ""} == {**files, "name": ""}
