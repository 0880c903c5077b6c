"""Our own model folder: `config.json`, `model.safetensors`, `tokenizer.json`, `actions.json`."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from claver.errors import CheckpointError
from claver.files import replacing, sync
from claver.models.checkpoint.files import read_json
from claver.models.checkpoint.weights import WEIGHTS
from claver.models.config import ClaverConfig
from claver.models.exported.manifest import MANIFEST
from claver.models.learned import ACTIONS, Learned
from claver.models.tokenizer import Tokenizer


class Pretrained(nn.Module):
    """What is written to a model folder, and read from a checkpoint, besides weights.

    Attributes:
        config: every size.
        tokenizer: the checkpoint's own; None for a model made from a config alone.
        learned: the actions it was trained on, and how it looked at clips; None for one that was not trained here.
    """

    config: ClaverConfig
    tokenizer: Tokenizer | None
    learned: Learned | None


EXPORTED = (
    "is an exported model, which recognize, watch and calibrate run and nothing else; use the model that it was "
    "exported from"
)
"""What is said of a folder that `claver export` wrote, where another is wanted."""
CONFIG, TOKENIZER = "config.json", "tokenizer.json"
EMA_FOLDER, AVERAGE_FOLDER = "ema", "average"  # of a checkpoint, with the averaged weights
# Of models in a training run's folder.
_PLACES = ("best", "best.old", f"last/{EMA_FOLDER}", f"last/{AVERAGE_FOLDER}", "last", "last.old")


def weights_in(folder: Path) -> Path:
    """What to load of a training run's folder: `best`, else the averaged weights of `last`, else `last`.

    Whatever is no run's folder is returned as it is.
    """
    places = (folder, *(folder / place for place in _PLACES))
    return next((place for place in places if (place / CONFIG).is_file()), folder)


def write_folder(model: Pretrained, folder: Path) -> None:
    """Write a model; every file is completed beside its place and then moved into it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as temporary:
        made = Path(temporary)
        state = {key: value.detach().contiguous() for key, value in model.state_dict().items()}
        try:
            with replacing(made / WEIGHTS) as beside:
                save_file(state, beside, metadata={"format": "pt"})
        except SafetensorError as error:  # a full disk, to whoever handles those
            raise OSError(f"{folder} cannot be written: {error}") from error
        if model.tokenizer is not None and model.tokenizer.json is not None:
            (made / TOKENIZER).write_text(model.tokenizer.json, encoding="utf-8")
        (made / CONFIG).write_text(json.dumps(model.config.to_dict(), indent=2) + "\n", encoding="utf-8")
        if model.learned is not None:
            (made / ACTIONS).write_text(model.learned.json(), encoding="utf-8")
        else:  # those of a model that was here before
            (folder / ACTIONS).unlink(missing_ok=True)
        for file in sorted(made.iterdir(), key=lambda file: file.name == CONFIG):
            sync(file)
            os.replace(file, folder / file.name)
    sync(folder)


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` of a folder.

    Raises:
        CheckpointError: there is none, or it is not JSON.
    """
    path = folder / CONFIG
    if not path.is_file() and (folder / MANIFEST).is_file():
        raise CheckpointError(f"{folder} {EXPORTED}")
    if not path.is_file():
        raise CheckpointError(f"{folder} is no model folder: {_what_is_in(folder)}")
    return read_json(path)


def _what_is_in(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []
    found = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") if names else "nothing"
    return f"it has neither {CONFIG} nor, as a training run, `best` or `last`, but {found}"
