"""`claver evaluate` as people run it: alone, in two processes, over splits, with broken clips."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.tiny import talking_model
from tests.videos import write_video

from claver.data.classes import dataset_classes

CLASSES = ["waving", "bowing", "running"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluate")
    talking_model().save_pretrained(folder / "model")
    for seed in range(7):
        write_video(folder / f"{seed}.mp4", seed=seed)
    (folder / "6.mp4").write_bytes(b"broken")
    rows = [f"{seed}.mp4,{CLASSES[seed % 3]},test" for seed in range(7)]
    for name, chosen in (("one", rows[:4]), ("two", rows[3:])):
        (folder / f"{name}.csv").write_text("\n".join(["path,label,split", *chosen]) + "\n")
    return folder


def run(place: Path, *arguments: str, processes: int = 1, model: str = "model") -> subprocess.CompletedProcess[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    command = [sys.executable, *launcher, "-m", "claver", "evaluate", *arguments, "--model", model, "--views", "1x1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    return subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=180, env=environment)


def test_splits_beside_the_paper(place: Path) -> None:
    done = run(place, "one.csv", "two.csv", "--workers", "0", "--setting", "zero-shot", "--output", "result.json")
    assert done.returncode == 0, done.stderr
    result = json.loads((place / "result.json").read_text())
    assert [entry["clips"] for entry in result["sets"]] == [4, 4]
    assert result["top5"]["mean"] == pytest.approx((1 + 3 / 4) / 2)  # of three classes: all but the broken clip
    assert list(result["sets"][1]["unreadable"]) == [os.path.join(".", "6.mp4")]
    assert result["top1"]["std"] is not None
    assert "1 could not be read and count as wrong" in done.stdout
    assert sorted(file.name for file in place.glob("result*")) == ["result.json"]


@pytest.mark.slow
def test_two_processes_equal_one(place: Path) -> None:
    alone = run(place, "one.csv", "two.csv", "--workers", "0", "--output", "alone.json")
    both = run(place, "one.csv", "two.csv", "--workers", "0", "--output", "both.json", processes=2)
    assert alone.returncode == both.returncode == 0, alone.stderr + both.stderr
    assert json.loads((place / "alone.json").read_text()) == json.loads((place / "both.json").read_text())
    assert not list(place.glob("*.partial"))


def test_draws_of_kinetics_600_are_of_one_benchmark(tmp_path: Path) -> None:
    from claver.cli.evaluate import _read_tests

    draws = [tmp_path / f"{draw}.csv" for draw in (1, 2)]
    for number, draw in enumerate(draws, start=1):
        [first, *_] = dataset_classes(f"kinetics600-draw{number}")
        draw.write_text(f"path,label,dataset\na.mp4,{first},kinetics600-draw{number}\n")
    assert _read_tests(draws, None)[1] == "kinetics600"


def test_texts_must_cover_the_classes(place: Path) -> None:
    (place / "texts.csv").write_text("action,text\nwaving,a wave\nbowing,a bow\n")
    done = run(place, "one.csv", "--texts", "texts.csv")
    assert done.returncode == 1
    assert done.stderr == "claver: texts.csv has no text about 'running'\n"


@pytest.mark.slow
def test_a_training_runs_folder_is_a_model_and_its_new_weights_are_another(place: Path) -> None:
    from claver.cli.model import model_identity

    talking_model().save_pretrained(place / "run" / "best")
    before = model_identity(str(place / "run"))
    done = run(place, "one.csv", "--workers", "0", "--output", "run.json", model="run")
    assert done.returncode == 0, done.stderr
    assert json.loads((place / "run.json").read_text())["settings"]["model"].startswith("run ")
    talking_model("kmt").save_pretrained(place / "run" / "best")
    assert model_identity(str(place / "run")) != before
