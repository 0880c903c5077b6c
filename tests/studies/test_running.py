import dataclasses

import pytest
from tests.studies.small import SMALL

from claver.errors import ClaverError
from claver.progress import Screen
from claver.studies import temporal
from claver.studies.journal import Journal
from claver.studies.running import run_study
from claver.studies.study import Options, Study, measured
from claver.studies.table import Table


class Counting:
    """A study of three runs, of which one may fail."""

    def __init__(self, fails: int | None = None) -> None:
        self.fails, self.ran = fails, list[int]()

    def run(self, settings, cache):
        if settings["seed"] == self.fails:
            raise ClaverError("no more power")
        self.ran.append(settings["seed"])
        return {"top1": settings["seed"] / 10}

    def study(self) -> Study:
        def table(records):
            return Table("t", ("top-1",), [[measured(records, "top1", {"kind": "kmt"})]])

        return Study(
            "counting",
            "Counting",
            "Table 0",
            lambda options: [{"seed": seed, "kind": "kmt"} for seed in options.seeds],
            self.run,
            table,
            lambda records, path: path.write_bytes(b"png") and None,
        )


def test_after_an_interruption_only_what_is_missing_is_run(tmp_path):
    first, second = Counting(fails=2), Counting()
    with pytest.raises(ClaverError, match="no more power"):
        run_study(first.study(), Options(), tmp_path / "out", command="claver study counting")
    table = run_study(second.study(), Options(), tmp_path / "out", command="claver study counting")
    assert (first.ran, second.ran) == ([0, 1], [2])
    assert "0.1 ± 0.1" in table.markdown()
    files = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert set(files) == {"command.txt", "data.jsonl", "figure.png", "table.csv", "table.md"}
    assert files["command.txt"] == "claver study counting\n"
    assert files["table.md"] == table.markdown()
    assert len(files["data.jsonl"].splitlines()) == 3


def test_the_bar_is_not_among_the_results_on_stdout(tmp_path, capsys):
    run_study(Counting().study(), Options(), tmp_path, command="", console=Screen())
    assert capsys.readouterr().out == ""


def test_runs_of_other_seeds_stay_and_are_not_reported(tmp_path):
    run_study(Counting().study(), Options(seeds=(7,)), tmp_path, command="")
    table = run_study(Counting().study(), Options(seeds=(1,)), tmp_path, command="")
    assert table.rows[0][0].values == (0.1,)
    assert len((tmp_path / "data.jsonl").read_text().splitlines()) == 2


def test_options_are_checked_before_anything_is_written(tmp_path):
    def refuse(options):
        raise ClaverError("not like this")

    study = dataclasses.replace(Counting().study(), check=refuse)
    with pytest.raises(ClaverError, match="not like this"):
        run_study(study, Options(), tmp_path / "out", command="")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_two_workers_share_stills_and_tokens(tmp_path):
    runs = [SMALL | {"motion.temporal.kind": kind} for kind in ("mean", "class", "joint")]
    study = dataclasses.replace(temporal.STUDY, runs=lambda options: runs, draw=lambda records, path: None)
    run_study(study, Options(), tmp_path / "temporal", command="", workers=2)
    records = Journal(tmp_path / "temporal" / "data.jsonl", study.made_of).records(runs)
    assert [record.settings for record in records] == runs
    assert all(0 <= record.figures["top1"] <= 1 for record in records)
    made = sorted(path.name.split("-")[0] for path in (tmp_path / "bench").iterdir() if path.is_dir())
    assert made == ["stills", "tokens", "verbs", "verbs", "verbs"]
