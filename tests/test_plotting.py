import sys

import pytest

from claver.errors import ClaverError
from claver.plotting import new_figure


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
