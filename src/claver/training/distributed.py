"""Several processes as one: each has its share of a step's samples and texts, and gradients are summed over all.

In a single process everything here does nothing. Each
process weighs the loss of its samples by their share of the step's, so that the *sum* of the gradients is the gradient
of the whole step, however the samples are dealt out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn

from claver.distributed import from_everyone, rank_and_size
from claver.errors import ClaverError
from claver.models import Claver
from claver.training.sampling import Rows

_BUCKET = 2**24  # numbers exchanged at once: large enough to be fast, small enough to be no second copy of the model


def share_of(rows: Rows) -> Rows:
    """This process's part of a step's samples: consecutive, and joined in the order of the processes the whole."""
    rank, size = rank_and_size()
    return np.array_split(rows, size)[rank]


def check_enough(samples: int, batch_size: int, accumulation: int) -> None:
    """See to it that every process has something to do in every part of a step.

    Raises:
        ClaverError: fewer samples than processes, or a batch that cannot be dealt out to them.
    """
    _, size = rank_and_size()
    if samples < size:
        raise ClaverError(f"the training set has {samples} samples for {size} processes; start no more than {samples}")
    if batch_size < size * accumulation:
        parts = f" in {accumulation} parts" if accumulation > 1 else ""
        raise ClaverError(f"batch_size {batch_size}{parts} is too small for {size} processes; each needs a sample")


def encode_text_shared(model: Claver, tokens_KCL: Tensor) -> Tensor:
    """Text embeddings [K, C, E], of which each process encodes its share; gradients reach whoever encoded a text.

    Args:
        model: the same in all processes.
        tokens_KCL: token ids, the same in all processes; all call this equally often and in the same order.
    """
    rank, size = rank_and_size()
    if size == 1:
        return model.encode_text(tokens_KCL)
    texts = tokens_KCL.flatten(0, 1)
    each = -(-len(texts) // size)
    # Every process takes as many; where they do not come out even, the last ones begin again and are not used.
    mine = (rank + torch.arange(each, device=texts.device) * size) % len(texts)
    gathered_PUE = gather_with_gradients(model.encode_text(texts[mine]))
    return gathered_PUE.transpose(0, 1).flatten(0, 1)[: len(texts)].unflatten(0, tokens_KCL.shape[:2])


def gather_with_gradients(mine: Tensor) -> Tensor:
    """Equally shaped tensors of all processes, stacked in their order: [...] to [P, ...].

    The gradient of each is that of the sum of the losses of all processes.
    """
    gathered: Tensor = _Gather.apply(mine)  # type: ignore[no-untyped-call]
    return gathered


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mine: Tensor) -> Tensor:
        everyone = [torch.empty_like(mine) for _ in range(rank_and_size()[1])]
        distributed.all_gather(everyone, mine.contiguous())
        return torch.stack(everyone)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (given,) = gradients
        total = given.to(torch.float32, copy=True).contiguous()
        distributed.all_reduce(total)
        return total[rank_and_size()[0]].to(given.dtype)


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace the gradients by their sums over all processes; done once per step, after its last part."""
    if rank_and_size()[1] == 1:
        return
    under_way = []
    for bucket in _buckets([p.grad for p in parameters if p.grad is not None]):
        flat = torch.cat([gradient.flatten() for gradient in bucket])
        under_way.append((distributed.all_reduce(flat, async_op=True), flat, bucket))
    for work, flat, bucket in under_way:
        work.wait()
        for gradient, total in zip(bucket, flat.split([g.numel() for g in bucket]), strict=True):
            gradient.copy_(total.view_as(gradient))


def _buckets(gradients: list[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    for gradient in gradients:
        if bucket and (sum(g.numel() for g in bucket) >= _BUCKET or bucket[0].dtype != gradient.dtype):
            yield bucket
            bucket = []
        bucket.append(gradient)
    if bucket:
        yield bucket


def sum_over_processes(value: float, device: torch.device) -> float:
    """The sum of a number over all processes; the number itself, untouched, in a single one."""
    if rank_and_size()[1] == 1:
        return value
    total = torch.tensor(value, dtype=torch.float32, device=device)
    distributed.all_reduce(total)
    return total.item()


def largest(value: int, device: torch.device) -> int:
    """The largest of the numbers of all processes; the number itself in a single one."""
    if rank_and_size()[1] == 1:
        return value
    found = torch.tensor(value, device=device)
    distributed.all_reduce(found, distributed.ReduceOp.MAX)
    return int(found.item())


def share_weights(model: nn.Module) -> None:
    """Give every process the first one's weights; what each has made for itself may differ in the last bit."""
    if rank_and_size()[1] > 1:
        for tensor in model.state_dict().values():
            distributed.broadcast(tensor.detach(), 0)


def check_same_start(step: int) -> None:
    """See to it that all processes begin at one step.

    Raises:
        ClaverError: some found another checkpoint, or none.
    """
    if set(from_everyone(step)) != {step}:
        raise ClaverError("the processes do not see the same checkpoint: their output folder must be on a shared disk")
