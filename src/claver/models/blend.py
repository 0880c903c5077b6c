"""Between the model one started from and the one that was trained: often better on new classes than either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from claver.errors import ClaverError
from claver.models.checkpoint.loading import Weights
from claver.models.claver import Claver
from claver.models.config import ClaverConfig
from claver.models.library import VERSION


@torch.no_grad()
def blend(start: Mapping[str, Tensor], trained: Claver, weight: float) -> Claver:
    """`(1 − weight) · start + weight · trained` for the weights both have.

    Args:
        start: weights (`load_weights`) such as those of the CLIP that training began with; those of a temporal tower,
            if any, play no part. Where they come with a config, it must compute as the trained model's does.
        trained: gives the temporal tower, the settings, the tokenizer and the actions.
        weight: from 0, image and text tower of `start`, to 1, `trained` itself; both ends are exact.

    Raises:
        ClaverError: models of different shapes or settings, or a weight outside [0, 1].
    """
    if not 0 <= weight <= 1:
        raise ClaverError(f"a blend's weight is between 0 and 1, not {weight:g}")
    if isinstance(start, Weights):
        _check_alike(start.config, trained.config)
    first, second = start, trained.state_dict()
    shared = [key for key in second if not key.startswith("temporal.")]
    for key in shared:
        if key not in first or first[key].shape != second[key].shape:
            theirs = tuple(first[key].shape) if key in first else "no such weight"
            raise ClaverError(
                f"the models cannot be blended: {key} is {theirs} in one, {tuple(second[key].shape)} in the other"
            )
    if extra := [key for key in first if key not in second and not key.startswith("temporal.")]:
        raise ClaverError(f"the models cannot be blended: only one has {extra[0]}")
    blended = {key: _between(first[key].to(second[key]), second[key], weight) for key in shared}
    made = Claver(trained.config, trained.tokenizer).to(device=trained.device, dtype=trained.dtype)
    for name in ("logit_scale", "logit_bias"):  # they stay exact, whatever the rest computes in
        if name in blended:
            made.get_parameter(name).data = blended[name].clone()
    made.load_state_dict(second | blended)
    made.learned = trained.learned
    if weight == 0 and isinstance(start, Weights):
        made.config = replace(made.config, untrained=start.config.untrained)
    return made.eval()


def _between(first: Tensor, second: Tensor, weight: float) -> Tensor:
    """What counts, such as the batches that a batch norm has seen, has nothing between: the nearer, at 0.5 the second.

    What is alike in both stays so, as the infinities of a mask do.
    """
    if weight in (0, 1) or not (first.is_floating_point() or first.is_complex()):
        return first if weight < 0.5 else second
    return torch.where(first == second, second, torch.lerp(first, second, weight))


def _check_alike(start: ClaverConfig, trained: ClaverConfig) -> None:
    """Weights mean something only with what computes with them: none but the temporal tower's may be another.

    Which part of a picture is looked at is the user's choice, and no matter of weights.
    """
    first, second = start.to_dict(), trained.to_dict()
    for config in (first, second):
        config["preprocess"] = {key: config["preprocess"].get(key) for key in ("size", "mean", "std", "interpolation")}
        for part in ("image", "text"):
            config[part].get("settings", {}).pop(VERSION, None)
    for part in ("image", "text", "preprocess", "activation", "norm_eps"):
        ours, theirs = first[part], second[part]
        if ours != theirs and isinstance(ours, dict):
            key = next(key for key in sorted(ours | theirs) if ours.get(key) != theirs.get(key))
            part, ours, theirs = f"{part}.{key}", ours.get(key), theirs.get(key)
        if ours != theirs:
            raise ClaverError(f"the models cannot be blended: {part} is {ours} in one, {theirs} in the other")
