"""LoRA on the image and text towers, by peft: small matrices beside the linear layers learn in their stead."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from claver.errors import ClaverError
from claver.models import Claver
from claver.models.checkpoint.loading import empty
from claver.models.linear import Linear
from claver.training.recipe import Lora

_ADAPTER = "default"  # peft's own name for the only one


def add_lora(model: Claver, settings: Lora) -> None:
    """Put adapters beside every linear layer of the blocks of some towers; they start as nothing.

    Of such a tower the adapters alone learn.

    Raises:
        ClaverError: peft is not installed.
    """
    if find_spec("peft") is None:
        raise ClaverError("LoRA needs peft; pip install 'claver[train]'")
    from peft import LoraConfig, inject_adapter_in_model

    learns = {name: p.requires_grad for name, p in model.named_parameters()}
    config = LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, target_modules=_linears(model, settings.parts), lora_dropout=0.0
    )
    inject_adapter_in_model(config, model, _ADAPTER)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.requires_grad_(True)
        else:  # peft froze everything else
            own = name.split(".")[0] in settings.parts
            parameter.requires_grad_(learns[_plain_name(name)] and not own)


def _linears(model: Claver, parts: Sequence[str]) -> list[str]:
    """Names of the linear layers inside the blocks of some towers: those of numbered modules, in whoever's tower."""
    found = [
        name
        for name, module in model.named_modules()
        if type(module) in (nn.Linear, Linear)
        and name.split(".")[0] in parts
        and any(map(str.isdigit, name.split(".")))
    ]
    if not found:
        raise ClaverError(f"LoRA finds no linear layers in the blocks of {' and '.join(parts)}")
    return found


def plain_state(model: Claver) -> dict[str, Tensor]:
    """The model's state with any adapters merged into the layers beside them, under the names of a model without."""
    state = {_plain_name(key): value for key, value in model.state_dict().items() if "lora_" not in key}
    for name, layer in _adapted(model):
        key = f"{name}.weight"
        state[key] = state[key] + layer.get_delta_weight(_ADAPTER).to(state[key].dtype)
    return state


def plain_model(model: Claver) -> Claver:
    """A model without adapters that computes the same, sharing the memory of all weights that are no sum."""
    plain = empty(Claver, model.config)
    plain.tokenizer, plain.learned = model.tokenizer, model.learned
    plain.load_state_dict({key: value.detach() for key, value in plain_state(model).items()}, assign=True)
    return plain.eval()


@torch.no_grad()
def merge_lora(model: Claver) -> None:
    """Merge the adapters into the layers and take them away, in place."""
    for name, layer in _adapted(model):
        layer.merge()
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, layer.get_base_layer())


def has_lora(model: Claver) -> bool:
    """Whether there are adapters."""
    return bool(_adapted(model))


def _adapted(model: Claver) -> list[tuple[str, Any]]:
    return [(name, module) for name, module in model.named_modules() if hasattr(module, "get_delta_weight")]


def _plain_name(name: str) -> str:
    return name.replace(".base_layer.", ".")
