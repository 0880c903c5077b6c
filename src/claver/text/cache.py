"""Text vectors cached on disk, found again by the weights that made them and the tokens they were made of."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from claver.cache_folder import usual_place
from claver.files import replacing
from claver.log import warn_once
from claver.models.fingerprint import add_tensors, values_of

if TYPE_CHECKING:
    from claver.models import Claver

_KEY = 16
"""Bytes of a key: enough that no two texts ever meet."""
_FILES = 64
"""Number of text towers whose vectors are cached, the last used ones."""


def default_cache() -> Path | None:
    """The folder of vectors, see `usual_place`."""
    return usual_place("texts")


def text_keys(tokens_CL: Tensor, last: Tensor) -> list[bytes]:
    """A key for each row of token ids up to its end of text: the same for the same text under the same tokenizer."""
    rows = tokens_CL.cpu().numpy().astype("<i4")
    return [sha256(row[: end + 1].tobytes()).digest()[:_KEY] for row, end in zip(rows, last.tolist(), strict=True)]


def tower_key(model: Claver, dtype: torch.dtype) -> str:
    """A name for what a model's text tower computes in a type: equal weights and settings have equal names."""
    config = model.config
    digest = sha256(f"{dtype} {config.text} {config.activation} {config.norm_eps}".encode())
    add_tensors(digest, dict(sorted(model.text.state_dict().items())))
    return digest.hexdigest()[:32]


@dataclass(frozen=True)
class TextCache:
    """The vectors of one text tower, a file of the folder.

    Attributes:
        path: the file.
        width: E, entries of a vector.
    """

    path: Path
    width: int

    @classmethod
    def of(cls, model: Claver, dtype: torch.dtype, folder: Path) -> TextCache:
        """The vectors that this model's tower makes in this type."""
        return cls(folder / f"{tower_key(model, dtype)}.safetensors", model.config.embedding)

    def load(self) -> dict[bytes, Tensor]:
        """All vectors float32 [E] by key; none if there is no file, or one that is damaged, which is said."""
        from safetensors import SafetensorError, safe_open

        if not self.path.is_file():
            return {}
        try:
            with safe_open(self.path, framework="pt") as file:
                keys, vectors = file.get_tensor("keys"), file.get_tensor("vectors")
                told = (file.metadata() or {}).get("checksum")
        except (SafetensorError, OSError) as error:
            return self._damaged(str(error))
        sound = keys.dtype == torch.uint8 and keys.shape == (len(keys), _KEY)
        sound = sound and vectors.dtype == torch.float32 and vectors.shape == (len(keys), self.width)
        if not sound or told != _checksum(keys, vectors):
            return self._damaged("its contents are not what was written")
        return {key.tobytes(): vector for key, vector in zip(keys.numpy(), vectors, strict=True)}

    def add(self, new: Mapping[bytes, Tensor]) -> None:
        """Put vectors into the file, which appears whole or not at all.

        Another process may do the same: what it wrote before is kept; of two that write at once the last one wins, and
        what the other had is computed again when it is needed.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        every = {**self.load(), **new}
        keys = torch.from_numpy(np.frombuffer(b"".join(every), dtype=np.uint8).copy()).view(-1, _KEY)
        vectors = torch.stack(list(every.values())).float().contiguous()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.path) as beside:
                save_file({"keys": keys, "vectors": vectors}, beside, {"checksum": _checksum(keys, vectors)})
            _forget_oldest(self.path.parent)
        except (SafetensorError, OSError) as error:  # a full disk, a folder that cannot be written: slower, that is all
            warn_once(f"text vectors cannot be kept in {self.path.parent}: {getattr(error, 'strerror', None) or error}")

    def touch(self) -> None:
        """Note that the file was of use."""
        try:
            os.utime(self.path)
        except OSError:
            return

    def _damaged(self, why: str) -> dict[bytes, Tensor]:
        warn_once(f"{self.path} is damaged and will be made again: {why}")
        return {}


def _checksum(keys: Tensor, vectors: Tensor) -> str:
    digest = sha256(values_of(keys))
    digest.update(values_of(vectors))
    return digest.hexdigest()


def _forget_oldest(folder: Path) -> None:
    files: Sequence[Path] = sorted(folder.glob("*.safetensors"), key=_age, reverse=True)
    _remove(files[_FILES:])


def _age(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:  # another process took it away
        return 0.0


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError:
            continue
