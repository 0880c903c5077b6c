"""Options that choose a command's model, and loading of that model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from claver.cpus import allowed_cpus
from claver.errors import ClaverError
from claver.files import is_file, read_bytes
from claver.terminal import tell

if TYPE_CHECKING:
    from claver.inference.encoder import VideoEncoder
    from claver.inference.peer_models import PeerModel
    from claver.models import Claver
    from claver.text.encoding import Progress

DEFAULT_ACTIONS = "kinetics400"
DEFAULT_MODEL = "openai/clip-vit-base-patch16"

_MODEL_HELP = (
    "A Hugging Face id, a model folder (CLIP, SigLIP and others that `claver models` lists; ours) or that of a "
    f"training run, an OpenAI .pt or a released CLAVER .pth. Without it, {DEFAULT_MODEL} if that is in the local cache."
)
ModelOption = Annotated[str | None, typer.Option(help=_MODEL_HELP)]
EvaluatedModelOption = Annotated[
    str | None,
    typer.Option(
        help=f"{_MODEL_HELP} Or a peer to compare with, an id or folder of X-CLIP or of VideoPrism's video-text model, "
        "run by transformers (pip install 'claver\\[hf]')."
    ),
]
TemporalOption = Annotated[
    str | None, typer.Option(help="kmt, kmct, joint, pipeline, class or mean; the model's own if not given.")
]
ViewsOption = Annotated[str, typer.Option(help="Clips x crops looked at per video; 4x3 is the paper's test.")]
OwnViewsOption = Annotated[
    str | None,
    typer.Option(help="Clips x crops looked at per video; 4x3 is the paper's test, 1x1 the usual."),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Processes that decode ahead; by default one for two cores that may be used, at most 8, and with a GPU "
        "one for each core but one, at most 16.",
    ),
]
DecodeTimeoutOption = Annotated[
    float,
    typer.Option(
        min=0.1,
        help="Seconds after which a worker gives up a file that it cannot finish. A single file is read without a "
        "worker, and without a limit, unless --workers is given.",
    ),
]
DamagedOption = Annotated[
    str,
    typer.Option(
        metavar="answer|skip|fail",
        help="What to do with damaged and truncated videos: answer and mark them, leave them out, or count them as "
        "errors. One of which all frames used are damaged is never answered.",
    ),
]
FramesOption = Annotated[int | None, typer.Option(min=1, help="Frames per view; the model's own if not given.")]
PreprocessOption = Annotated[
    str | None,
    typer.Option(
        help="What is done to the pixels: paper (short side 256/224 of the crop; for CLIP the default), or checkpoint "
        "(what the checkpoint's own processor does; CLIP's resizes the short side to the crop itself)."
    ),
]
DeviceOption = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps; a GPU if there is one.")]
DtypeOption = Annotated[
    str,
    typer.Option(
        help="float32; bfloat16, for a GPU or a CPU with fast products in it; or auto: bfloat16 where they are fast "
        "(on a CPU measured once, and kept in the cache), else float32."
    ),
]
CompileOption = Annotated[
    bool,
    typer.Option(
        "--compile",
        help="Compile the towers by torch.compile before the first answer, which takes half a minute or so; meant for "
        "GPUs. Without a compiler (triton for a GPU, C++ for a CPU) they run as they are.",
    ),
]
BatchOption = Annotated[int, typer.Option(min=1, help="Views computed at once.")]
TextsOption = Annotated[
    str | None,
    typer.Option(
        metavar="KINDS|FILE",
        help="What is said about each action: names, templates, templates-plain (names as they are), interpretive "
        "(all there is), rewritten (name: sentence), some of template, decomposition, synonym, body, or a .csv or "
        ".jsonl of texts. If not given, what comes with the actions: for a benchmark everything, else templates.",
    ),
]


def check_damaged(damaged: str) -> None:
    """Raise `ClaverError` if it is nothing that can be done with damaged videos."""
    from claver.video.damage import checked_on_damage

    checked_on_damage(damaged)


def default_workers(files: int, device: str | None, *, processes: int = 1) -> int:
    """Processes that decode ahead; none for a single file.

    Where a GPU has the model one for each core but that of this process, at most 16; else one for two cores, at most 8.

    Args:
        files: how many there are.
        device: as for `open_device`.
        processes: so many share the cores, each with a GPU.
    """
    if files < 2:
        return 0
    if open_device(device) == "cpu":
        return min(8, max(1, allowed_cpus() // 2))
    return min(16, max(1, allowed_cpus() // processes - 1))


def model_identity(model: str | None) -> str:
    """What the model is, so that no run resumes with other weights than it started with."""
    from claver.models.fingerprint import weights_identity

    return weights_identity(DEFAULT_MODEL if model is None else _not_empty(model))


def open_model(
    model: str | None,
    *,
    temporal: str | None,
    frames: int | None,
    device: str | None,
    dtype: str,
    preprocess: str | None = None,
) -> Claver:
    """The model that the options choose.

    Raises:
        ClaverError: none given and none cached, or settings that cannot be used here.
    """
    from claver.models import load

    place, kind = open_device(device), _dtype(settled_dtype(dtype, device))
    settings: dict[str, Any] = {"temporal": temporal, "frames": frames, "device": place, "dtype": kind}
    settings["preprocess"] = preprocess
    return load(named_model(model), **settings)


def open_exported(
    model: str, *, temporal: str | None, device: str | None, dtype: str, preprocess: str | None
) -> Claver:
    """The exported model in a folder.

    Raises:
        ClaverError: it is damaged, or options whose matter was settled when it was exported.
    """
    from claver.models.exported.model import ExportedModel

    settled = {"--temporal": temporal, "--preprocess": preprocess, "--dtype": None if dtype == "float32" else dtype}
    if given := [name for name, value in settled.items() if value is not None]:
        raise ClaverError(f"{given[0]} is settled when a model is exported: export it with that, or leave it out")
    if device not in (None, "cpu"):
        raise ClaverError(f"an exported model runs on the CPU, not on {device!r}; leave out --device")
    return ExportedModel(model)


def refuse_exported(model: str | None) -> None:
    """Raise `ClaverError` for a model that was exported, where image tokens are computed apart from what reads them."""
    from claver.models.checkpoint.folder import EXPORTED
    from claver.models.exported.manifest import is_exported

    if is_exported(model):
        raise ClaverError(f"{model} {EXPORTED}")


def open_peer(
    model: str, *, temporal: str | None, frames: int | None, device: str | None, dtype: str, preprocess: str | None
) -> PeerModel:
    """The peer that the options choose, where `open_model` found that the model is one.

    Raises:
        ClaverError: it cannot be loaded, or options that a peer does not have.
    """
    from claver.inference.peer_models import load_peer

    if temporal is not None:
        raise ClaverError("--temporal is for CLIP and CLAVER models; a peer joins frames in its own way")
    if preprocess not in (None, "checkpoint"):
        raise ClaverError(f"--preprocess {preprocess} is not for a peer; its own processor says what is done to pixels")
    peer = load_peer(model, device=open_device(device), dtype=_dtype(settled_dtype(dtype, device)))
    peer.check_frames(frames or peer.frames)
    return peer


def warm_up(encoder: VideoEncoder, videos: int, batch_size: int, *, hidden: bool = False) -> None:
    """Compile what is to be compiled for so many videos, and say that it takes its time."""
    from claver.progress import waiting

    if encoder.towers is not None and not encoder.towers.given_up:
        with nullcontext() if hidden else waiting("compiling …"):
            encoder.warm_up(videos, batch_size)


@contextmanager
def progress_shown(title: str, *, hidden: bool = False) -> Iterator[Progress]:
    """A bar on stderr as long as not all is done; yields what to call."""
    from claver.progress import bar

    with bar(title, hidden=hidden) as progress:
        task = progress.add_task("", visible=False)
        yield lambda done, total: progress.update(task, completed=done, total=total, visible=total > done)


def text_identity(given: str | None) -> str | None:
    """What a list or a choice of texts is, not only what it is called: a file counts by its contents."""
    if given is None or not is_file(given):
        return given
    return f"{given} {sha256(read_bytes(Path(given))).hexdigest()[:12]}"


def named_model(model: str | None) -> str:
    """The model that is named, or the default.

    Raises:
        ClaverError: an empty name, as of a variable that is not set, or no name and none cached.
    """
    return cached_default() if model is None else _not_empty(model)


def _not_empty(model: str) -> str:
    if not model.strip():
        raise ClaverError("--model is empty; name a model, or leave it out for the default")
    return model


def cached_default() -> str:
    """The default model if it is in the local cache; nothing is downloaded without a request."""
    from huggingface_hub import try_to_load_from_cache

    if isinstance(try_to_load_from_cache(DEFAULT_MODEL, "config.json"), str):
        return DEFAULT_MODEL
    raise ClaverError(
        f"no --model given, and {DEFAULT_MODEL} (600 MB) is not in the local cache: add --model {DEFAULT_MODEL} to "
        "download it, or work offline with --model FOLDER (`claver quickstart` makes one in minutes)"
    )


def open_device(name: str | None) -> str:
    """The device of that name, or a GPU if there is one.

    Raises:
        ClaverError: it cannot be used here.
    """
    import torch

    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name).item()  # the device named meta has tensors, but no values
    except (RuntimeError, AssertionError, NotImplementedError, ValueError) as error:
        reason = str(error).partition("\n")[0].partition(". ")[0]
        raise ClaverError(f"device {name!r} cannot be used here: {reason}") from error
    return name


def settled_dtype(name: str, device: str | None, *, silent: bool = False) -> str:
    """The type to compute in: what `auto` stands for on the device, which is said; another name stays.

    Settings that a run is resumed by have what this returns, never `auto`.

    Raises:
        ClaverError: a name of no type, or for `auto` a device that cannot be used here.
    """
    from claver.precision import check_dtype, choose_dtype

    if check_dtype(name) != "auto":
        return name
    choice = choose_dtype(open_device(device))
    if not silent:
        tell(f"--dtype auto: {choice}")
    return choice.name


def _dtype(name: str) -> Any:
    import torch

    return getattr(torch, name)
