"""Layers of `transformers` run as if they were blocks of ours, so that whoever looks at blocks can look at them too.

A hosted layer computes by its library's own code. Only while a tower is run by another `run` than `run_block` are its
layers handed to that, and its attention to whatever that wants to be asked (see `claver.models.block`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from torch import Tensor, nn

from claver.errors import ClaverError
from claver.models.block import Attend, Run, Select, run_block

ATTENTION = "claver"
"""Our name among the attention implementations of transformers: its own `sdpa`, which can be listened to."""
_run: ContextVar[Run] = ContextVar("run", default=run_block)
_attend: ContextVar[Attend | None] = ContextVar("attend", default=None)
_library: ContextVar[Attend] = ContextVar("library")


class HostedLayer(nn.Module):
    """A layer of transformers of which `host` has made one of ours; of a class that has this one and its own."""

    own: type[nn.Module]

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Copied and pickled by its own class: the one that it has now is made, and found nowhere."""
        return _restored, (self.own,), self.__dict__


def _restored(kind: Any) -> nn.Module:
    return nn.Module.__new__(_hosted(kind))


def host(layers: nn.ModuleList) -> None:
    """Make blocks of ours of some layers, in place; their weights keep their names."""
    for layer in layers:
        kind: Any = type(layer)
        layer.__class__ = _hosted(kind)


def use_attention(config: Any) -> None:
    """Have a model of a transformers config attend by the implementation that can be listened to."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(ATTENTION, _attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
    config._attn_implementation = ATTENTION


@contextmanager
def run_by(run: Run) -> Iterator[None]:
    """Within this context hosted layers are run by `run`."""
    token = _run.set(run)
    try:
        yield
    finally:
        _run.reset(token)


@cache
def _hosted(kind: Any) -> Any:
    def forward(self: nn.Module, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        run = _run.get()
        layer = partial(kind.forward, self)
        if run is run_block:
            return layer(x, *args, **kwargs)
        return run(_Call(layer, args, kwargs), x, _library_attention, None)  # type: ignore[arg-type]

    return type(kind.__name__, (HostedLayer, kind), {"forward": forward, "own": kind, "__module__": kind.__module__})


@dataclass(frozen=True)
class _Call:
    """A layer with all arguments but its tokens, to be called as a block is."""

    layer: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def __call__(self, x: Tensor, attend: Attend, select: Select | None = None) -> Tensor:
        token = _attend.set(attend)
        try:
            y = self.layer(x, *self.args, **self.kwargs)
        finally:
            _attend.reset(token)
        y = y[0] if isinstance(y, tuple) else y
        return y if select is None else select(y)


def _attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """Attention as transformers calls it: q, k and v [B, H, L, d] to [B, L, H, d]."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    def library(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        return sdpa_attention_forward(module, q, k, v, attention_mask, **kwargs)[0]

    attend = _attend.get()
    if attend is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    if kwargs.get("position_bias") is not None or abs((kwargs.get("scaling") or 0) - query.shape[-1] ** -0.5) > 1e-6:
        raise ClaverError(f"{type(module).__name__} weighs its keys in a way that cannot be explained")
    token = _library.set(library)
    try:
        return attend(*(x.transpose(1, 2) for x in (query, key, value))), None
    finally:
        _library.reset(token)


def _library_attention(q_BMHd: Tensor, k_BLHd: Tensor, v_BLHd: Tensor) -> Tensor:
    """The attention that the layer under way would have used, with its own mask."""
    return _library.get()(q_BMHd, k_BLHd, v_BLHd)
