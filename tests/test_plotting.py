import sys
from pathlib import Path

import pytest

from claver.errors import ClaverError
from claver.plotting import new_figure, save_figure


def test_a_figure_is_as_large_as_asked_whatever_the_user_has_set() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    with matplotlib.rc_context({"figure.dpi": 50, "figure.facecolor": "black"}):
        figure = new_figure(4, 3)
        figure.canvas.draw()
        assert figure.canvas.get_width_height() == (400, 300)
        assert figure.get_facecolor() == (1, 1, 1, 1)


def test_without_matplotlib_the_way_to_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ClaverError, match=r"need matplotlib; pip install 'claver\[explain\]'"):
        new_figure(4, 3)


def test_a_picture_is_written_whole_or_what_was_there_stays(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture, theirs = tmp_path / "figure.png", tmp_path / "theirs"
    theirs.write_text("theirs")
    picture.symlink_to(theirs)
    save_figure(new_figure(4, 3), picture)
    save_figure(new_figure(4, 3), tmp_path / "plain")
    save_figure(new_figure(4, 3), tmp_path / "drawing.pdf")
    starts = [(tmp_path / name).read_bytes()[:4] for name in ("figure.png", "plain.png", "drawing.pdf")]
    assert starts == [b"\x89PNG", b"\x89PNG", b"%PDF"]
    assert theirs.read_text() == "theirs"
    with pytest.raises(ValueError, match="xyz"):
        save_figure(new_figure(4, 3), tmp_path / "figure.xyz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drawing.pdf", "figure.png", "plain.png", "theirs"]
