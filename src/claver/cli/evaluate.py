"""`claver evaluate`: a model on labelled test sets, by the paper's protocols, beside the paper's results."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from claver.cli.formats import CsvSafeOption, check_apart, check_output
from claver.cli.model import (
    DEFAULT_MODEL,
    BatchOption,
    CompileOption,
    DamagedOption,
    DecodeTimeoutOption,
    DeviceOption,
    DtypeOption,
    EvaluatedModelOption,
    FramesOption,
    PreprocessOption,
    TemporalOption,
    TextsOption,
    ViewsOption,
    WorkersOption,
    check_damaged,
    default_workers,
    model_identity,
    open_model,
    progress_shown,
    settled_dtype,
    text_identity,
    warm_up,
)
from claver.cli.timeline import (
    BackgroundOption,
    FpsOption,
    StrideOption,
    ThresholdOption,
    checked_background,
    checked_level,
)
from claver.errors import ClaverError, PeerError
from claver.files import is_file
from claver.log import logger
from claver.terminal import complain

if TYPE_CHECKING:
    from claver.evaluation.protocols import Evaluation
    from claver.inference.answering import Answering
    from claver.inference.peer_models import PeerModel
    from claver.models import Claver
    from claver.text.actions import Actions

EPILOG = """
[bold]Examples[/]

claver evaluate k400_val.csv --model MODEL --views 4x3\n
claver evaluate ucf_split1.csv ucf_split2.csv ucf_split3.csv --model MODEL --setting zero-shot\n
claver evaluate ucf_split1.csv --split test --model MODEL --texts templates --predictions answers.csv\n
claver evaluate k600_draw1.csv k600_draw2.csv k600_draw3.csv --model MODEL --setting zero-shot --output result.json\n
claver evaluate --task localization activity_net.json --videos videos/ --split validation --model MODEL\n
claver evaluate my_split.csv --model microsoft/xclip-base-patch32 --views 4x3\n
torchrun --nproc-per-node 8 -m claver evaluate k400_val.csv --model MODEL --views 4x3
"""

Manifests = Annotated[
    list[Path],
    typer.Argument(
        metavar="MANIFEST|SHARDS…",
        show_default=False,
        help="Test sets, manifests or folders of shards. Splits or draws of one benchmark: mean ± standard "
        "deviation; several benchmarks are reported one by one.",
    ),
]
VideosFolderOption = Annotated[
    Path | None,
    typer.Option(
        help="With --task localization: where the videos are, by the names of the annotations; beside those if not "
        "given.",
        show_default=False,
    ),
]


def evaluate(
    manifests: Manifests,
    task: Annotated[
        str,
        typer.Option(
            metavar="classification|localization",
            help="What is measured: classification, which action a clip shows; localization, when actions happen, by "
            "the annotations of ActivityNet (JSON) or THUMOS'14.",
        ),
    ] = "classification",
    model: EvaluatedModelOption = None,
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
    gate: Annotated[
        str | None,
        typer.Option(
            metavar="TRAINED_ACTIONS",
            help="The actions that the model was trained on: the farther a clip is from them, the more of the temporal "
            "tower is left out. A benchmark such as kinetics400, a file or names as --actions takes elsewhere, or "
            "'learned', those that the model keeps.",
            show_default=False,
        ),
    ] = None,
    gate_tau: Annotated[
        float | None,
        typer.Option(
            help="With --gate: the larger, the more of the temporal tower stays far from training; 0.05 if not given.",
            show_default=False,
        ),
    ] = None,
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
    compile: CompileOption = False,
    batch_size: BatchOption = 8,
    workers: WorkersOption = None,
    decode_timeout: DecodeTimeoutOption = 60.0,
    videos: VideosFolderOption = None,
    fps: FpsOption = 2.0,
    stride: StrideOption = None,
    threshold: ThresholdOption = "auto",
    background: BackgroundOption = "video",
) -> None:
    """Evaluate a model on labelled clips: top-1, top-5, per class, confusions, beside the paper's rows.

    Only the classes of a test set compete in it; of own clips all classes that the model was trained on, by the texts
    it was trained on. Every clip is counted once, in any number of processes; one that
    cannot be read counts as wrong, is named at the end, and the exit code is then 1. Training clips are measured on
    only where --split train asks for them. Damaged clips are listed, whether answered or skipped (then they do not
    count). With --task localization videos are looked through whole, in one process and one centre crop.
    """
    from claver.distributed import from_everyone, rank_and_size
    from claver.evaluation.predictions import check_suffix
    from claver.evaluation.report import check_setting
    from claver.evaluation.running import among_learned, digest, read_tests, recognizers_for, run_evaluation
    from claver.inference.views import Views

    check_setting(setting)
    check_damaged(damaged)
    if gate_tau is not None and (gate is None or not gate_tau > 0):
        raise ClaverError(f"--gate-tau goes with --gate, and is above 0, not {gate_tau:g}")
    if task not in ("classification", "localization"):
        raise ClaverError(f"--task is classification or localization, not {task!r}")
    if task == "localization":
        from claver.cli.localize import evaluate_localization

        _check_localization(manifests, predictions, gate, compile)
        looking: dict[str, Any] = {"fps": fps, "stride": stride, "threshold": checked_level(threshold)}
        looking |= {"background": checked_background(background), "batch_size": batch_size}
        opening: dict[str, Any] = {"temporal": temporal, "frames": frames, "device": device, "preprocess": preprocess}
        opening |= {"dtype": settled_dtype(dtype, device), "damaged": damaged}
        given: dict[str, Any] = {"videos": videos, "subset": split, "output": output, "model": model, "texts": texts}
        evaluate_localization(manifests[0], **given, looking=looking, loading=opening)
        return
    if compile and gate is not None:
        raise ClaverError("--gate and --compile exclude each other: a gated tower runs as it is")
    check_apart((output, predictions), (*manifests, texts))
    for path in (output, predictions):
        check_output(path)
    if predictions is not None:
        check_suffix(predictions)
    looks = Views.parse(views)
    with ExitStack() as stack:
        rank = _join_processes(stack)
        tests = read_tests(manifests, split)
        # One type for all processes, whose processors may differ.
        dtype = from_everyone(settled_dtype(dtype, device, silent=rank > 0))[0]
        own: dict[str, Any] = {"temporal": temporal, "frames": frames, "preprocess": preprocess}
        loaded = _opened(model, device=device, dtype=dtype, **own)
        tests = [among_learned(test, loaded) for test in tests]
        seen: dict[str, Any] = {"views": looks, "frames": frames, "compile": compile}
        gated = {} if gate is None else _gate(gate, gate_tau, loaded, texts)
        with progress_shown("encoding texts", hidden=rank_and_size()[1] > 1) as progress:
            recognizers = recognizers_for(tests, loaded, texts, progress=progress, **seen, **gated)
        settings = _identity(model, loaded)
        settings |= {"frames": recognizers[0].frames, "views": str(looks), "setting": setting}
        settings |= {"dtype": dtype, "tests": [str(path) for path in manifests], "split": split}
        settings |= {"texts": text_identity(texts), "clips": digest(tests)}
        settings |= {"actions": digest([recognizer.texts for recognizer in recognizers])}
        settings |= {} if gate is None else _gate_identity(gate, gated["gate"], gated["gate_tau"])
        settings |= {} if preprocess is None else {"preprocess": preprocess}
        settings |= {} if damaged == "answer" else {"damaged": damaged}
        loading: dict[str, Any] = {"batch_size": batch_size, "decode_timeout": decode_timeout, "damaged": damaged}
        loading["workers"] = default_workers(2, device, processes=rank_and_size()[1]) if workers is None else workers
        writing: dict[str, Any] = {"output": output, "predictions": predictions, "csv_safe": csv_safe}
        if compile:
            _warm_up(recognizers, sum(len(test.paths) for test in tests), batch_size, hidden=rank > 0)
        with progress_shown("evaluating", hidden=rank > 0) as progress:
            evaluations = run_evaluation(recognizers, tests, settings=settings, progress=progress, **writing, **loading)
        if rank == 0:
            name = model or DEFAULT_MODEL
            _report(evaluations, settings, Path(name).name or name)


def _opened(model: str | None, **settings: Any) -> Claver | PeerModel:
    """The model that the options choose, or else the peer; settings as of `open_model`."""
    try:
        return open_model(model, **settings)
    except PeerError:
        from claver.cli.model import open_peer

        return open_peer(str(model), **settings)


def _warm_up(recognizers: Sequence[Answering], clips: int, batch_size: int, *, hidden: bool) -> None:
    """Compile before clips are counted: benchmarks share the model, and what is compiled for one serves the others."""
    from claver.inference.recognizer import Recognizer

    if isinstance(recognizers[0], Recognizer):
        warm_up(recognizers[0].encoder, clips, batch_size, hidden=hidden)


def _check_localization(manifests: Sequence[Path], predictions: Path | None, gate: str | None, compile: bool) -> None:
    """Raise `ClaverError` about an option that --task localization does not have."""
    from claver.distributed import started_together

    if predictions is not None or started_together():
        raise ClaverError("--task localization runs in one process, and has no --predictions; see --output")
    if gate is not None:
        raise ClaverError("--gate is for --task classification; windows of long videos are not gated")
    if compile:
        raise ClaverError("--compile is for --task classification; windows of long videos are not compiled")
    if len(manifests) != 1:
        raise ClaverError(f"--task localization takes one file or folder of annotations, not {len(manifests)}")


def _gate(gate: str, tau: float | None, loaded: Claver | PeerModel, texts: str | None) -> dict[str, Any]:
    """The gate as `recognizers_for` takes it; its actions get the kind of texts that --texts names, but no file's."""
    from claver.evaluation.gate import TAU
    from claver.inference.peer_models import PeerModel
    from claver.text.selection import own_actions, read_actions

    if isinstance(loaded, PeerModel):
        raise ClaverError("--gate is for models of claver, and a peer runs as it is")
    kinds = None if texts is None or is_file(texts) else texts
    trained = read_actions(own_actions(loaded) if gate == "learned" else gate, texts=kinds)
    return {"gate": trained, "gate_tau": TAU if tau is None else tau}


def _gate_identity(named: str, trained: Actions, tau: float) -> dict[str, Any]:
    """What results depend on of a gate."""
    from claver.evaluation.running import digest

    own = {"gate": text_identity(named), "trained": digest([trained]), "trained_actions": len(trained)}
    return own | {"gate_tau": tau}


def _identity(model: str | None, loaded: Claver | PeerModel) -> dict[str, Any]:
    """What is evaluated, as results and those that are gone on with have it."""
    from claver.inference.peer_models import PeerModel

    known = {"peer": loaded.name} if isinstance(loaded, PeerModel) else {"temporal": loaded.config.temporal.kind}
    return {"model": model_identity(model), **known}


def _report(evaluations: Sequence[Evaluation], settings: dict[str, Any], model: str) -> None:
    """Tables on stdout; then damaged clips, and those that could not be read, for which the exit code is 1."""
    from claver.evaluation.report import damaged_clips, print_report, skipped_clips
    from claver.progress import Screen

    known = {key: settings[key] for key in ("setting", "frames", "views")}
    how = str(settings.get("temporal") or settings["peer"])
    if "gate" in settings:
        how += f", gate of {settings['trained_actions']:,} trained actions, τ {settings['gate_tau']:g}"
    print_report(Screen(), evaluations, name=f"{model} ({how})", **known)
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
