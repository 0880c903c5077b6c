"""The one transformer block of all three towers: CLIP's pre-norm block."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from claver.models.config import Activation
from claver.models.linear import Linear, activate_linear, add_linear, fuses, is_plain, linear

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Attention on q [..., M, H, d], k and v [..., L, H, d]; returns [..., M, H, d]. The tower decides who sees whom."""
Select = Callable[[Tensor], Tensor]
"""Picks the tokens whose output is wanted, [..., L, D] to [..., M, D]."""
Run = Callable[[nn.Module, Tensor, Attend, Select | None], Tensor]
"""Runs a block of a tower on its tokens; whoever passes another than `run_block` sees every block at work."""


_QUICK = 1.702


def quick_gelu(x: Tensor) -> Tensor:
    """x·σ(1.702 x), as SiLU with its argument scaled: less memory to walk over than the product written out."""
    scaled = _QUICK * x
    return F.silu(scaled, inplace=not scaled.requires_grad).div_(_QUICK)


_ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "quick_gelu": quick_gelu,
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
}


_FUSED: dict[Activation, tuple[float, str, str]] = {
    "quick_gelu": (_QUICK, "swish", ""),
    "gelu": (1.0, "gelu", "none"),
    "gelu_tanh": (1.0, "gelu", "tanh"),
}
"""The factor of the argument, and what oneDNN calls the activation and the way to compute it."""


class Block(nn.Module):
    """`x + attention(norm1(x))`, then `x + mlp(norm2(x))`.

    Shapes carry any leading axes: the image tower has [B·T, N, D], the temporal tower [B, T, N, D], the text tower
    [C, L, D].
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        activation: Activation = "quick_gelu",
        eps: float = 1e-5,
        mlp: int | None = None,  # hidden width; 4 · width if None
    ) -> None:
        super().__init__()
        mlp = mlp or 4 * width
        self.heads = heads
        self.activation = _ACTIVATIONS[activation]
        self._fused = _FUSED.get(activation)
        self.norm1 = nn.LayerNorm(width, eps)
        self.qkv = Linear(width, 3 * width)
        self.out = Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps)
        self.up = Linear(width, mlp)
        self.down = Linear(mlp, width)

    def forward(self, x: Tensor, attend: Attend, select: Select | None = None) -> Tensor:
        """Run the block.

        Args:
            x: tokens [..., L, D].
            attend: attention, see `Attend`.
            select: if given, only these tokens are computed; keys and values still come from all.

        Returns:
            [..., L, D], or [..., M, D] with `select`.
        """
        normed = self.norm1(x)
        if select is None:
            q, k, v = self.qkv(normed).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        else:
            x = select(x)
            q, k, v = self._selected_qkv(normed, select)
        x = add_linear(self.out, attend(q, k, v).flatten(-2), x)
        if self._fused is not None and fuses(x, self.norm2.weight) and self._has_plain_mlp():
            return self._fused_mlp(x, *self._fused)
        return x + self.down(self.activation(self.up(self.norm2(x))))

    def _has_plain_mlp(self) -> bool:
        return is_plain(self.norm2, nn.LayerNorm) and is_plain(self.up, Linear) and is_plain(self.down, Linear)

    def _fused_mlp(self, x: Tensor, scale: float, activation: str, algorithm: str) -> Tensor:
        """The same with the activation part of the product.

        QuickGELU is SiLU of `scale` times its argument, divided by it: the factor goes into the affine part of the
        norm, which is kept in single precision, and the division into the sum with the residual.
        """
        norm, up, down = self.norm2, self.up, self.down
        affine = (norm.weight.float() * scale, norm.bias.float() * scale)
        normed = F.layer_norm(x, norm.normalized_shape, *affine, norm.eps)
        hidden = activate_linear(normed, up.weight, up.bias * scale, activation, algorithm)
        if scale == 1:
            return add_linear(down, hidden, x)
        return torch.add(x, activate_linear(hidden, down.weight, down.bias * scale), alpha=1 / scale)

    def _selected_qkv(self, normed: Tensor, select: Select) -> tuple[Tensor, Tensor, Tensor]:
        if type(self.qkv) is not Linear:  # an adapter is beside it: no matrix to take rows of
            q, k, v = self.qkv(normed).chunk(3, -1)
            return self._by_head(select(q)), self._by_head(k), self._by_head(v)
        width = normed.shape[-1]
        q = linear(select(normed), self.qkv.weight[:width], self.qkv.bias[:width]).unflatten(-1, (self.heads, -1))
        kv = linear(normed, self.qkv.weight[width:], self.qkv.bias[width:])
        k, v = kv.unflatten(-1, (2, self.heads, -1)).unbind(-3)
        return q, k, v

    def _by_head(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1))


def run_block(block: nn.Module, x: Tensor, attend: Attend, select: Select | None = None) -> Tensor:
    """The block's own forward: how towers run their blocks unless they are told otherwise."""
    return block(x, attend, select)


@torch.no_grad()
def initialize_blocks(blocks: nn.ModuleList, *, zero_outputs: bool = False) -> None:
    """CLIP's initialisation of a tower's blocks.

    With `zero_outputs` both residual branches start at zero, and every block as the identity.
    """
    for block in blocks:
        assert isinstance(block, Block)
        width = block.out.in_features
        inner, branch = width**-0.5, width**-0.5 * (2 * len(blocks)) ** -0.5
        stds = {block.qkv: inner, block.out: branch, block.up: (2 * width) ** -0.5, block.down: branch}
        if zero_outputs:
            stds |= {block.out: 0.0, block.down: 0.0}
        for layer, std in stds.items():
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)
        for norm in (block.norm1, block.norm2):
            nn.init.ones_(norm.weight)
            nn.init.zeros_(norm.bias)
