"""Where commands may write: never over what they read."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from claver.cli.formats import check_apart
from claver.cli.main import app
from claver.errors import ClaverError


@pytest.mark.parametrize(
    "command",
    [
        "evaluate list.csv --model nowhere --predictions list.csv",
        "evaluate list.csv --model nowhere --output ./list.csv",
        "evaluate list.csv --model nowhere --texts texts.csv --output texts.csv",
        "recognize clip.mp4 --actions a,b --model nowhere --output clip.mp4",
        "recognize clip.mp4 --actions texts.csv --model nowhere --output texts.csv",
        "recognize clip.mp4 --actions a,b --model nowhere --output link.mp4",
        "explain clip.mp4 --action a --output clip.mp4",
        "data check list.csv --output list.csv",
        "data check list.csv --write-good list.csv",
        "data index list.csv --output list.csv",
        "data index list.csv --classes texts.csv --output new.csv --report texts.csv",
        "data split list.csv --few-shot 1 --output list.csv",
    ],
)
def test_nothing_that_is_read_is_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.csv").write_text("path,label\nclip.mp4,a\n")
    Path("texts.csv").write_text("action,text\na,a\nb,b\n")
    Path("clip.mp4").write_bytes(b"a clip")
    Path("link.mp4").symlink_to("clip.mp4")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ClaverError, match="is read, and would be lost if results were written there"):
        CliRunner().invoke(app, command.split(), catch_exceptions=False)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_two_outputs_are_two_files() -> None:
    with pytest.raises(ClaverError, match=r"b\.csv is given for two outputs"):
        check_apart((Path("b.csv"), None, Path("b.csv")))
    check_apart((Path("b.csv"), None, None), ("a.csv", "a\0b", None))
