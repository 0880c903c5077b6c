"""An image tower and a sentence encoder, which never saw each other, as one model: the projections are to be learned.

Texts keep what their encoder knows: its vectors, as they are, become the joint space. Images are projected into it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from claver.errors import CheckpointError, ClaverError, told_of
from claver.models.checkpoint.configs import config_of_folder, kind_of
from claver.models.checkpoint.families import FAMILIES, state_of
from claver.models.checkpoint.hub import locate
from claver.models.checkpoint.names import State
from claver.models.checkpoint.weights import require_sound
from claver.models.config import ClaverConfig, TemporalConfig
from claver.models.towers import PlainVision, Registered, make_image_tower, registered_tower

_SEED = 0


@dataclass(frozen=True)
class Joined:
    """Two towers as one model.

    Attributes:
        state: weights under our names.
        config: of the whole.
        folder: of the text tower, where its tokenizer is.
        untrained: whether images have a projection that nobody trained.
    """

    state: State
    config: ClaverConfig
    folder: Path
    untrained: bool


def join(source: str | Path, text: str | Path, revision: str | None, token: str | None) -> Joined:
    """An image tower, by the name that it was registered under, its folder or its hub id, with a sentence encoder.

    Args:
        source: the image tower.
        text: the folder or the hub id of the sentence encoder.
        revision: of the image tower.
        token: of the hub.

    Raises:
        ClaverError: one of them is something else, or damaged.
    """
    text_folder = locate(text, None, token)
    text_config, text_state = _part(text_folder, "text", text)
    registered = registered_tower(str(source))
    if registered is None:
        image_config, image_state = _part(locate(source, revision, token), "image", source)
    else:
        image_config, image_state = _registered_config(registered), {}
    width = text_config.embedding
    config = replace(image_config, text=text_config.text, embedding=width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        if registered is not None and registered.weights is None:
            tower = make_image_tower(config)
            image_state = {f"image.{key}": value for key, value in tower.state_dict().items()}
        else:
            with torch.device("meta"):
                tower = make_image_tower(config)
        fresh = {f"readout.{key}": value for key, value in tower.make_readout().state_dict().items()}
    if registered is not None and registered.weights is not None:
        image_state = _registered_state(registered.weights(), plain=isinstance(tower, PlainVision))
    state = fresh | image_state | text_state | {"text.projection": torch.eye(width)}
    state["logit_scale"] = torch.tensor(math.log(1 / 0.07))
    return Joined(state, config, text_folder, bool(fresh.keys() - image_state.keys()))


def _part(folder: Path, part: str, source: str | Path) -> tuple[ClaverConfig, State]:
    """The config and the weights of one tower alone."""
    kind = kind_of(folder) if folder.is_dir() else None
    if kind is None or kind not in FAMILIES or FAMILIES[kind].part != part:
        wanted = [name for name, family in FAMILIES.items() if family.part == part]
        what = "an image tower without texts" if part == "image" else "a sentence encoder"
        found = "a file" if kind is None else f"of model_type {kind!r}"
        raise CheckpointError(f"{source} is {found}, but {what} is needed, of {', '.join(wanted)}")
    config = config_of_folder(folder, kind)
    with told_of(folder):
        return config, state_of(folder, kind, config)


def _registered_config(registered: Registered) -> ClaverConfig:
    depth = max(1, registered.image.layers // 3)
    return ClaverConfig(
        registered.image,
        temporal=TemporalConfig(layers=depth),
        activation="gelu",
        preprocess=registered.preprocess,
    )


def _registered_state(weights: object, *, plain: bool) -> State:
    """What a registered tower gives as its weights, under our names."""
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ClaverError("weights of a registered tower must be a dictionary of tensors")
    prefix = "image.body." if plain else "image."
    named = {key if key.startswith("readout.") else f"{prefix}{key}": value for key, value in weights.items()}
    require_sound({key: value for key, value in named.items() if value.is_floating_point()})
    return named
