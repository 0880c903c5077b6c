"""Linear layers which oneDNN computes on a CPU, in single precision twice as fast as MKL on the AMD processor measured.

PyTorch gives products in single precision to MKL. On one core of an AMD EPYC with AVX-512 that makes 102 GFLOP/s, and
oneDNN 215; on a processor of Intel's the two were not compared. oneDNN also adds bias, activation and residual while
the product is in registers, instead of in passes of their own through memory.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

_GLOBAL_HOOKS = (torch.nn.modules.module._global_forward_hooks, torch.nn.modules.module._global_forward_pre_hooks)


class Linear(nn.Linear):
    """`nn.Linear` with the same parameters and, up to the order of sums, the same output and gradients."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """As `torch.nn.functional.linear`: [..., in] by [out, in], and a bias [out] or None."""
    if not runs_on_onednn(x, weight):
        return nn.functional.linear(x, weight, bias)
    out: Tensor = _Product.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return out


def add_linear(layer: nn.Module, x: Tensor, residual: Tensor) -> Tensor:
    """The residual and what a layer makes of x; a layer that oneDNN computes adds it itself."""
    if isinstance(layer, Linear) and is_plain(layer, Linear) and fuses(x, layer.weight) and residual.dtype == x.dtype:
        weight = _without_gaps(layer.weight)
        out: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, residual, weight, layer.bias, "add")
        return out
    return residual + layer(x)


def activate_linear(
    x: Tensor, weight: Tensor, bias: Tensor | None, activation: str = "none", algorithm: str = ""
) -> Tensor:
    """A linear layer and an activation that oneDNN knows, in one pass; only where it runs on oneDNN.

    Args:
        x: [..., in].
        weight: [out, in].
        bias: [out], or None.
        activation: `none`, `swish` (SiLU) or `gelu`.
        algorithm: of `gelu`: `none`, which is exact, or `tanh`.
    """
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, _without_gaps(weight), bias, activation, [], algorithm)
    return out


def fuses(x: Tensor, weight: Tensor) -> bool:
    """Whether a product may be computed with what comes after it, of which oneDNN knows no derivative."""
    return not torch.is_grad_enabled() and runs_on_onednn(x, weight)


def is_plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether a module is of this very kind and only that: nobody looks on, or has put something else in its place."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, *_GLOBAL_HOOKS)
    return type(module) is kind and "forward" not in vars(module) and not any(hooks)


def runs_on_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN computes products of these.

    Compilers, exporters, autocast, transforms such as `vmap` and tensors of other kinds get PyTorch's own operators.
    """
    return (
        x.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and torch._C._get_tracing_state() is None
        and not torch._C._are_functorch_transforms_active()
        and not torch.is_autocast_enabled("cpu")
        and x.numel() > 0
        and type(weight) in (Tensor, nn.Parameter)
        and x.dtype == weight.dtype
        and x.dtype in _types()
    )


def has_onednn(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether oneDNN computes products of a type on a device."""
    return device.type == "cpu" and dtype in _types()


def _without_gaps(weight: Tensor) -> Tensor:
    """A weight whose rows or columns lie side by side; a copy where they do not.

    For one with gaps between them, such as the summaries among the tokens of a clip, oneDNN has no kernel of its own
    and takes one that is a thousand times as slow. What the weight is multiplied with may have gaps.
    """
    return weight if weight.is_contiguous() or weight.t().is_contiguous() else weight.contiguous()


@cache
def _types() -> tuple[torch.dtype, ...]:
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return ()
    half = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return (torch.float32, torch.bfloat16) if half else (torch.float32,)


class _Product(torch.autograd.Function):
    """Its derivatives are products too, and PyTorch knows none of the operator's."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return activate_linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wanted, rows = ctx.needs_input_grad, grad.reshape(-1, grad.shape[-1])
        grad_x = linear(grad, weight.t(), None) if wanted[0] else None
        grad_weight = linear(rows.t(), x.reshape(-1, x.shape[-1]).t(), None) if wanted[1] else None
        return grad_x, grad_weight, rows.sum(0) if wanted[2] else None
