"""`claver convert`: a checkpoint that says by itself how it computes."""

import json
from pathlib import Path

import pytest
import torch
from tests.models.random_clip import assert_same_features, openai_names, random_clip
from tests.tiny import tiny_model
from typer.testing import CliRunner, Result

import claver
from claver.cli.main import app
from claver.errors import ClaverError

WIDE = {"hidden_size": 320, "num_attention_heads": 4, "intermediate_size": 1280}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["convert", *map(str, arguments)], catch_exceptions=False)


def test_weights_without_a_config_are_told_how_they_compute(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("transformers", reason="transformers (extra hf) is not installed")
    theirs = random_clip(hidden_act="gelu", vision=WIDE)
    torch.save(openai_names(theirs), tmp_path / "x.bin")
    done = run(tmp_path / "x.bin", "--heads", "4,2", "--activation", "gelu", "--output", tmp_path / "made")
    assert done.exit_code == 0
    assert done.output.endswith(
        "made: heads 4 (images) and 2 (texts), gelu, temporal mean, pictures resized to 37 and cut to 32\n"
    )
    caplog.clear()
    assert_same_features(claver.load(tmp_path / "made"), theirs)
    assert not caplog.records


def test_a_trained_temporal_tower_stays(tmp_path: Path) -> None:
    model = tiny_model("kmct")
    model.save_pretrained(tmp_path / "model")
    assert run(tmp_path / "model", "--output", tmp_path / "made").exit_code == 0
    made = claver.load(tmp_path / "made")
    assert made.config == model.config
    assert torch.equal(made.temporal.embedding, model.temporal.embedding)


def test_an_untrained_pipeline_answers_as_before(tmp_path: Path) -> None:
    model = tiny_model("kmct")
    model.save_pretrained(tmp_path / "model")
    claver.load(tmp_path / "model", temporal="mean").save_pretrained(tmp_path / "mean")
    new = claver.load(tmp_path / "mean", temporal="pipeline")
    new.save_pretrained(tmp_path / "pipeline")
    assert run(tmp_path / "pipeline", "--output", tmp_path / "made").exit_code == 0
    video = torch.randn(1, 3, 3, 32, 32)
    assert torch.equal(claver.load(tmp_path / "made").encode_video(video), new.encode_video(video))


def test_nothing_is_written_over(tmp_path: Path) -> None:
    tiny_model("kmct").save_pretrained(tmp_path / "model")
    before = json.loads((tmp_path / "model" / "config.json").read_text())
    with pytest.raises(ClaverError, match="is there already and is no empty folder"):
        run(tmp_path / "model", "--output", tmp_path / "model", "--activation", "gelu")
    assert json.loads((tmp_path / "model" / "config.json").read_text()) == before


@pytest.mark.parametrize("heads", ["a", "1,2,3", "-4", "", "1.5"])
def test_heads_are_numbers(tmp_path: Path, heads: str) -> None:
    with pytest.raises(ClaverError, match="--heads is a number, or two"):
        run("model", "--output", tmp_path / "made", f"--heads={heads}")
