"""The processes of `torchrun` or `accelerate launch`: who this one is, and what all know of each other.

In a single process everything here does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import distributed

T = TypeVar("T")


def started_together() -> bool:
    """Whether a launcher started this process with others, joined or not."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def rank_and_size() -> tuple[int, int]:
    """The number of this process and how many there are; (0, 1) for a single one."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def from_everyone(value: T) -> list[T]:
    """What each process gives, in their order; anything that pickles. All call this equally often."""
    _, size = rank_and_size()
    if size == 1:
        return [value]
    values = [value] * size
    distributed.all_gather_object(values, value)
    return values


def merged(own: Mapping[str, T]) -> dict[str, T]:
    """What all processes know by name, of which each knows a part."""
    return {name: value for part in from_everyone(dict(own)) for name, value in part.items()}


def wait_for_all() -> None:
    """Return when all processes have come here."""
    if rank_and_size()[1] > 1:
        distributed.barrier()


def join() -> torch.device:
    """Join the processes that a launcher started, if one did; returns the device of this one. They train together."""
    from accelerate import PartialState

    device: torch.device = PartialState(cpu=on_cpu()).device
    return device


def join_for_objects() -> int:
    """Join them to exchange Python objects alone, and choose this one's GPU; returns its number."""
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    distributed.init_process_group("gloo")
    return distributed.get_rank()


def on_cpu() -> bool:
    """Whether several processes share a machine without GPU: Accelerate must be told, else each thinks it is alone."""
    return started_together() and not torch.cuda.is_available()


def leave() -> None:
    """Part from the other processes, at the end of a command."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
