"""Files of an explanation: what each suffix writes, and what is refused before any work."""

import json
import os
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from tests.tiny import talking_model
from tests.videos import write_video

from claver.errors import ClaverError
from claver.explain import Explanation
from claver.explain.explanation import explain
from claver.explain.render.saving import SUFFIXES, check_target
from claver.inference.recognizer import Recognizer
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

    monkeypatch.setattr("claver.explain.render.saving.page", fail)
    with pytest.raises(ClaverError, match="No space left"):
        causal.save(tmp_path / "why.html")
    assert not list(tmp_path.iterdir())


def test_odd_names_of_files_and_actions_are_shown_in_every_form(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib (extra explain) is not installed")
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b'/a\xff<b>"$x$\x1b\xe2\x80\xae.mp4'))
    write_video(tmp_path / "plain.mp4", seed=1)
    (tmp_path / "plain.mp4").rename(odd)
    actions = ['a"><script>alert(1)</script>', "b $5 $6 \\frac{ ' onload=x", "\x1b[2J\u202ex"]
    recognizer = Recognizer(talking_model(), actions, texts="names")
    told = explain(recognizer, odd, actions[0], actions[1])
    told.save(tmp_path / "all")
    recognizer(odd).plot(path=tmp_path / "plot.png")
    page = (tmp_path / "all" / "explain.html").read_text()
    assert "<script" not in page
    attributes: list[str] = []
    reader = HTMLParser()
    reader.handle_starttag = lambda name, found: attributes.extend(key for key, _ in found)  # type: ignore[method-assign]
    reader.feed(page)
    assert attributes
    assert not [key for key in attributes if key.startswith("on")]
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert r"a\udcff&lt;b&gt;&quot;$x$\x1b\u202e.mp4" in page
    assert json.loads((tmp_path / "all" / "explain.json").read_text())["source"] == str(odd)
