"""`claver_export.json`: what an exported model is, which files it has, and what was measured of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import file_digest
from pathlib import Path
from typing import Any, Literal, get_args

from claver.errors import CheckpointError, ClaverError
from claver.json_text import read_json, to_json
from claver.models.config import ClaverConfig

MANIFEST = "claver_export.json"
BANK = "actions.safetensors"
VIDEO, TEXT, STEP = "video", "text", "step"
"""Names of graphs: clips to embeddings, token ids to embeddings, the next frame of streams."""
OPSET = 20
"""Of ONNX, the same for whatever version of PyTorch writes it."""
_FORMAT = "claver export 1"
Form = Literal["onnx", "torch"]
SUFFIX: dict[Form, str] = {"onnx": ".onnx", "torch": ".pt2"}
Precision = Literal["fp32", "fp16", "int8"]
TextRule = Literal["end", "padding", "whole"]
"""Which token of a row is the last that counts: the first end of text, the last that is no padding, or the last."""


@dataclass(frozen=True)
class FileRecord:
    """A file of the folder: its size and its contents."""

    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileRecord:
        """What a file is now."""
        with path.open("rb") as file:
            return cls(path.stat().st_size, file_digest(file, "sha256").hexdigest())


@dataclass(frozen=True)
class Manifest:
    """What `claver_export.json` says.

    Attributes:
        config: every size, how pixels are to be prepared, and T, the frames that clips should have.
        form: `onnx` or `torch`.
        precision: what the weights are stored in.
        takes_bytes: whether graphs take pixels as uint8 and normalise them; else they take normalised float32.
        fixed_frames: whether clips must have T frames; else any number will do.
        logit_scale: similarities are cosines times its exponential.
        logit_bias: what is added to them; None for nothing.
        text_rule: as of `TextRule`.
        text_pad: the id that fills a row of tokens.
        views: clips x crops that each video is looked at in, if nothing else is asked for.
        graphs: names and files of graphs, with the names, types and shapes of what goes in and comes out.
        files: every file of the folder but this one.
        opset: of ONNX; None for torch.
        check: what was measured before the folder was kept.
        versions: of the libraries that wrote it.
    """

    config: ClaverConfig
    form: Form
    precision: Precision
    takes_bytes: bool
    fixed_frames: bool
    logit_scale: float
    logit_bias: float | None
    text_rule: TextRule
    text_pad: int
    views: str
    graphs: Mapping[str, Mapping[str, Any]]
    files: Mapping[str, FileRecord]
    opset: int | None = OPSET
    check: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for value, choices in ((self.form, Form), (self.precision, Precision), (self.text_rule, TextRule)):
            if value not in get_args(choices):
                raise ClaverError(f"{value!r} is none of {', '.join(get_args(choices))}")
        kinds = {"takes_bytes": bool, "fixed_frames": bool, "text_pad": int, "logit_scale": float, "views": str}
        kinds |= {} if self.logit_bias is None else {"logit_bias": float}
        if wrong := [name for name, kind in kinds.items() if type(getattr(self, name)) is not kind]:
            raise ClaverError(f"{wrong[0]} is {getattr(self, wrong[0])!r}, and no {kinds[wrong[0]].__name__}")
        if any(name == STEP and not isinstance(graph.get("window"), int) for name, graph in self.graphs.items()):
            raise ClaverError("its graph of the next frame does not say how many frames a clip has")
        if strange := [name for name in self.files if Path(name).name != name or name in (".", "..")]:
            raise ClaverError(f"{strange[0]!r} is no name of a file of its own folder")
        files = [graph["file"] for graph in self.graphs.values()]
        if missing := [name for name in (*files, BANK) if name not in self.files]:
            raise ClaverError(f"nothing is said of the file {missing[0]!r}")

    def save(self, folder: Path) -> None:
        """Write it into a folder that is being made."""
        values = {"format": _FORMAT, **asdict(self), "config": self.config.to_dict()}
        (folder / MANIFEST).write_text(to_json(values, indent=2, allow_nan=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read it; the files are not looked at.

        Raises:
            CheckpointError: it is damaged, or of another version.
        """
        path = folder / MANIFEST
        try:
            values = read_json(path)
            if not isinstance(values, dict) or values.pop("format", None) != _FORMAT:
                raise ClaverError("it is of another version; export the model again")
            config = ClaverConfig.from_dict(values.pop("config"))
            files = {name: FileRecord(**record) for name, record in values.pop("files").items()}
            return cls(config=config, files=files, **values)
        except (ClaverError, TypeError, KeyError, AttributeError, ValueError) as error:
            told = str(error) if isinstance(error, ClaverError) else "it is not what `claver export` writes"
            raise CheckpointError(told if str(path) in told else f"{path}: {told}") from error

    def verify(self, folder: Path) -> None:
        """Check that every file is what was written.

        Raises:
            CheckpointError: one is missing, or another; it is named.
        """
        for name, record in self.files.items():
            path = folder / name
            if not path.is_file():
                raise CheckpointError(f"{path} is missing; export the model again")
            if FileRecord.of(path) != record:
                raise CheckpointError(f"{path} is not what was exported (its SHA-256 differs); export the model again")


def is_exported(source: object) -> bool:
    """Whether a model that is named so is the folder of an exported one."""
    try:
        return isinstance(source, str | Path) and (Path(source).expanduser() / MANIFEST).is_file()
    except (OSError, ValueError):
        return False
