"""What learns, and how fast: parameter groups, their table, and the learning rate as a function of the step."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from rich.table import Table
from torch import nn

from claver.errors import ClaverError
from claver.suggest import hint_or_some
from claver.training.recipe import Recipe

_TABLES = re.compile(r"(^|\.)(embedding|position|probe|\w+_tokens?|(token|word|position|token_type)_embeddings?)(\.|$)")
"""Parameters that are vectors to look up, or single ones, under the names that we and other libraries have for them."""


@dataclass(frozen=True)
class Group:
    """Parameters that learn alike; `lr` 0 marks frozen ones.

    Attributes:
        part: the part of the model they belong to.
        names: their names in the model, in its order.
        count: numbers in them.
        lr: learning rate at the top of the schedule.
        weight_decay: AdamW's.
    """

    part: str
    names: tuple[str, ...]
    count: int
    lr: float
    weight_decay: float


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay belongs on a parameter: on matrices, not on biases, norms, embeddings or the scale."""
    return parameter.ndim >= 2 and not _TABLES.search(name)


def freeze(model: nn.Module, parts: tuple[str, ...]) -> None:
    """Set `requires_grad` of every parameter: off where its name begins with one of `parts`, on elsewhere.

    Raises:
        ClaverError: a part that the model does not have.
    """
    names = [name for name, _ in model.named_parameters()]
    for part in parts:
        if not any(_belongs(name, part) for name in names):
            known = sorted({name[: name.find(".")] if "." in name else name for name in names})
            near = hint_or_some(part, known, len(known))
            raise ClaverError(f"freeze names {part!r}, which the model does not have{near}")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not any(_belongs(name, part) for part in parts))


def to_training(model: nn.Module) -> None:
    """Training mode for what learns: a tower that does not must give what it gives, without the dropout of some."""
    model.train()
    for tower in model.children():
        if not any(parameter.requires_grad for parameter in tower.parameters()):
            tower.eval()


def parameter_groups(model: nn.Module, recipe: Recipe) -> list[Group]:
    """All parameters of a model in groups, frozen ones too: by part, and there by whether they decay."""
    found: dict[tuple[str, bool, bool], list[tuple[str, nn.Parameter]]] = {}
    for name, parameter in model.named_parameters():
        key = (name.split(".")[0], parameter.requires_grad, parameter.requires_grad and decays(name, parameter))
        found.setdefault(key, []).append((name, parameter))
    groups = []
    for (part, learns, decay), members in found.items():
        lr = recipe.lr * (recipe.temporal_lr_factor if part == "temporal" else 1)
        names, count = tuple(name for name, _ in members), sum(parameter.numel() for _, parameter in members)
        groups.append(Group(part, names, count, lr if learns else 0.0, recipe.weight_decay if decay else 0.0))
    return groups


def extra_groups(parameters: Mapping[str, nn.Parameter], recipe: Recipe) -> list[Group]:
    """The matrices that learn beside the model, if any: as new as the temporal tower, at its rate."""
    count, lr = sum(parameter.numel() for parameter in parameters.values()), recipe.lr * recipe.temporal_lr_factor
    part = "distill (not in the model)"
    return [Group(part, tuple(parameters), count, lr, recipe.weight_decay)] if parameters else []


def make_optimizer(parameters: Mapping[str, nn.Parameter], groups: list[Group], recipe: Recipe) -> torch.optim.AdamW:
    """AdamW over the groups that learn.

    Args:
        parameters: by the names that the groups have.
        groups: of them.
        recipe: its betas are used.

    Raises:
        ClaverError: everything is frozen.
    """
    settings = [
        {"params": [parameters[name] for name in group.names], "lr": group.lr, "weight_decay": group.weight_decay}
        for group in groups
        if group.lr
    ]
    if not settings:
        raise ClaverError("nothing is left to learn: freeze names every part of the model")
    return torch.optim.AdamW(settings, betas=recipe.betas, fused=True)


def groups_table(groups: list[Group], *, title: str = "What learns") -> Table:
    """What learns, how much of it, and at which rate."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=None, padding=(0, 2))
    table.add_column("part")
    for column in ("tensors", "parameters", "learning rate", "weight decay"):
        table.add_column(column, justify="right")
    for group in groups:
        rate = f"{group.lr:.2g}" if group.lr else "[dim]frozen[/]"
        decay = f"{group.weight_decay:g}" if group.lr else ""
        table.add_row(group.part, str(len(group.names)), f"{group.count:,}", rate, decay)
    return table


def rate_at(step: int, *, total: int, warmup: int, floor: float) -> float:
    """The learning rate of step 0 … total − 1 as a share of the top rate.

    Linear from 1/warmup to 1 over the first `warmup` steps, then half a cosine that reaches `floor` at the last step.
    """
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, total - 1 - warmup)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def _belongs(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")
