"""A study from beginning to end: what is missing is run, several at once if asked, then all is told."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import as_completed
from contextlib import closing
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import TimeElapsedColumn

from claver.errors import ClaverError
from claver.files import only_writer, write_whole
from claver.processes import WorkerDiedError, WorkerPool
from claver.progress import bar
from claver.studies import find_study
from claver.studies.journal import Journal
from claver.studies.study import Options, Record, Settings, Study
from claver.studies.table import Table


def run_study(
    study: Study,
    options: Options,
    output: Path,
    *,
    command: str,
    workers: int = 1,
    console: Console | None = None,
) -> Table:
    """Do what is missing of a study, then write `table.md`, `table.csv`, `figure.png`; `data.jsonl` has every run.

    Args:
        study: what to run.
        options: of which size, with which seeds.
        output: a folder; `bench` beside it keeps what studies share: models and tokens.
        command: how to do it again, for `command.txt`.
        workers: runs at once, each in a process of one thread; 1 runs here, with all threads.
        console: None shows no bar; else there is one on stderr, if that is a terminal.

    Raises:
        ClaverError: options that the study cannot take, or a foreign file in the way.
    """
    study.check(options)
    runs = study.runs(options)
    output.mkdir(parents=True, exist_ok=True)
    with only_writer(output):
        journal = Journal(output / "data.jsonl", study.made_of)
        write_whole(output / "command.txt", command + "\n")
        missing = journal.missing(runs)
        running = closing(_finished(study, missing, output.parent / "bench", workers))
        with bar(study.name, TimeElapsedColumn(), hidden=console is None) as progress, running as done:
            task = progress.add_task("", total=len(runs), completed=len(runs) - len(missing))
            for record in done:
                journal.add(record)
                progress.advance(task)
        return _write(study, journal.records(runs), output)


def _finished(study: Study, runs: Sequence[Settings], cache: Path, workers: int) -> Generator[Record, None, None]:
    """Runs as they end; the first that fails ends all."""
    if workers == 1 or len(runs) < 2:
        for settings in runs:
            yield Record(settings, study.run(settings, cache))
        return
    with closing(WorkerPool(partial(_carry_out, study.name, cache), min(workers, len(runs)))) as pool:
        futures = {pool.submit(settings): settings for settings in runs}
        for future in as_completed(futures):
            try:
                yield Record(futures[future], future.result())
            except WorkerDiedError as error:
                raise ClaverError(
                    f"the process of the run {futures[future]} was killed; with little memory try fewer workers"
                ) from error


def _carry_out(name: str, cache: Path, settings: Settings) -> dict[str, object]:
    return find_study(name).run(settings, cache)


def _write(study: Study, records: Sequence[Record], output: Path) -> Table:
    table = study.table(records)
    write_whole(output / "table.md", table.markdown())
    write_whole(output / "table.csv", table.csv())
    study.draw(records, output / "figure.png")
    return table
