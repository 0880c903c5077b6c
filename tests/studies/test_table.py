from claver.studies.table import Measured, Table

TABLE = Table(
    "What | how",
    ("kind", "top-1", "paper"),
    [["KMTA", Measured((80.0, 82.0, 84.0)), 81.5], ["mean", Measured((25.0,)), None], ["none", Measured(()), 1.0]],
    note="A note.",
)


def test_markdown_by_hand():
    assert TABLE.markdown().splitlines() == [
        "**What | how**",
        "",
        "| kind | top-1 | paper |",
        "| --- | ---: | ---: |",
        "| KMTA | 82.0 ± 2.0 | 81.5 |",
        "| mean | 25.0 |  |",
        "| none | – | 1.0 |",
        "",
        "A note.",
    ]


def test_csv_by_hand():
    assert TABLE.csv().splitlines() == [
        "kind,top-1,top-1 deviation,top-1 runs,paper",
        "KMTA,82.0,2.0,3,81.5",
        "mean,25.0,0.0,1,",
        "none,,,0,1.0",
    ]


def test_a_bar_in_a_text_does_not_end_its_cell() -> None:
    assert r"| up \| down |" in Table("", ("text",), [["up | down"]]).markdown()
