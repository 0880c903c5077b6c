"""Each example runs as its first lines say, on small stand-ins for the clips it is for."""

import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from claver.inference.recognizer import Recognizer
from claver.quickstart.real_weights import PACKAGES
from tests.exports import needs_onnx, recognizer_of, timed_model
from tests.tiny import talking_model
from tests.videos import write_video

EXAMPLES = Path(__file__).parents[1] / "examples"
ACTIONS = ("hand_shaking", "hugging", "kicking", "pointing", "punching", "pushing")


def ut_interaction(clips: Path, start: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(EXAMPLES / "ut_interaction.py"), str(clips), "--start", str(start), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_ut_interaction_leaves_each_sequence_out_once(tmp_path: Path) -> None:
    for number in range(12):
        folder = tmp_path / "clips" / ACTIONS[number % 6]
        folder.mkdir(parents=True, exist_ok=True)
        write_video(folder / f"set1_{number}_{1 + number // 6}_{number % 6}.avi", seed=number)
    talking_model().save_pretrained(tmp_path / "start")
    output = tmp_path / "result.json"
    done = ut_interaction(
        tmp_path / "clips", tmp_path / "start", "--steps", "2", "--views", "1", "--output", str(output)
    )
    assert done.returncode == 0, done.stderr
    assert "16.7 %" in done.stdout
    result = json.loads(output.read_text())
    assert (result["clips"], result["sequences"], result["chance"]) == (12, [1, 2], pytest.approx(1 / 6))
    for figures in result["from"].values():
        assert len(figures["folds"]) == 2
        assert figures["top-1"] == pytest.approx(sum(figures["folds"]) / 2)


def test_ut_interaction_says_what_is_missing(tmp_path: Path) -> None:
    talking_model().save_pretrained(tmp_path / "start")
    done = ut_interaction(tmp_path / "none", tmp_path / "start")
    assert done.returncode == 2
    assert done.stderr == f"there is no folder {tmp_path / 'none'}\n"


def real_weights(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(EXAMPLES / "real_weights.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_real_weights_runs_a_tower_and_ranks_the_clips_of_a_list(tmp_path: Path) -> None:
    for package in PACKAGES:
        pytest.importorskip(package, reason=f"{PACKAGES[package]} (extra real-weights) is not installed")
    write_video(tmp_path / "clip.mp4")
    done = real_weights("tower", str(tmp_path / "clip.mp4"))
    assert done.returncode == 0, done.stderr
    assert "frame embeddings (1, 8, 384)" in done.stdout
    (tmp_path / "clips.csv").write_text("path,label\nclip.mp4,playing guitar\nclip.mp4,a boat\n")
    output = tmp_path / "answers.csv"
    done = real_weights("zero-shot", str(tmp_path / "clips.csv"), "--root", str(tmp_path), "--output", str(output))
    assert done.returncode == 0, done.stderr
    assert "label, 2 actions: top-1 1 of 2, 50.0% (chance 50.0%)" in done.stdout
    assert len(output.read_text().splitlines()) == 3


@pytest.mark.slow
def test_real_weights_says_what_is_missing(tmp_path: Path) -> None:
    done = real_weights("zero-shot", str(tmp_path / "none.csv"))
    assert done.returncode == 2
    assert "No such file" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_onnx_only_needs_neither_torch_nor_claver(tmp_path: Path) -> None:
    needs_onnx()
    from claver.export import export_model

    venv.create(tmp_path / "venv", with_pip=True)
    python, house = tmp_path / "venv" / "bin" / "python", EXAMPLES.parent
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    install = [python, "-m", "pip", "-q", "--disable-pip-version-check", "install", "-c", house / "constraints.txt"]
    done = subprocess.run([*install, "numpy", "av", "onnxruntime"], env=environment, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no packages can be installed here: {done.stderr.strip().splitlines()[-1][:200]}")
    export_model(recognizer_of(timed_model("kmct"), unknown=False), tmp_path / "exported")
    clip = write_video(tmp_path / "clip.mp4", frames=40, height=90, width=120)
    command = [python, EXAMPLES / "onnx_only.py", tmp_path / "exported", clip]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    told = tmp_path / "exported" / "claver_export.json"
    for key, value in (("views", "4x3"), ("takes_bytes", False)):
        (tmp_path / key).mkdir()
        (tmp_path / key / told.name).write_text(json.dumps(json.loads(told.read_text()) | {key: value}))
        other = subprocess.run([*command[:2], tmp_path / key, clip], env=environment, capture_output=True, text=True)
        assert other.returncode == 1
        assert "exports that take bytes, in one view" in other.stderr
    missing = subprocess.run([python, "-c", "import torch"], env=environment, capture_output=True, text=True)
    assert "No module named 'torch'" in missing.stderr
    made = [(name, float(share)) for share, name in re.findall(r"^ *([\d.]+)%  (.+)$", done.stdout, re.M)]
    wanted = Recognizer(tmp_path / "exported", unknown=False)(clip).top(5)
    assert [name for name, _ in made] == [answer.action for answer in wanted]
    assert [share for _, share in made] == pytest.approx([100 * answer.probability for answer in wanted], abs=0.3)


def test_onnx_only_is_short_and_imports_what_it_says() -> None:
    text = (EXAMPLES / "onnx_only.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 80
    imported = set(re.findall(r"^(?:import|from) (\w+)", text, re.M))
    assert imported - set(sys.stdlib_module_names) == {"av", "numpy", "onnxruntime"}
