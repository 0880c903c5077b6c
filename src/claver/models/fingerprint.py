"""What a model is, so that nothing made with one is gone on with, or mistaken, under another."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import Module

from claver.errors import CheckpointError
from claver.models.checkpoint.configs import CONFIGS, files_of
from claver.models.checkpoint.folder import weights_in
from claver.models.exported.manifest import MANIFEST


class Digest(Protocol):
    """A hash under way, as those of hashlib."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take bytes in."""


def weights_identity(source: str | Path) -> str:
    """What weights are, not only where: files count by their contents, whatever lies under the same name later.

    Weights, configs and tokenizer count, as far as `load` reads them; a copy of a file, or one with the same size and
    time, is what it holds. A Hugging Face id counts by its name.
    """
    if not str(source):  # no model at all; as a path it would be the folder one is in
        return ""
    path = Path(source).expanduser()
    digest = sha256()
    for file in _files(path):
        with file.open("rb") as stream:
            digest.update(f"{file.name} {file_digest(stream, 'sha256').hexdigest()} ".encode())
    return f"{source} {digest.hexdigest()[:12]}" if path.exists() else str(source)


def model_key(model: Module, config: object) -> str:
    """A name for what a model computes: equal weights, types and settings have equal names.

    Args:
        model: its weights, in the type that it computes in.
        config: its settings, whose text tells them apart.
    """
    digest = sha256(str(config).encode())
    add_tensors(digest, dict(sorted(model.state_dict().items())))
    return digest.hexdigest()[:32]


def add_tensors(digest: Digest, tensors: Mapping[str, Tensor]) -> None:
    """Take tensors into a hash, in their order: names, types, shapes and values."""
    for name, tensor in tensors.items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(values_of(tensor))


def values_of(tensor: Tensor) -> memoryview:
    """The bytes of a tensor's values, row after row, wherever and however it lies in memory."""
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data


def _files(path: Path) -> list[Path]:
    """Everything that is read of a model; nothing for what is none."""
    if not (path.is_dir() or path.is_file()):
        return []
    folder = weights_in(path) if path.is_dir() else path.parent
    try:
        weights = files_of(folder) if path.is_dir() else [path]
    except CheckpointError:  # the reason is told when it is loaded
        weights = []
    configs = [folder / name for name in (*CONFIGS, MANIFEST) if (folder / name).is_file()]
    return sorted({*weights, *configs})
