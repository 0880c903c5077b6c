"""CSV that comes back as it was, and that a spreadsheet does not run if that is asked for."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from claver.csv_text import csv_text

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(st.lists(st.lists(CELLS, min_size=2, max_size=3)))
def test_every_cell_comes_back(rows: list[list[str]]) -> None:
    text = csv_text(rows)
    assert list(csv.reader(io.StringIO(text, newline=""))) == rows


def test_cells_that_a_spreadsheet_would_run_are_marked_only_if_asked_for() -> None:
    cells = ["=cmd|'/C calc'!A0", "@SUM(1)", "+1,w", "-x", "\tx", "\rx", "-1.5", "+3e4", "x=1", -2.5, None]
    plain = next(csv.reader(io.StringIO(csv_text([cells]), newline="")))
    assert plain == ["" if cell is None else str(cell) for cell in cells]
    safe = next(csv.reader(io.StringIO(csv_text([cells], safe=True), newline="")))
    assert safe == [f"'{cell}" for cell in plain[:6]] + plain[6:]
