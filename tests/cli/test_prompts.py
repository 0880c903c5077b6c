"""`claver prompts` as people type it: spellings, lists, files, and what is wrong in them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from claver.cli.main import app
from claver.errors import ClaverError

WAVING = {"list": "own", "action": "waving", "kind": "synonym", "text": "saying hello"}
BOWING = {"list": "own", "action": "bowing", "kind": "synonym", "text": "bending over"}


def claver(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["prompts", *arguments])
    if isinstance(done.exception, ClaverError):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def bank(tmp_path: Path) -> str:
    file = tmp_path / "bank.jsonl"
    file.write_text(f"{json.dumps(WAVING)}\n\n{json.dumps(BOWING)}\n")
    return str(file)


def test_show_knows_an_action_in_any_spelling_and_every_list() -> None:
    shown = claver("show", "ApplyEyeMakeup", "--list", "ucf101")
    assert shown.startswith("apply eye makeup (ucf101)\n  template\n    apply eye makeup\n")
    assert all(f"\n  {kind}\n" in shown for kind in ("decomposition", "synonym", "body"))
    everywhere = claver("show", "archery")
    assert "archery (kinetics)" in everywhere
    assert "archery (ucf101)" in everywhere
    assert "kinetics400" not in everywhere


def test_show_in_a_file_and_what_is_not_there(bank: str) -> None:
    assert claver("show", "Waving", "--bank", bank) == f"waving ({bank})\n  synonym\n    saying hello\n\n"
    with pytest.raises(ClaverError, match=r"did you mean 'archery' \(kinetics\) or 'archery' \(ucf101\)\?"):
        claver("show", "archerry")
    with pytest.raises(ClaverError, match="writes texts about any action"):
        claver("show", "quantum field theory", "--list", "hmdb51")
    with pytest.raises(ClaverError, match="no texts come with claver for 'ssv2'"):
        claver("show", "waving", "--list", "ssv2")
    with pytest.raises(ClaverError, match="either --list or --bank"):
        claver("show", "waving", "--list", "ucf101", "--bank", bank)


def test_a_bank_of_any_name_and_one_without_texts(bank: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("[red].jsonl").write_bytes(Path(bank).read_bytes())
    assert "[red].jsonl: 2 texts about 2 actions" in claver("stats", "[red].jsonl")
    Path("empty.jsonl").touch()
    with pytest.raises(ClaverError, match=r"empty\.jsonl holds no text"):
        claver("validate", "empty.jsonl")


def test_stats(bank: str) -> None:
    figures = claver("stats", "hmdb51")
    assert "867 texts about 51 actions" in figures
    assert "sentences begin most often with" in figures
    assert "with nothing" in claver("stats", bank)
    assert "kinetics600: 9000 texts" in claver("stats")


def test_validate_names_file_and_line(bank: str) -> None:
    assert claver("validate", bank) == "2 texts about 2 actions, all sound\n"
    assert "all sound" in claver("validate", bank, "--actions", "waving, bowing")
    with open(bank, "a") as file:
        file.write(json.dumps(WAVING | {"text": "**greeting**"}) + "\n")
    found = claver("validate", bank, "--actions", "waving,bowing,nodding", "--least", "2", code=1)
    assert f"{bank}, line 4: waving: '**greeting**' has markup ('*')\n" in found
    assert f"{bank}: nodding has no synonym text, of own (2 or more wanted)\n" in found
    assert "claver: 3 findings in 3 texts" in found


def test_diff(bank: str, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps(BOWING | {"text": "bending over low"}) + "\n")
    assert claver("diff", bank, str(other)) == (
        "waving\n  - synonym: saying hello\n"
        "bowing\n  ~ synonym: bending over\n    -> bending over low\n"
        "1 removed, 1 changed, 0 added\n"
    )
    assert claver("diff", "hmdb51", "hmdb51") == "0 removed, 0 changed, 0 added\n"


def test_help_is_quick_and_errors_are_one_sentence() -> None:
    code = "import sys; sys.argv = ['claver', 'prompts', '--help']\nfrom claver.cli.main import main\n"
    code += "try: main()\nfinally: assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=120)
    command = [sys.executable, "-m", "claver", "prompts", "show", "archerry", "--list", "ucf101"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr == "claver: there is no action 'archerry' in ucf101; did you mean 'archery' (ucf101)?\n"
