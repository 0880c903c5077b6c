"""`claver export`, and the commands that take its folder."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.exports import needs_onnx, timed_model
from tests.videos import write_video

Claver = Any


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    timed_model("kmct").save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_a_folder_answers_as_the_model(source: Path, tmp_path: Path, inside: Claver) -> None:
    needs_onnx()
    clip, folder = write_video(tmp_path / "clip.mp4", frames=40), tmp_path / "made"
    actions = ("--actions", "waving,bowing,eats")
    done = inside("export", source, "--output", folder, *actions, "--streaming", "--clips", clip)
    assert (done.returncode, done.stderr.count("Error")) == (0, 0), done.stderr
    assert "video, text, step (onnx, fp32)" in done.stdout
    assert "1 clips: cosine of embeddings 1.0000" in done.stdout
    answers = []
    for model, given in ((source, actions), (folder, ())):
        for command in (("recognize", "--format", "json"), ("watch",)):
            done = inside(command[0], clip, "--model", model, *command[1:], *given)
            assert done.returncode == 0, done.stderr
            answers.append(done.stdout)
    recognized, watched, made, streamed = answers
    assert tops(json.loads(made)[0]) == tops(json.loads(recognized)[0])
    assert list(map(tops, map(json.loads, streamed.splitlines()))) == list(
        map(tops, map(json.loads, watched.splitlines()))
    )
    done = inside("recognize", clip, "--model", folder, "--dry-run")
    assert f"{folder}, exported, kmct, 4 frames" in done.stdout
    assert "3, with" in done.stdout
    refused = [
        (("recognize", clip, "--temporal", "kmt"), "--temporal is settled when a model is exported"),
        (("recognize", clip, "--dtype", "bfloat16"), "--dtype is settled when a model is exported"),
        (("recognize", clip, "--device", "cuda"), "runs on the CPU"),
        (("recognize", clip, "--compile"), "leave out compile"),
        (("explain", clip, "--action", "eats", "--output", tmp_path / "x.png"), "is an exported model"),
        (("timeline", clip, "--output", tmp_path / "x.csv"), "is an exported model"),
    ]
    for command, told in refused:
        done = inside(*command, "--model", folder)
        assert done.returncode == 1, command
        assert told in done.stderr, (command, done.stderr)
        assert "should not have happened" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"clip.mp4", "made"}


def tops(record: dict[str, Any]) -> list[tuple[str, float]]:
    return [(answer["action"], round(answer["probability"], 3)) for answer in record["top"]]


def test_what_cannot_be_is_told_at_once(source: Path, tmp_path: Path, inside: Claver) -> None:
    needs_onnx()
    for options, told in (
        (("--format", "tflite"), "format must be one of onnx, torch"),
        (("--precision", "int4"), "precision must be one of fp32, fp16, int8"),
        (("--clips", tmp_path), "holds no video file"),
    ):
        done = inside("export", source, "--output", tmp_path / "made", *options)
        assert (done.returncode, told in done.stderr) == (1, True), done.stderr
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    done = inside("export", source, "--output", tmp_path / "full")
    assert (done.returncode, "is no empty folder" in done.stderr) == (1, True)
