"""The processes of `torchrun` or `accelerate launch`: rank, world size, and exchange of Python objects.

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
    """Rank and world size; (0, 1) for a single process."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def from_everyone(value: T) -> list[T]:
    """Gather a picklable value of every process, by rank (`all_gather_object`); every process must call this."""
    _, size = rank_and_size()
    if size == 1:
        return [value]
    values = [value] * size
    distributed.all_gather_object(values, value)
    return values


def merged(own: Mapping[str, T]) -> dict[str, T]:
    """Merge the mappings of all processes, of which each holds a part."""
    return {name: value for part in from_everyone(dict(own)) for name, value in part.items()}


def wait_for_all() -> None:
    """Barrier: return when all processes have called this."""
    if rank_and_size()[1] > 1:
        distributed.barrier()


def join() -> torch.device:
    """Initialise the process group for training, if a launcher started this process; returns its device."""
    from accelerate import PartialState

    device: torch.device = PartialState(cpu=on_cpu()).device
    return device


def join_for_objects() -> int:
    """Initialise a process group for Python objects alone and choose this process's GPU; returns its rank."""
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    distributed.init_process_group("gloo")
    return distributed.get_rank()


def on_cpu() -> bool:
    """Whether several processes share a machine without GPU: Accelerate must be told, else each thinks it is alone."""
    return started_together() and not torch.cuda.is_available()


def leave() -> None:
    """Destroy the process group, at the end of a command."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
