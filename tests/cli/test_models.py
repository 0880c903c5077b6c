"""`claver models`: a list that loads nothing."""

import csv
import io
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.test_main import HEAVY
from typer.testing import CliRunner

from claver.catalogue import read_catalogue
from claver.cli.main import app
from claver.cli.models import EPILOG
from claver.errors import ClaverError

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
FAMILIES = read_catalogue()
IDS = [model.id for family in FAMILIES for model in family.models]


def listed(*arguments: str, width: int = 80) -> str:
    done = CliRunner(env={"COLUMNS": str(width)}).invoke(app, ["models", *arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


@pytest.mark.parametrize("width", [80, 160])
def test_the_table_cuts_nothing(width: int) -> None:
    text = listed(width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    lines = [line.split() for line in text.splitlines()]
    for family in FAMILIES:
        assert f"{family.name} ({family.kind})" in text
        for model in family.models:
            [row] = [line for line in lines if line[:1] == [model.id]]
            assert (model.licence or "–").removeprefix("LicenseRef-").startswith(row[1])
            assert (model.top1 is None) == (row[-1] == "–")


def test_a_narrow_terminal_folds_ids_and_keeps_the_facts() -> None:
    text = listed("siglip2-base", width=50)
    assert "58.7 [1]" in text
    assert "google/siglip2-b" in text
    assert "ase-patch16-224" in text


def test_numbers_lead_to_their_sources() -> None:
    text = " ".join(listed("clip-vit-large-patch14").split())
    assert "58.4 [1]" in text
    assert "[1] InternVid (arXiv 2307.06942), Table 3, top-1, 8 frames of a clip" in text
    assert "no real ones were run" in text


def test_json_and_csv_are_whole() -> None:
    families = json.loads(listed("--format", "json"))
    assert [family["name"] for family in families] == [family.name for family in FAMILIES]
    table = list(csv.DictReader(io.StringIO(listed("--format", "csv"))))
    assert [row["id"] for row in table if row["id"]] == IDS
    [large] = [row for row in table if row["id"] == "openai/clip-vit-large-patch14"]
    assert (large["top1"], large["frames"], large["parameters"]) == ("58.4", "8", "427.6")
    [one] = json.loads(listed("so400m", "--family", "siglip2", "--format", "json"))
    assert [model["id"] for model in one["models"]] == ["google/siglip2-so400m-patch14-384"]


def test_what_is_not_there_ends_in_a_sentence() -> None:
    with pytest.raises(ClaverError, match="did you mean 'altclip'"):
        listed("atlclip")


def test_nothing_heavy_is_loaded() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from claver.cli.main import app; "
        "assert CliRunner().invoke(app, ['models']).exit_code == 0; print(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not HEAVY & set(done.stdout.split()) - {"pydantic"}  # which typer takes to read arguments


@pytest.mark.parametrize("command", re.findall(r"^claver (models.*?)(?: >.*)?(?:\\n)?$", EPILOG + PAGE, re.M))
def test_examples_run(command: str) -> None:
    assert listed(*shlex.split(command)[1:])


def test_the_page_has_every_family_and_its_call() -> None:
    for family in FAMILIES:
        assert f"`{family.name}`" in PAGE
    calls = {family.load for family in FAMILIES}
    assert {'claver.load("openai/clip-vit-base-patch16", temporal="kmct")'} <= calls
    for call in re.findall(r"claver\.load\(.*?\)$", PAGE, re.M):
        assert call in calls
