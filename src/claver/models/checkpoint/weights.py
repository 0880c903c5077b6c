"""Weights as they lie on disk: which files hold them, and whether their tensors can be used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from claver.errors import CheckpointError
from claver.models.checkpoint.files import read_json, require_regular
from claver.models.checkpoint.unpickle import read_pickled_state

WEIGHTS, PICKLED = "model.safetensors", "pytorch_model.bin"
OPEN_CLIP_WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".pyth")
"""Of single files of weights, in whatever case."""
_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)

_INDEXED = (f"{WEIGHTS}.index.json", WEIGHTS, f"{PICKLED}.index.json", PICKLED)
_NAMES = {
    "claver": (WEIGHTS, PICKLED),
    "clip": (*_INDEXED, *OPEN_CLIP_WEIGHTS),
    "open_clip": (*OPEN_CLIP_WEIGHTS, *_INDEXED),
}


def _names(kind: str) -> tuple[str, ...]:
    """Names of files to look for in a folder with a config of some kind, in this order."""
    return _NAMES.get(kind, _INDEXED)


def find_weights(folder: Path, kind: str) -> list[Path]:
    """The files that hold a folder's weights: one, or the shards of an index; nothing else beside them counts.

    Args:
        folder: a model folder.
        kind: whose config it has, which tells the names to look for first.

    Raises:
        CheckpointError: there are none, or an index that names files which are not there.
    """
    found = next((folder / name for name in _names(kind) if (folder / name).is_file()), None)
    if found is None:
        raise CheckpointError(f"{folder} has no weights: none of {', '.join(_names(kind))}")
    return _shards(found) if found.name.endswith(".index.json") else [found]


def patterns_of(kind: str) -> list[list[str]]:
    """Patterns for the names of the files that may hold a folder's weights, in the order of `find_weights`."""
    shards = {f"{WEIGHTS}.index.json": "model-*-of-*.safetensors", f"{PICKLED}.index.json": "pytorch_model-*-of-*.bin"}
    return [[name, shards[name]] if name in shards else [name] for name in _names(kind)]


def _shards(index: Path) -> list[Path]:
    table = read_json(index).get("weight_map")
    names = sorted({str(name) for name in table.values()}) if isinstance(table, dict) else []
    if not names:
        raise CheckpointError(f"{index} has no weight_map: it does not say in which files the weights are")
    for name in names:
        if Path(name).name != name or name in (".", ".."):
            raise CheckpointError(f"{index} names {name!r}, which is not in its own folder")
        if not (index.parent / name).is_file():
            raise CheckpointError(f"{index} names {name}, which is not there")
    return [index.parent / name for name in names]


def read_tensors(files: list[Path]) -> dict[str, Tensor]:
    """All tensors of some files; of shards, each has its own.

    Raises:
        CheckpointError: a file is damaged, or two have a tensor of one name.
    """
    state: dict[str, Tensor] = {}
    for file in files:
        found = read_safetensors(file) if file.suffix.lower() == ".safetensors" else read_pickled_state(file)
        if twice := sorted(found.keys() & state.keys()):
            raise CheckpointError(f"{file} holds {twice[0]!r}, which another shard holds as well")
        state |= found
    return state


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of one safetensors file.

    Raises:
        CheckpointError: the file is damaged.
    """
    try:
        with safe_open(require_regular(path), framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read as safetensors: {error}") from error


def require_sound(state: Mapping[str, Tensor]) -> None:
    """Check that every tensor holds finite floating-point numbers.

    Raises:
        CheckpointError: one does not; the message names it.
    """
    for key, value in state.items():
        if value.dtype not in _FLOATS:
            kind = str(value.dtype).removeprefix("torch.")
            raise CheckpointError(
                f"weight {key!r} is of type {kind}; only float32, float16, bfloat16 and float64 can be loaded"
            )
        if value.layout != torch.strided or value.is_meta or value.nbytes > value.untyped_storage().nbytes():
            raise CheckpointError(f"weight {key!r} is no plain tensor with a value of its own for each place")
        if not bool(value.float().isfinite().all()):
            raise CheckpointError(
                f"weight {key!r} holds NaN or infinite values; the file is damaged or training failed"
            )
