"""What docs/app.md shows in Python runs as it stands, and the limits it names are those of the code."""

import re
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="gradio (extra app) is not installed")

from tests.app.conftest import served
from tests.videos import write_video

PAGE = (Path(__file__).parents[1] / "docs" / "app.md").read_text(encoding="utf-8")


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "clip.mp4", frames=40)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    with served() as server:
        names: dict[str, object] = {}
        exec(block.replace("http://127.0.0.1:7860/", server.address), names)
        names["client"].close()  # type: ignore[attr-defined]
    first, second = capsys.readouterr().out.splitlines()[-2:]
    assert first.rpartition(" ")[0] in ("waves", "sits down")
    assert 0 <= float(first.rpartition(" ")[2]) <= 1
    assert second.startswith("[")


def test_limits_named_are_those_of_the_code() -> None:
    from claver.app.limits import Limits

    limits, told = Limits(), " ".join(PAGE.split())
    assert (
        f"{limits.upload_bytes // 2**20} MB, {limits.seconds / 60:g} minutes and {limits.pixels // 10**6} million"
        in told
    )
    assert f"the {limits.clips} newest files" in told
    assert f"together {limits.stored_bytes // 2**30} GB; at most {limits.words} words" in told
    assert f"take {limits.memory // 2**30} GB and {limits.decode_seconds:g} s" in told
    preview = (
        f"{limits.preview_side} pixels, {limits.preview_seconds / 60:g} minutes and {limits.preview_bytes // 2**20} MB"
    )
    assert preview in told
