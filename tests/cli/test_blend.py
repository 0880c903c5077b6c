"""`claver blend` and what it is made of."""

import dataclasses
from pathlib import Path

import pytest
import torch
from tests.tiny import talking_model
from typer.testing import CliRunner

import claver
from claver.cli.main import app
from claver.errors import ClaverError
from claver.models import Claver
from claver.models.blend import blend
from claver.models.load import load_weights


@pytest.fixture
def pair() -> tuple[Claver, Claver]:
    start, trained = talking_model(), talking_model()
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())))
    return start, trained


@pytest.mark.parametrize("weight", [0, 0.25, 1])
def test_shared_weights_are_interpolated_and_the_temporal_tower_is_the_trained_one(pair, weight):
    start, trained = pair
    made, first, second = (model.state_dict() for model in (blend(start.state_dict(), trained, weight), start, trained))
    for key, value in made.items():
        if key.startswith("temporal."):
            assert torch.equal(value, second[key])
        elif weight in (0, 1):
            assert torch.equal(value, (second if weight else first)[key])
        else:
            torch.testing.assert_close(value, 0.75 * first[key] + 0.25 * second[key])


def test_other_shapes_and_weights_are_refused_in_one_sentence(pair):
    start, trained = pair
    wider = Claver(dataclasses.replace(trained.config, embedding=trained.config.embedding * 2))
    with pytest.raises(ClaverError, match=r"cannot be blended: readout\.projection is") as caught:
        blend(start.state_dict(), wider, 0.5)
    assert "\n" not in str(caught.value)
    with pytest.raises(ClaverError, match=r"between 0 and 1, not 1\.5"):
        blend(start.state_dict(), trained, 1.5)


def test_the_command_writes_one_or_several(pair, tmp_path: Path, caplog):
    for model, name in zip(pair, ("start", "trained"), strict=True):
        model.save_pretrained(tmp_path / name)
    names = [str(tmp_path / name) for name in ("start", "trained")]

    def run(*arguments: str) -> None:
        result = CliRunner().invoke(app, ["blend", *names, *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output

    run("--output", str(tmp_path / "half"))
    run("--weights", "0.5,1", "--output", str(tmp_path / "several"))
    half, same, end = (claver.load(tmp_path / name).state_dict() for name in ("half", "several/0.5", "several/1"))
    assert all(torch.equal(half[key], same[key]) for key in half)
    assert all(torch.equal(end[key], value) for key, value in pair[1].state_dict().items())
    assert not caplog.records  # nothing is left out of the result that anyone would miss
    with pytest.raises(ClaverError, match="separated by commas, not '0,two'"):
        run("--weights", "0,two", "--output", str(tmp_path / "wrong"))


@pytest.mark.parametrize("weight", ["1.5", "-0.1", "nan"])
def test_a_weight_out_of_range_is_said_before_anything_is_loaded(weight, tmp_path: Path):
    with pytest.raises(ClaverError, match=f"--weight is a number from 0 to 1, not {weight}"):
        CliRunner().invoke(
            app,
            ["blend", "nowhere", "nothing", f"--weight={weight}", "--output", str(tmp_path)],
            catch_exceptions=False,
        )


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        (None, {"activation": "gelu"}, "activation is gelu in one, quick_gelu in the other"),
        (None, {"norm_eps": 1e-6}, "norm_eps is 1e-06 in one, 1e-05 in the other"),
        ("image", {"heads": 4}, r"image\.heads is 4 in one, 2 in the other"),
        ("text", {"heads": 2}, r"text\.heads is 2 in one, 1 in the other"),
        ("text", {"eot": 98}, r"text\.eot is 98 in one, 99 in the other"),
        ("preprocess", {"mean": (0.5, 0.5, 0.5)}, r"preprocess\.mean is"),
    ],
)
def test_models_that_compute_differently_are_not_blended(pair, tmp_path: Path, part, change, message) -> None:
    """All of them have weights of the same shapes."""
    start, trained = pair
    settings = change if part is None else {part: dataclasses.replace(getattr(start.config, part), **change)}
    other = Claver(dataclasses.replace(start.config, **settings))
    other.load_state_dict(start.state_dict())
    other.save_pretrained(tmp_path / "other")
    with pytest.raises(ClaverError, match=f"cannot be blended: {message}"):
        blend(load_weights(tmp_path / "other"), trained, 0.5)


def test_another_temporal_tower_or_arithmetic_is_the_trained_ones_own(pair, tmp_path: Path) -> None:
    start, trained = pair
    start.config = dataclasses.replace(start.config, aggregate="released")
    start.save_pretrained(tmp_path / "start")
    assert blend(load_weights(tmp_path / "start"), trained, 0.5).config == trained.config


@pytest.mark.parametrize("weights", [[], ["--weights", "0,1"]])
def test_no_model_or_run_is_written_over(pair, tmp_path: Path, weights: list[str]) -> None:
    place = tmp_path / "run" / ("0" if weights else "best")
    pair[1].save_pretrained(place)
    before = sorted((path, path.read_bytes()) for path in tmp_path.rglob("*") if path.is_file())
    names = [str(place), str(place), "--output", str(tmp_path / "run")]
    with pytest.raises(ClaverError, match="is there already and is no empty folder; name a new one"):
        CliRunner().invoke(app, ["blend", *names, *weights], catch_exceptions=False)
    assert before == sorted((path, path.read_bytes()) for path in tmp_path.rglob("*") if path.is_file())
