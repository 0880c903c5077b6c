"""`--compile`: the same answers by compiled towers, and plain towers with a word where there is no compiler."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tests.tiny import talking_model
from tests.videos import write_video
from typer.testing import CliRunner

from claver.cli.main import app
from claver.inference import encoder
from claver.log import warn_once
from claver.models import compiling
from claver.models.compiling import CompiledTowers


@pytest.fixture
def place(tmp_path: Path) -> Path:
    talking_model().save_pretrained(tmp_path / "model")
    (tmp_path / "clips").mkdir()
    for seed in range(3):
        write_video(tmp_path / "clips" / f"{seed}.mp4", frames=9, seed=seed)
    rows = "".join(f"clips/{seed}.mp4,{'waving' if seed else 'bowing'}\n" for seed in range(3))
    (tmp_path / "clips.csv").write_text(f"path,label\n{rows}")
    return tmp_path


def recognized(place: Path, *more: str) -> list[dict[str, float]]:
    command = ["recognize", str(place / "clips"), "--model", str(place / "model"), "--actions", "waving, bowing"]
    done = CliRunner().invoke(app, [*command, "--unknown", "off", "--workers", "0", "--format", "jsonl", *more])
    assert done.exit_code == 0, done.output
    records = [json.loads(line) for line in done.stdout.splitlines()]
    return [{one["action"]: one["score"] for one in record["top"]} for record in records]


def assert_same(ours: list[dict[str, float]], usual: list[dict[str, float]]) -> None:
    assert len(ours) == 3
    for mine, other in zip(ours, usual, strict=True):
        assert mine.keys() == other.keys()
        np.testing.assert_allclose([mine[name] for name in other], [*other.values()], rtol=1e-3)


def test_answers_are_the_same(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "CompiledTowers", partial(CompiledTowers, backend="eager"))
    assert_same(recognized(place, "--compile", "--batch-size", "2"), recognized(place))


def test_without_a_compiler_it_is_a_sentence(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    warn_once.cache_clear()
    monkeypatch.setattr(compiling, "missing_compiler", lambda device: "there is no C++ compiler")
    assert_same(recognized(place, "--compile"), recognized(place))
    said = [record.message for record in caplog.records if "compile" in record.message]
    assert said == ["the towers are not compiled, which is slower: there is no C++ compiler"]


def test_an_evaluation_is_the_same(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "CompiledTowers", partial(CompiledTowers, backend="eager"))
    tables = []
    for more in ([], ["--compile"]):
        command = ["evaluate", str(place / "clips.csv"), "--model", str(place / "model"), "--views", "1x1"]
        done = CliRunner().invoke(app, [*command, "--workers", "0", *more])
        assert done.exit_code == 0, done.output
        tables.append(done.stdout)
    assert tables[0] == tables[1]


def test_windows_of_long_videos_are_not_compiled(place: Path) -> None:
    done = CliRunner().invoke(app, ["evaluate", "a.json", "--task", "localization", "--compile"])
    assert "--compile is for --task classification" in str(done.exception)
