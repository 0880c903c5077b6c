"""Tensors out of a `.pt`/`.pth` file that somebody else pickled, without running anything that the file names."""

from __future__ import annotations

import hashlib
import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from claver.errors import CheckpointError

OPENAI_SHA256 = {
    "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af": "ViT-B-32.pt",
    "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f": "ViT-B-16.pt",
    "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836": "ViT-L-14.pt",
    "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02": "ViT-L-14-336px.pt",
}
"""The digests OpenAI published with its CLIP weights, which are TorchScript programs."""

_REBUILDERS = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch", "Size"): torch.Size,
}


class Opaque:
    """Stands for an object of a class we do not know, such as a training config: takes anything, does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass

    def __setitem__(self, _: Any, __: Any) -> None:
        pass

    def append(self, _: Any) -> None:
        """What unpickling calls to fill a list."""

    def extend(self, _: Any) -> None:
        """What unpickling calls to fill a list."""

    def add(self, _: Any) -> None:
        """What unpickling calls to fill a set."""


class _InertUnpickler(pickle.Unpickler):
    """Finds the few functions that rebuild tensors; every other name in the file becomes an `Opaque`."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("torch", "torch.storage") and name.endswith("Storage"):
            return getattr(torch, name, None) or getattr(torch.storage, name)
        return _REBUILDERS.get((module, name), Opaque)


def _inert_load(file: Any, **settings: Any) -> Any:
    return _InertUnpickler(file, **settings).load()


_BEFORE_ZIP = pickle.dumps(torch.serialization.MAGIC_NUMBER, protocol=2)
"""What files begin with that PyTorch wrote before 1.6, one pickle behind another instead of an archive."""
_INERT_PICKLE = SimpleNamespace(
    Unpickler=_InertUnpickler, load=_inert_load, __name__="claver.models.checkpoint.unpickle"
)


def read_pickled_state(path: Path) -> dict[str, Tensor]:
    """The tensors by name in a `.pt` or `.pth` file.

    Args:
        path: a state dict, alone or under `model`, `state_dict`, `model_state_dict` or `module` (whatever lies beside
            it, such as the released code's pickled config, is ignored and never executed), in the archives of today or
            as PyTorch wrote them before 1.6; or OpenAI's TorchScript archive, whose SHA-256 must be one that OpenAI
            published, because loading it runs the program in it.

    Raises:
        CheckpointError: none of these, a damaged file, or a TorchScript archive of another origin.
    """
    if not _is_archive(path):
        return _named_tensors(path, _read_before_zip(path))
    if is_torchscript(path):
        return _read_openai(path)
    return _named_tensors(path, _unpickled(path, path))


def _unpickled(path: Path, file: Any) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=False, pickle_module=_INERT_PICKLE)
    except Exception as error:  # bytes that somebody else pickled may raise whatever Python has
        raise CheckpointError(f"{path} cannot be read as a PyTorch checkpoint: {_first_line(error)}") from error


def _read_before_zip(path: Path) -> Any:
    """What a file of before PyTorch 1.6 holds.

    It is read from memory: of a file on disk PyTorch asks first whether it is a tar archive, and unpacks that.
    """
    contents = path.read_bytes()
    if not contents.startswith(_BEFORE_ZIP):
        raise CheckpointError(f"{path} is not a PyTorch checkpoint (or it is cut short)")
    _require_filled(path, contents)
    return _unpickled(path, io.BytesIO(contents))


class _Keys(_InertUnpickler):
    """Makes nothing, and notes the storages that tensors ask for."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.wanted: set[str] = set()

    def find_class(self, module: str, name: str) -> Any:
        return Opaque

    def persistent_load(self, pid: Any) -> Any:
        self.wanted.add(str(pid[2]))
        return Opaque()


def _require_filled(path: Path, contents: bytes) -> None:
    """That the file holds every storage that its tensors ask for: PyTorch would leave in others what was in memory."""
    file = io.BytesIO(contents)
    try:
        for _ in range(3):  # magic number, protocol, kind of machine
            _inert_load(file)
        tensors = _Keys(file)
        tensors.load()
        held = {str(key) for key in _inert_load(file)}
    except Exception as error:  # as in `_unpickled`
        raise CheckpointError(f"{path} cannot be read as a PyTorch checkpoint: {_first_line(error)}") from error
    if lacking := tensors.wanted - held:
        raise CheckpointError(f"{path} does not hold the values of {len(lacking)} of its tensors")


def _named_tensors(path: Path, loaded: Any) -> dict[str, Tensor]:
    for key in ("model", "state_dict", "model_state_dict", "module"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    state = (
        {key: value for key, value in loaded.items() if isinstance(value, Tensor)} if isinstance(loaded, dict) else {}
    )
    if not state:
        raise CheckpointError(f"{path} holds no tensors by name; a checkpoint with a state dict is needed")
    storages = {value.untyped_storage().data_ptr(): value.untyped_storage().nbytes() for value in state.values()}
    if sum(storages.values()) > path.stat().st_size:
        raise CheckpointError(f"{path} says of its tensors that they are larger than the file")
    return state


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive, as OpenAI's own are.

    `torch.load` runs the program of one. So it is PyTorch's own reader that is asked, and a file of which Python's
    reads something else is refused.
    """
    if not _is_archive(path):
        return False
    _require_stored(path)
    try:
        records = torch._C.PyTorchFileReader(str(path)).get_all_records()
        with zipfile.ZipFile(path) as archive:
            listed = [name.partition("/")[2] for name in archive.namelist()]
    except (zipfile.BadZipFile, RuntimeError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is a damaged archive: {_first_line(error)}") from error
    if sorted(records) != sorted(listed):
        raise CheckpointError(f"{path} is an archive with two lists of what is in it, which differ")
    return any(name == "constants.pkl" or name.startswith("code/") for name in records)


def _is_archive(path: Path) -> bool:
    """Whether a file begins as an archive does: PyTorch goes by that alone, and unpacks a tar archive otherwise."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _require_stored(path: Path) -> None:
    """PyTorch never compresses what it saves; an archive that is compressed may fill any memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except zipfile.BadZipFile as error:
        raise CheckpointError(f"{path} is a damaged archive: {error}") from error
    if unpacked > path.stat().st_size:
        raise CheckpointError(f"{path} would unpack to {unpacked} bytes; PyTorch's own checkpoints are not compressed")


def _read_openai(path: Path) -> dict[str, Tensor]:
    contents = path.read_bytes()
    digest = hashlib.sha256(contents).hexdigest()
    if digest not in OPENAI_SHA256:
        raise CheckpointError(
            f"{path} is a TorchScript program whose SHA-256 ({digest[:12]}…) is none that OpenAI published for CLIP; "
            "it is not loaded, because loading would run it"
        )
    state: dict[str, Tensor] = torch.jit.load(io.BytesIO(contents), map_location="cpu").state_dict()
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
