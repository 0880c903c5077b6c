"""Weights of a `transformers` folder, read by our own readers and given to that library.

It knows every name that they ever had.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from re import fullmatch
from typing import Any

import torch
from torch import Tensor

from claver.errors import CheckpointError
from claver.models.checkpoint.weights import require_sound
from claver.models.library import made_config, made_model, model_class, quiet
from claver.models.shapes import without_values

_SPARE = 2
"""How many times as large as its weights a model may be: a buffer or a head may be left out of them, a tower not."""


def library_model(
    name: str, settings: Mapping[str, Any], state: Mapping[str, Tensor], options: Mapping[str, Any], unread: str
) -> Any:
    """A model of transformers with weights in float32; nothing is allocated that these could not fill.

    Args:
        name: of its class.
        settings: of its config.
        state: its weights, under any name that they have had.
        options: of its class.
        unread: a pattern for the names of weights that it may lack, or have too much.

    Raises:
        ClaverError: settings that make no model.
        CheckpointError: weights that are damaged, or of other names or shapes than it needs.
    """
    config = made_config(name, settings)
    require_sound({key: value for key, value in state.items() if not fullmatch(unread, key)})
    _require_room(without_values(lambda: made_model(name, config, options)), state)
    try:
        with quiet():
            model, info = model_class(name).from_pretrained(
                None,
                config=config,
                state_dict=dict(state),
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # which are told below, by name and shape
                **options,
            )
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"its weights do not fit its config: {' '.join(str(error).split())[:300]}") from error
    for key, theirs, ours in sorted(info["mismatched_keys"]):
        told = f"{key!r} has shape {tuple(theirs)}, but this model needs {tuple(ours)}"
        raise CheckpointError(f"its weights do not fit its config: {told}")
    for what, names in (("lacks", info["missing_keys"]), ("has no place for", info["unexpected_keys"])):
        if odd := sorted(key for key in names if not fullmatch(unread, key)):
            raise CheckpointError(f"the model {what} {len(odd)} parameters, first {odd[0]!r}")
    return model


def _require_room(model: Any, state: Mapping[str, Tensor]) -> None:
    """Refuse a config of a far larger model than the weights are of: the library would fill it with random numbers."""
    needed = sum(value.numel() for value in chain(model.parameters(), model.buffers()))
    held = sum(value.numel() for value in state.values())
    if needed > _SPARE * held:
        told = f"it describes a model of {needed:,} numbers, but they hold {held:,}"
        raise CheckpointError(f"its weights do not fit its config: {told}")
