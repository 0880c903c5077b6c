"""Files of an explanation: what each suffix writes, and what is refused before any work."""

import json
from pathlib import Path

import numpy as np
import pytest

from claver.errors import ClaverError
from claver.explain import Explanation
from claver.explain.saving import SUFFIXES, check_target
from claver.video import VideoReader


def test_numbers(causal: Explanation, tmp_path: Path) -> None:
    read = json.loads(causal.save(tmp_path / "why.json").read_text(encoding="utf-8"))
    np.testing.assert_allclose(read["combined"], causal.combined, rtol=1e-6)
    np.testing.assert_allclose(read["moments"], causal.moments, rtol=1e-6)
    assert read["against"] == causal.against
    assert read["texts"][0]["words"][0] == causal.texts[0].words[0]._asdict()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["why.json"]


def test_a_folder_holds_all(causal: Explanation, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib (extra explain) is not installed")
    folder = causal.save(tmp_path / "deeper" / "why")
    assert sorted(file.name for file in folder.iterdir()) == sorted(f"explain{suffix}" for suffix in SUFFIXES)
    assert (folder / "explain.png").read_bytes()[:4] == b"\x89PNG"
    with VideoReader(folder / "explain.mp4") as film:
        assert film.info.frames == len(causal.moments)
        picture = film.read([1])[0]
        later = film.read([3])[0]
    assert picture.shape == (720, 1280, 3)
    assert picture.std() > 20
    assert np.abs(picture.astype(int) - later).mean() > 1
    causal.save(folder)  # over itself


@pytest.mark.parametrize("name", ["why.pdf", "missing/why.html", "file/why", "file"])
def test_places_that_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ClaverError, match=r"cannot write|not as 'why.pdf'"):
        check_target(tmp_path / name)


def test_nothing_is_left_when_writing_fails(
    causal: Explanation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("claver.explain.page.page", fail)
    with pytest.raises(ClaverError, match="No space left"):
        causal.save(tmp_path / "why.html")
    assert not list(tmp_path.iterdir())
