"""Each example runs as its first lines say, on small stand-ins for the clips it is for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

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
