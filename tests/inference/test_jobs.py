"""The journal of interrupted commands: what it takes for its own."""

from pathlib import Path

import pytest

from claver.errors import ClaverError
from claver.inference.jobs import Journal


@pytest.mark.parametrize("score", ["NaN", "1e999", "-Infinity"])
def test_records_with_numbers_that_are_none_are_not_gone_on_with(tmp_path: Path, score: str) -> None:
    path = tmp_path / "out.json.partial"
    path.write_text('{"settings": {}}\n{"path": "a.mp4", "score": ' + score + "}\n")
    before = path.read_bytes()
    with pytest.raises(ClaverError, match=r"out.json.partial is in the way: it is no journal of claver"):
        Journal(tmp_path / "out.json", {})
    assert path.read_bytes() == before
