"""An exported model for tests of several places, made once for each of them that asks."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from claver.inference.recognizer import Recognizer
from claver.models import Claver
from claver.models.config import Temporal
from tests.tiny import talking_model

ACTIONS = ["waving", "bowing", "sits down", "eats", "a b c", "runs home"]


def needs_onnx() -> None:
    for package in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(package, reason=f"{package} (extra export) is not installed")


def timed_model(kind: Temporal = "kmct", **changes: Any) -> Claver:
    """A talking model whose temporal embedding is large enough that a wrong one is seen."""
    model = talking_model(kind, **changes)
    if model.temporal.mask is not None:
        torch.nn.init.normal_(model.temporal.embedding, std=0.5)
    return model


def recognizer_of(model: Claver, **settings: Any) -> Recognizer:
    return Recognizer(model, ACTIONS, cache=False, **settings)


def exported(tmp_path_factory: pytest.TempPathFactory, **settings: Any) -> Iterator[tuple[Recognizer, Path]]:
    """A recogniser of a KMCTA model, and the folder of its export, for streams too."""
    needs_onnx()
    from claver.export import export_model

    folder = tmp_path_factory.mktemp("exported") / "model"
    recognizer = recognizer_of(timed_model())
    export_model(recognizer, folder, streaming=True, **settings)
    yield recognizer, folder
    shutil.rmtree(folder)
