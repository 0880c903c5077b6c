"""`claver train` as people run it: interrupted by SIGKILL, resumed, started from another run, refused."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from tests.tiny import talking_model
from tests.videos import write_video
from typer.testing import CliRunner

import claver
from claver.cli.main import app
from claver.errors import ClaverError
from claver.training.interruption import Interrupted

RECIPE = {
    "task": "clips",
    "data": {"train": 48, "test": 24},
    "model": {"size": 16, "width": 64, "layers": 1, "text_width": 64, "text_layers": 1, "context": 64}
    | {"vocabulary": 300, "embedding": 32},
    "temporal": {"kind": "kmct", "layers": 1, "frames": 4, "init": "sinusoidal"},
    "freeze": ["image"],
    "steps": 3,
    "warmup": 1,
    "batch_size": 8,
    "lr": 2e-4,
    "texts_per_step": 2,
}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(RECIPE))
    return tmp_path / "tiny.yaml"


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["train", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_a_run_shows_what_learns_and_where_its_weights_are(recipe: Path, tmp_path: Path) -> None:
    shown = run(recipe, "evaluate_every=3", "--output", tmp_path / "run")
    for words in ("What learns: run", "frozen", "best:", "top-1"):
        assert words in shown
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["best", "last", "logs"]
    assert claver.load(tmp_path / "run" / "best").config.temporal.kind == "kmct"


def test_another_runs_weights_are_a_start_and_its_progress_is_not(recipe: Path, tmp_path: Path) -> None:
    run(recipe, "evaluate_every=3", "--output", tmp_path / "first")
    run(recipe, f"init_from={tmp_path / 'first'}", "lr=1e-12", "--output", tmp_path / "second")
    state = json.loads((tmp_path / "second" / "last" / "state.json").read_text())
    assert len(state["losses"]) == 3
    first, second = (claver.load(tmp_path / name).state_dict() for name in ("first/best", "second/last"))
    assert max((first[key] - second[key]).abs().max().item() for key in first) < 1e-8
    with pytest.raises(ClaverError, match=r"temporal\.layers is 2, but .* was trained with 1"):
        run(recipe, f"init_from={tmp_path / 'first'}", "temporal.layers=2", "--output", tmp_path / "third")


def test_never_begins_anew_and_auto_goes_on(recipe: Path, tmp_path: Path) -> None:
    run(recipe, "--output", tmp_path / "run")
    with pytest.raises(ClaverError, match="belongs to a run with seed 0, but the recipe now says 1"):
        run(recipe, "seed=1", "--output", tmp_path / "run")
    before = weights(tmp_path / "run" / "last")
    run(recipe, "--output", tmp_path / "run")
    assert weights(tmp_path / "run" / "last") == before
    run(recipe, "seed=1", "--output", tmp_path / "run", "--resume", "never")
    assert weights(tmp_path / "run" / "last") != before


@pytest.mark.parametrize("task", ["clips", "stills"])
def test_a_dry_run_says_where_a_run_would_resume(recipe: Path, tmp_path: Path, task: str) -> None:
    run(recipe, f"task={task}", "--output", tmp_path / "run")
    assert "resuming at step 3" in run(recipe, f"task={task}", "--dry-run", "--output", tmp_path / "run")


@pytest.mark.parametrize("content", ["", "[]", '{"step": 3}', "{"])
def test_a_dry_run_says_of_a_damaged_checkpoint_that_it_is(recipe: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "run" / "last").mkdir(parents=True)
    (tmp_path / "run" / "last" / "state.json").write_text(content)
    with pytest.raises(ClaverError, match=r"checkpoint .*last cannot be read: "):
        run(recipe, "--dry-run", "--output", tmp_path / "run")


def test_told_never_to_resume_and_interrupted_the_command_that_would_is_named(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(recipe, "--output", tmp_path / "run")

    def interrupt(*arguments: object) -> None:
        raise Interrupted(2, 3)

    monkeypatch.setattr("claver.cli.train._run", interrupt)
    command = ["train", str(recipe), "--output", str(tmp_path / "run")]
    for more, how in ([], "the same command"), (["--resume", "never"], "the same command without --resume never"):
        result = CliRunner().invoke(app, [*command, *more])
        assert result.exit_code == 130
        assert f"has step 3, and {how} resumes there" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["init_from=nowhere/model.pt"], "there is no file or folder nowhere/model.pt"),
        (["model=null"], "give init_from, or sizes in section model"),
        (["freeze=[]"], "add image to freeze"),
        (["emma=0.9"], "did you mean 'ema'"),
        (["lora.rang=3"], r"did you mean 'lora\.rank'"),
    ],
)
def test_what_cannot_be_is_said_before_the_first_batch(
    recipe: Path, tmp_path: Path, changes: list[str], said: str
) -> None:
    with pytest.raises(ClaverError, match=said):
        run(recipe, *changes, "--output", tmp_path / "run")


def test_an_output_that_cannot_be_written_is_said_first(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(ClaverError, match="cannot be written to"):
        run(recipe, "--output", recipe / "run")


@pytest.mark.slow
def test_two_processes_learn_from_videos_as_one_does(tmp_path: Path) -> None:
    talking_model().save_pretrained(tmp_path / "start")
    rows = ["path,label,split"]
    for seed in range(8):
        write_video(tmp_path / f"{seed}.mp4", seed=seed)
        rows.append(f"{seed}.mp4,{('waving', 'bowing')[seed % 2]},{'test' if seed > 5 else 'train'}")
    (tmp_path / "clips.csv").write_text("\n".join(rows) + "\n")
    sets = {"train": "clips.csv", "train_split": "train", "test": "clips.csv", "test_split": "test", "workers": 0}
    still = {"crop_scales": [], "flip": 0, "jitter": 0, "greyscale": 0, "mixup": 0, "cutmix": 0}
    recipe = {"task": "videos", "videos": sets, "augment": still, "init_from": "start", "freeze": ["image"]}
    recipe |= {"steps": 3, "warmup": 1, "batch_size": 4, "lr": 1e-4, "evaluate_every": 3}
    (tmp_path / "videos.yaml").write_text(yaml.safe_dump(recipe))
    losses = []
    for count in (1, 2):
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"] if count > 1 else []
        command = [sys.executable, *launcher, "-m", "claver", "train", "videos.yaml", "--output", str(count)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        losses.append(json.loads((tmp_path / str(count) / "last" / "state.json").read_text())["losses"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    first, second = (claver.load(tmp_path / name / "best").state_dict() for name in ("1", "2"))
    for key in first:
        assert (first[key] - second[key]).norm() <= 1e-3 * first[key].norm() + 1e-3, key


@pytest.mark.slow
def test_killed_at_random_moments_a_run_ends_with_the_same_weights(recipe: Path, tmp_path: Path) -> None:
    settings = ["steps=60", "checkpoint_every=1", "evaluate_every=7", "ema=0.9"]
    command = [sys.executable, "-m", "claver", "train", str(recipe), *settings, "--output"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    seed = random.randrange(10**6)
    rng, killed, cut = random.Random(seed), 0, tmp_path / "cut"
    for _ in range(3):
        process = subprocess.Popen([*command, str(cut)], env=environment, stderr=subprocess.PIPE)
        _wait_for_change(cut / "last" / "state.json", process)
        time.sleep(rng.random())
        process.kill()
        process.communicate()
        killed += process.returncode != 0
    assert killed
    for folder in (cut, tmp_path / "whole"):
        done = subprocess.run([*command, str(folder)], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    for name in ("model.safetensors", "optimizer.safetensors", "ema.safetensors", "state.json"):
        assert (cut / "last" / name).read_bytes() == (tmp_path / "whole" / "last" / name).read_bytes(), (name, seed)
    assert weights(cut / "best") == weights(tmp_path / "whole" / "best"), seed


def _wait_for_change(path: Path, process: subprocess.Popen[bytes]) -> None:
    def changed() -> float:
        try:
            return path.stat().st_mtime
        except OSError:
            return 0.0

    before, end = changed(), time.monotonic() + 60
    while changed() in (0.0, before) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
