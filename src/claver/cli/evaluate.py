"""`claver evaluate`: a model on labelled test sets, by the paper's protocols, beside the paper's figures."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from claver.cli.formats import CsvSafeOption, check_apart, check_output
from claver.cli.model import (
    DEFAULT_MODEL,
    BatchOption,
    DamagedOption,
    DecodeTimeoutOption,
    DeviceOption,
    DtypeOption,
    FramesOption,
    ModelOption,
    PreprocessOption,
    TemporalOption,
    TextsOption,
    ViewsOption,
    WorkersOption,
    check_damaged,
    default_workers,
    encoding_shown,
    model_identity,
    open_model,
    text_identity,
)
from claver.errors import ClaverError
from claver.files import write_whole
from claver.inference.jobs import Journal
from claver.json_text import to_json
from claver.log import logger
from claver.terminal import complain

if TYPE_CHECKING:
    from claver.evaluation.protocols import Evaluation, TestSet
    from claver.inference.recognizer import Recognizer, Views
    from claver.models import Claver
    from claver.text import Actions

EPILOG = """
[bold]Examples[/]

claver evaluate k400_val.csv --model MODEL --views 4x3\n
claver evaluate ucf_split1.csv ucf_split2.csv ucf_split3.csv --model MODEL --setting zero-shot\n
claver evaluate ucf_split1.csv --split test --model MODEL --texts templates --predictions answers.csv\n
claver evaluate k600_draw1.csv k600_draw2.csv k600_draw3.csv --model MODEL --setting zero-shot --output result.json\n
torchrun --nproc-per-node 8 -m claver evaluate k400_val.csv --model MODEL --views 4x3
"""

Manifests = Annotated[
    list[Path],
    typer.Argument(
        metavar="MANIFEST|SHARDS…",
        show_default=False,
        help="Test sets, manifests or folders of shards. Splits or draws of one benchmark: mean ± standard "
        "deviation; several benchmarks are told one by one.",
    ),
]


def evaluate(
    manifests: Manifests,
    model: ModelOption = None,
    texts: TextsOption = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Only clips of this split of the manifests; if not given test, or else val, where there are."
        ),
    ] = None,
    setting: Annotated[
        str, typer.Option(help="Which of the paper's rows to print: supervised, zero-shot, or 'few-shot K'.")
    ] = "supervised",
    views: ViewsOption = "4x3",
    temporal: TemporalOption = None,
    frames: FramesOption = None,
    preprocess: PreprocessOption = None,
    output: Annotated[
        Path | None, typer.Option(help="Write all results here as JSON; interrupted, the same command resumes.")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Write each clip's label and 5 best answers here, .csv or .jsonl.")
    ] = None,
    csv_safe: CsvSafeOption = False,
    damaged: DamagedOption = "answer",
    device: DeviceOption = None,
    dtype: DtypeOption = "float32",
    batch_size: BatchOption = 8,
    workers: WorkersOption = None,
    decode_timeout: DecodeTimeoutOption = 60.0,
) -> None:
    """Evaluate a model on labelled clips: top-1, top-5, per class, confusions, beside the paper's rows.

    Only the classes of a test set compete in it; of own clips all classes that the model was trained on, by the texts
    it was trained on. Every clip is counted once, in any number of processes; one that
    cannot be read counts as wrong, is named at the end, and the exit code is then 1. Training clips are measured on
    only where --split train asks for them. Damaged clips are listed, whether answered or skipped (then they do not
    count).
    """
    from claver.distributed import wait_for_all
    from claver.evaluation.predictions import check_suffix
    from claver.evaluation.report import check_setting
    from claver.inference.encoder import Views

    check_setting(setting)
    check_damaged(damaged)
    check_apart((output, predictions), (*manifests, texts))
    for path in (output, predictions):
        if path is not None:
            check_output(path)
    if predictions is not None:
        check_suffix(predictions)
    with ExitStack() as stack:
        rank = _join_processes(stack)
        tests = _read_tests(manifests, split)
        looks = Views.parse(views)
        own: dict[str, Any] = {"temporal": temporal, "frames": frames, "preprocess": preprocess}
        loaded = open_model(model, device=device, dtype=dtype, **own)
        tests = [_among_learned(test, loaded) for test in tests]
        recognizers = _recognizers(tests, texts, loaded, looks, frames)
        settings: dict[str, Any] = {
            "model": model_identity(model),
            "temporal": recognizers[0].model.config.temporal.kind,
        }
        settings |= {"frames": recognizers[0].frames, "views": str(recognizers[0].views), "setting": setting}
        settings |= {"dtype": dtype, "tests": [str(path) for path in manifests], "split": split}
        settings |= {"texts": text_identity(texts), "clips": _digest(tests)}
        settings |= {"actions": _digest([recognizer.bank.actions for recognizer in recognizers])}
        settings |= {} if preprocess is None else {"preprocess": preprocess}
        settings |= {} if damaged == "answer" else {"damaged": damaged}
        journal = _journal(stack, output, settings, rank)
        loading: dict[str, Any] = {"batch_size": batch_size, "decode_timeout": decode_timeout, "damaged": damaged}
        loading["workers"] = default_workers(2) if workers is None else workers
        evaluations = _evaluate(recognizers, tests, loading, journal, rank)
        if rank == 0:
            _write(evaluations, settings, output, predictions, csv_safe)
        wait_for_all()  # no journal of another process may go before the results are written
        if journal is not None:
            journal.finish()
        if rank == 0:
            name = model or DEFAULT_MODEL
            _report(evaluations, settings, Path(name).name or name)


def _write(
    evaluations: Sequence[Evaluation],
    settings: dict[str, Any],
    output: Path | None,
    predictions: Path | None,
    csv_safe: bool,
) -> None:
    from claver.evaluation.predictions import predictions_text
    from claver.evaluation.report import to_dict

    if predictions is not None:
        write_whole(predictions, predictions_text(evaluations, predictions, csv_safe=csv_safe))
    if output is not None:
        write_whole(output, to_json(to_dict(evaluations, settings), indent=2))


def _report(evaluations: Sequence[Evaluation], settings: dict[str, Any], model: str) -> None:
    """Tables on stdout; then damaged clips, and those that could not be read, for which the exit code is 1."""
    from claver.evaluation.report import damaged_clips, print_report, skipped_clips
    from claver.progress import Screen

    known = {key: settings[key] for key in ("setting", "frames", "views")}
    print_report(Screen(), evaluations, name=f"{model} ({settings['temporal']})", **known)
    for path, damage in damaged_clips(evaluations).items():
        complain(f"{path}: damaged: {damage}")
    for why in skipped_clips(evaluations).values():
        complain(why)
    failures = {path: cause for evaluation in evaluations for path, cause in evaluation.failures.items()}
    if failures:
        total = len({path for evaluation in evaluations for path in evaluation.test.paths})
        complain(f"{len(failures)} of {total} clips could not be read:")
        for cause in failures.values():
            complain(cause)
        raise typer.Exit(1)


def _digest(items: Sequence[TestSet] | Sequence[Actions]) -> str:
    """Of what test sets or actions hold, whatever their files are called."""
    from hashlib import sha256

    held = repr([tuple(vars(item).values()) for item in items])
    return sha256(held.encode("utf-8", "backslashreplace")).hexdigest()[:12]


def _read_tests(manifests: Sequence[Path], split: str | None) -> list[TestSet]:
    from claver.data.opening import open_clips
    from claver.data.parts import clips_for
    from claver.evaluation.protocols import TestSet

    tests = []
    for path in manifests:
        clips = clips_for(open_clips(path), "testing", split, name=str(path))
        clips.manifest.warn()
        tests.append(TestSet.of(path.stem, clips, split=split))
    _require_unlike(manifests, tests)
    return tests


def _require_unlike(manifests: Sequence[Path], tests: Sequence[TestSet]) -> None:
    """The deviation of results on the same clips would be zero, and say nothing."""
    seen: dict[object, Path] = {}
    for path, test in zip(manifests, tests, strict=True):
        clips = frozenset(zip(map(os.path.abspath, test.paths), test.labels, strict=True))
        earlier = seen.setdefault((test.classes, clips), path)
        if earlier is not path:
            raise ClaverError(f"{path} holds the same clips as {earlier}, given before; give each test set once")


def _among_learned(test: TestSet, loaded: Claver) -> TestSet:
    """With all classes that the model has learned as competitors, if the clips' are among them, as while it learned.

    The classes of a benchmark are its protocol: they stay what they are.
    """
    learned = () if loaded.learned is None else loaded.learned.names
    return test.among(learned) if not test.dataset and set(test.classes) <= set(learned) else test


def _recognizers(
    tests: Sequence[TestSet], texts: str | None, loaded: Claver, looks: Views, frames: int | None
) -> list[Recognizer]:
    """One for each benchmark, in the order of `by_benchmark`: each has its own classes, and its own texts for them.

    Classes that the model was trained on have the texts that it learned them by, unless others are asked for.
    """
    from claver.distributed import rank_and_size
    from claver.evaluation.protocols import by_benchmark
    from claver.inference.recognizer import Recognizer
    from claver.text import texts_for
    from claver.text.selection import own_actions

    competing = []
    for group in by_benchmark(tests):
        classes = list(dict.fromkeys(name for test in group for name in test.classes))
        if texts is None and loaded.learned is not None and set(classes) <= set(loaded.learned.names):
            competing.append(own_actions(loaded).select(classes))
        else:
            competing.append(texts_for(classes, texts, dataset=group[0].benchmark))
    with encoding_shown(hidden=rank_and_size()[1] > 1) as progress:
        settings: dict[str, Any] = {"views": looks, "frames": frames, "progress": progress}
        return [Recognizer(loaded, actions, **settings) for actions in competing]


def _journal(stack: ExitStack, output: Path | None, settings: dict[str, Any], rank: int) -> Journal | None:
    """A journal for each process, if there is an output to stand beside."""
    if output is None:
        return None
    journal = stack.enter_context(Journal(_of_rank(output, rank), settings))
    if rank == 0:
        _take_over(journal, output, settings)
    return journal


def _of_rank(output: Path, rank: int) -> Path:
    return output.with_name(f"{output.name}.{rank}") if rank else output


def _take_over(journal: Journal, output: Path, settings: dict[str, Any]) -> None:
    """Bring in the journals of an interrupted run that had more processes."""
    from claver.distributed import rank_and_size

    rank = rank_and_size()[1]
    while (left := _of_rank(output, rank)).with_name(f"{left.name}.partial").exists():
        with Journal(left, settings) as other:
            for record in other.done.values():
                journal.add(record)
            other.finish()
        rank += 1


def _evaluate(
    recognizers: Sequence[Recognizer],
    tests: Sequence[TestSet],
    loading: Mapping[str, Any],
    journal: Journal | None,
    rank: int,
) -> list[Evaluation]:
    """All test sets, benchmark by benchmark, with progress; in the order in which they were given."""
    from claver.distributed import rank_and_size
    from claver.evaluation.protocols import Result, by_benchmark
    from claver.evaluation.protocols import evaluate as score
    from claver.progress import bar

    groups, processes = by_benchmark(tests), rank_and_size()[1]
    # Clips that could not be read in an earlier run are tried again.
    done: list[dict[str, Result]] = [{} for _ in groups]
    marks = {path: record["damaged"] for path, record in journal.done.items() if "damaged" in record} if journal else {}
    seconds = (
        {path: record["seconds"] for path, record in journal.done.items() if "seconds" in record} if journal else {}
    )
    for record in journal.done.values() if journal else ():
        for number, result in record["results"].items():
            if not isinstance(result, str) and int(number) < len(groups):
                done[int(number)][record["path"]] = result
    total = sum(len({path for test in group for path in test.paths}) for group in groups)
    found: dict[int, Evaluation] = {}
    with bar("evaluating", hidden=rank > 0) as progress:
        task = progress.add_task("", total=total, completed=sum(map(len, done)))
        for number, (recognizer, group) in enumerate(zip(recognizers, groups, strict=True)):

            def note(path: str, result: Result, number: int = number) -> None:
                progress.advance(task, processes)
                if journal is not None:
                    earlier = journal.done.get(path, {}).get("results", {})
                    mark = {"damaged": marks[path]} if path in marks else {}
                    mark |= {"seconds": seconds[path]} if path in seconds else {}
                    journal.add({"path": path, "results": {**earlier, str(number): result}, **mark})

            known: dict[str, Any] = {"known": done[number], "known_damage": marks, "known_seconds": seconds}
            known |= {"on_damage": marks.__setitem__, "on_seconds": seconds.__setitem__}
            results = score(recognizer, group, on_result=note, **known, **loading)
            found |= {id(test): result for test, result in zip(group, results, strict=True)}
    return [found[id(test)] for test in tests]


def _join_processes(stack: ExitStack) -> int:
    """Under torchrun join the other processes; returns the number of this one. Only the first warns."""
    from claver.distributed import join_for_objects, leave, started_together

    if not started_together():
        return 0
    rank = join_for_objects()
    stack.callback(leave)
    if rank:
        logger.setLevel(logging.ERROR)
    return rank
