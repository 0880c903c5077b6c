"""Flash attention with its log-sum-exp, forwards and backwards, by whatever kernel a device has for it.

The derivative of such a kernel needs nothing of its own forward pass but the output and the log-sum-exp of each query.
Given those of attention over *more* keys, it gives the share of its own keys in that attention's gradients: this is how
attention over parts of the keys is joined, and taken apart again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional as F

_aten = torch.ops.aten


class FlashKernel(ABC):
    """Unmasked attention of queries [B, H, M, d] on keys and values [B, H, L, d], whose last stride is 1."""

    @abstractmethod
    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """The output [B, H, M, d], and each query's log-sum-exp of scores [B, H, M], in single precision at least."""

    @abstractmethod
    def backward(
        self, grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients w.r.t. q, k and v.

        Args:
            grad: w.r.t. `out`.
            q: queries.
            k: keys.
            v: values.
            out: the output, or that of attention over these keys and others.
            lse: the log-sum-exp, of the same keys as `out`.
        """


class CpuFlash(FlashKernel):
    """The CPU's, for any floating-point type."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """As of every kernel."""
        return _aten._scaled_dot_product_flash_attention_for_cpu(q, k, v)

    def backward(
        self, grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As of every kernel."""
        return _aten._scaled_dot_product_flash_attention_for_cpu_backward(grad, q, k, v, out, lse, 0.0, False)


class CudaFlash(FlashKernel):
    """FlashAttention on a CUDA card, for half precision and heads of a multiple of 8."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """As of every kernel."""
        out, lse, *_ = _aten._scaled_dot_product_flash_attention(q, k, v, 0.0, False, False)
        return out, lse

    def backward(
        self, grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As of every kernel. Nothing is dropped, so that the state of the random numbers plays no part."""
        unused = torch.zeros((), dtype=torch.uint64, device=q.device)
        lengths = q.shape[2], k.shape[2]
        # Cumulative lengths would say that rows are of unlike lengths. The log-sum-exp is read as if it had no gaps.
        return _aten._scaled_dot_product_flash_attention_backward(
            grad, q, k, v, out, lse.contiguous(), None, None, *lengths, 0.0, False, unused, unused
        )


class CudaEfficient(FlashKernel):
    """The memory-efficient kernel on a CUDA card: for single precision, and where FlashAttention does not go."""

    _ROWS = 32
    """Its log-sum-exp is filled up to a multiple of so many queries."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """As of every kernel."""
        out, lse, *_ = _aten._scaled_dot_product_efficient_attention(q, k, v, None, True)
        return out, lse[:, :, : q.shape[2]]

    def backward(
        self, grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As of every kernel."""
        filled = F.pad(lse, (0, -lse.shape[2] % self._ROWS), value=float("inf")).contiguous()
        unused = torch.zeros((), dtype=torch.int64, device=q.device)
        wanted = [True, True, True, False]
        *made, _ = _aten._scaled_dot_product_efficient_attention_backward(
            grad, q, k, v, None, out, filled, unused, unused, 0.0, wanted
        )
        return made[0], made[1], made[2]


def flash_kernel(q: Tensor) -> FlashKernel | None:
    """The kernel for queries, keys and values like these; None where there is none that tells its log-sum-exp."""
    if q.device.type == "cpu":
        return CpuFlash() if q.is_floating_point() else None
    if not q.is_cuda or torch.version.hip is not None:
        return None
    half = q.dtype in (torch.float16, torch.bfloat16)
    if half and q.shape[-1] % 8 == 0 and q.shape[-1] <= 256 and torch.cuda.get_device_capability(q.device) >= (8, 0):
        return CudaFlash()
    return CudaEfficient() if (half or q.dtype == torch.float32) and q.shape[-1] % 8 == 0 else None
