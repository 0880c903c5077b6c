"""`claver profile`."""

import json
import re
from pathlib import Path

import pytest
from tests.tiny import talking_model
from typer.testing import CliRunner

from claver.cli.main import app
from claver.errors import ClaverError


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["profile", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_size_by_name_beside_table_1() -> None:
    told = " ".join(run("B/32", "--views", "4x3").split())
    assert re.search(r"image tower 87\.5 M 35\.3 G 35\.3 G", told)
    assert re.search(r"all 179\.6 M", told)
    assert "The paper's Table 1 prints 33 G" in told
    assert "With attention one view is 47.6 G." in told
    assert "A clip in 12 views: 540.3 G MACs; the reference implementation 570.9 G." in told
    assert "Not counted" not in told


def test_a_model_of_ones_own_as_json(tmp_path: Path) -> None:
    model = talking_model("kmct")
    model.save_pretrained(tmp_path / "model")
    values = json.loads(run(str(tmp_path / "model"), "--format", "json", "--frames", "6", "--views", "2x1"))
    assert values["parameters"]["total"] == sum(p.numel() for p in model.parameters()) + 2 * 128  # two more frames
    assert (values["size"], values["temporal"], values["frames"], values["views"]) == (None, "kmct", 6, 2)
    assert values["all_views"]["ours"] == 2 * values["per_view"]["ours"] < values["all_views"]["usual"]
    assert values["paper"]["printed_giga"] is None
    assert "measured" not in values


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    talking_model("kmct").save_pretrained(tmp_path / "[bold]" / "[")
    assert "[bold]/[" in "".join(run(str(tmp_path / "[bold]" / "[")).split())


@pytest.mark.slow
def test_measured(tmp_path: Path) -> None:
    talking_model("kmct").save_pretrained(tmp_path / "model")
    settings = [str(tmp_path / "model"), "--measure", "--device", "cpu", "--texts", "2"]
    measured = json.loads(run(*settings, "--format", "json"))["measured"]
    assert [*measured] == ["device", "dtype", "clip, usual", "clip, ours", "2 texts, usual", "2 texts, ours"]
    assert all(measured[way]["median_seconds"] > 0 for way in [*measured][2:])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["B/64"], "there is no size 'B/64'; the sizes are B/32"),
        (["B/32", "--temporal", "kmta"], "temporal must be one of kmt"),
        (["B/32", "--views", "4x2"], "views must be"),
        (["B/32", "--text-tokens", "78"], "from 2 to 77 tokens"),
        (["B/32", "--device", "abacus"], "'abacus' cannot be used"),
        (["B/32", "--dtype", "int8"], "dtype must be"),
        (["no/such/folder"], "no file or folder"),
    ],
)
def test_bad_input_ends_in_one_sentence(arguments: list[str], told: str) -> None:
    with pytest.raises(ClaverError, match=re.escape(told)) as caught:
        CliRunner().invoke(app, ["profile", *arguments], catch_exceptions=False)
    assert "\n" not in str(caught.value)
