"""`claver evaluate`: a model on labelled test sets, by the paper's protocols, beside the paper's figures."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from claver.cli.formats import check_output
from claver.cli.journal import Journal
from claver.cli.model import (
    BatchOption,
    DeviceOption,
    DtypeOption,
    FramesOption,
    ModelOption,
    TemporalOption,
    TextsOption,
    WorkersOption,
    default_workers,
    encoding_shown,
    model_identity,
    open_model,
    text_identity,
)
from claver.files import write_whole

if TYPE_CHECKING:
    from claver.evaluation.protocols import Evaluation, TestSet
    from claver.recognizer import Recognizer

EPILOG = """
[bold]Examples[/]

claver evaluate k400_val.csv --model MODEL --views 4x3\n
claver evaluate ucf_split1.csv ucf_split2.csv ucf_split3.csv --model MODEL --setting zero-shot\n
claver evaluate ucf_split1.csv --model MODEL --texts templates\n
claver evaluate k600_draw1.csv k600_draw2.csv k600_draw3.csv --model MODEL --setting zero-shot --output result.json\n
torchrun --nproc-per-node 8 -m claver evaluate k400_val.csv --model MODEL --views 4x3
"""

Manifests = Annotated[
    list[Path],
    typer.Argument(
        metavar="MANIFEST|SHARDS…",
        show_default=False,
        help="One test set (a manifest or a folder of shards), or its splits or draws: mean ± deviation.",
    ),
]


def evaluate(
    manifests: Manifests,
    model: ModelOption = None,
    texts: TextsOption = None,
    split: Annotated[str | None, typer.Option(help="Only clips of this split of the manifests, such as test.")] = None,
    setting: Annotated[
        str, typer.Option(help="Which of the paper's rows to print: supervised, zero-shot, or 'few-shot K'.")
    ] = "supervised",
    views: Annotated[str, typer.Option(help="Clips x crops per video; 4x3 is the paper's test.")] = "4x3",
    temporal: TemporalOption = None,
    frames: FramesOption = None,
    output: Annotated[
        Path | None, typer.Option(help="Write all figures here as JSON; interrupted, the same command goes on.")
    ] = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "float32",
    batch_size: BatchOption = 8,
    workers: WorkersOption = None,
) -> None:
    """Evaluate a model on labelled clips: top-1, top-5, per class, confusions, beside the paper's rows.

    Only the classes of a test set compete in it. Every clip is counted once, in any number of processes; one that
    cannot be read counts as wrong.
    """
    from rich.console import Console

    if output is not None:
        check_output(output)
    with ExitStack() as stack:
        rank = _join_processes(stack)
        tests, dataset = _read_tests(manifests, split)
        recognizer = _recognizer(tests, dataset, texts, model, temporal, frames, views, device, dtype)
        settings: dict[str, Any] = {
            "model": model_identity(model),
            "temporal": recognizer.model.config.temporal.kind,
        }
        settings |= {"frames": recognizer.frames, "views": str(recognizer.views), "setting": setting, "dtype": dtype}
        settings |= {"tests": [str(path) for path in manifests], "split": split, "texts": text_identity(texts)}
        count = default_workers(2) if workers is None else workers
        evaluations = _evaluate(recognizer, tests, batch_size, count, output, settings, rank)
        if rank == 0:
            _report(Console(), evaluations, dataset, setting, settings, output)


def _report(
    console: Any,
    evaluations: Sequence[Evaluation],
    dataset: str,
    setting: str,
    settings: dict[str, Any],
    output: Path | None,
) -> None:
    import json

    from claver.evaluation.report import print_report, to_dict

    name = f"{Path(settings['model'].split(' ')[0]).name} ({settings['temporal']})"
    known = {"benchmark": dataset, "setting": setting, "frames": settings["frames"], "views": settings["views"]}
    print_report(console, evaluations, name=name, **known)
    if output is not None:
        write_whole(output, json.dumps(to_dict(evaluations, settings), indent=2, ensure_ascii=False) + "\n")


def _read_tests(manifests: Sequence[Path], split: str | None) -> tuple[list[TestSet], str]:
    from claver.data.clips import open_clips
    from claver.evaluation.protocols import TestSet

    tests, datasets = [], []
    for path in manifests:
        clips = open_clips(path, split=split)
        clips.manifest.warn()
        tests.append(TestSet.of(path.stem, clips))
        datasets.append(clips.manifest.dataset.partition("-draw")[0])  # draws of Kinetics-600 are of one benchmark
    return tests, (datasets[0] if len(set(datasets)) == 1 else "") or "clips"


def _recognizer(
    tests: Sequence[TestSet],
    dataset: str,
    texts: str | None,
    model: str | None,
    temporal: str | None,
    frames: int | None,
    views: str,
    device: str | None,
    dtype: str,
) -> Recognizer:
    from claver.prompts import texts_for
    from claver.recognizer import Recognizer, Views

    looks = Views.parse(views)
    classes = list(dict.fromkeys(name for test in tests for name in test.classes))
    actions = texts_for(classes, texts, dataset=dataset)
    loaded = open_model(model, temporal=temporal, frames=frames, device=device, dtype=dtype)
    with encoding_shown(hidden=_processes() > 1) as progress:
        return Recognizer(loaded, actions, views=looks, frames=frames, progress=progress)


def _evaluate(
    recognizer: Recognizer,
    tests: Sequence[TestSet],
    batch_size: int,
    workers: int,
    output: Path | None,
    settings: dict[str, Any],
    rank: int,
) -> list[Evaluation]:
    """With progress, and with a journal for each process if there is an output to stand beside."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from claver.evaluation.protocols import evaluate as score

    total = len({path for test in tests for path in test.paths})
    columns = (TextColumn("evaluating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with ExitStack() as stack:
        journal = None
        if output is not None:
            mine = output if rank == 0 else output.with_name(f"{output.name}.{rank}")
            journal = stack.enter_context(Journal(mine, settings))
        # Clips that could not be read in an earlier run are tried again.
        earlier = {path: record["result"] for path, record in journal.done.items()} if journal else {}
        done = {path: result for path, result in earlier.items() if not isinstance(result, str)}
        console = Console(stderr=True)
        progress = stack.enter_context(Progress(*columns, console=console, transient=True, disable=rank > 0))
        bar = progress.add_task("", total=total, completed=len(done))

        def note(path: str, result: list[float] | str) -> None:
            progress.advance(bar, _processes())
            if journal is not None:
                journal.add({"path": path, "result": result})

        evaluations = score(recognizer, tests, batch_size=batch_size, workers=workers, known=done, on_result=note)
        if journal is not None:
            journal.finish()
    return evaluations


def _join_processes(stack: ExitStack) -> int:
    """Under torchrun join the other processes and choose this one's GPU; returns its rank."""
    import os

    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return 0
    import torch
    from torch import distributed

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    distributed.init_process_group("gloo")  # results are Python objects; the towers need no exchange
    stack.callback(distributed.destroy_process_group)
    return distributed.get_rank()


def _processes() -> int:
    from torch import distributed

    joined = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if joined else 1
