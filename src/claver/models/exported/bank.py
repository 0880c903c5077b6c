"""`actions.safetensors`: the vectors of all texts that an exported model came with.

Its tensors are `prototypes` [C, E], the mean of the unit vectors of each action's texts; `embeddings` [M, E], these
vectors, all of the first action, then of the second, …; `counts` [C], how many each has; and `background` [G, E], unit
vectors of texts about other actions, for "none of these". Names and texts are JSON in its metadata: `actions`, `texts`
and `background`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from claver.errors import CheckpointError
from claver.files import replacing


@dataclass(frozen=True)
class ExportedBank:
    """Actions with their texts, other texts, and the unit vector of each.

    Attributes:
        names: the actions.
        texts: of each action, at least one.
        embeddings: of the texts in order, float32 [M, E].
        background_texts: about other actions.
        background: of these, float32 [G, E].
    """

    names: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    embeddings: Tensor
    background_texts: tuple[str, ...]
    background: Tensor

    @property
    def prototypes(self) -> Tensor:
        """Mean unit vector of each action's texts [C, E], not normalised."""
        return torch.stack([part.mean(0) for part in self.embeddings.split([len(own) for own in self.texts])])

    def vectors(self) -> dict[str, Tensor]:
        """The vector of each text [E]."""
        texts = [text for own in self.texts for text in own]
        found = dict(zip(self.background_texts, self.background, strict=True))
        return found | dict(zip(texts, self.embeddings, strict=True))

    def save(self, path: Path) -> None:
        """Write it."""
        tensors = {
            "prototypes": self.prototypes,
            "embeddings": self.embeddings,
            "background": self.background,
            "counts": torch.tensor([len(own) for own in self.texts]),
        }
        told = {"actions": self.names, "texts": self.texts, "background": self.background_texts}
        metadata = {key: json.dumps(value, ensure_ascii=False) for key, value in told.items()}
        with replacing(path) as beside:
            save_file({key: value.contiguous() for key, value in tensors.items()}, beside, metadata)

    @classmethod
    def load(cls, path: Path, width: int) -> ExportedBank:
        """Read what `save` wrote.

        Args:
            path: the file.
            width: E.

        Raises:
            CheckpointError: it holds something else.
        """
        try:
            with safe_open(path, framework="pt") as file:
                metadata: Mapping[str, str] = file.metadata() or {}
                embeddings, background = (file.get_tensor(key).float() for key in ("embeddings", "background"))
            names, others = (_words(json.loads(metadata[key])) for key in ("actions", "background"))
            texts = tuple(_words(own) for own in json.loads(metadata["texts"]))
            bank = cls(names, texts, embeddings, others, background)
            bank._check(width)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path} is no bank of texts as `claver export` writes it") from error
        return bank

    def _check(self, width: int) -> None:
        counts = [len(own) for own in self.texts]
        sound = len(self.names) == len(counts) > 0 and all(counts)
        sound = sound and self.embeddings.shape == (sum(counts), width)
        if not sound or self.background.shape != (len(self.background_texts), width):
            raise ValueError


def _words(values: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError
    return tuple(values)
