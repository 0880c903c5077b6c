"""The rank of attention (Appendix A): what a head can express once a clip has more tokens than the head is wide.

For S = T·N tokens and heads of width d, the scores QKᵀ have rank d at most. Softmax lifts that, yet for S > d not every
matrix of weights can be reached (Theorem 1), and of those that are, joint attention's and KMTA's need not be of full
rank (A.1, A.3). KMCTA's always are (A.2): they are lower triangular with a positive diagonal (Eq. 29), and their
determinant, the product of the diagonal, is not zero.

That is a statement about exact numbers. *Numerical* rank counts the singular values above a tolerance, here relative to
the largest one, and by that count the order can turn round. Generic joint and KMTA weights have full rank too, A.1 and
A.3 only say that they need not. KMCTA's diagonal is positive, but each entry is a share of a softmax over up to S keys,
and a triangular matrix with a small diagonal is ill-conditioned: on 16 frames of 17 random tokens under random weights
joint attention counts 272 of 272 at tolerance 1e-9, KMCTA some 260, although its determinant is not zero. `Ranks`
therefore keeps all singular values, to be counted at any tolerance, and the least weight on itself, which bounds the
determinant.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from claver.errors import ClaverError
from claver.models import ClaverConfig, ImageConfig, TemporalConfig
from claver.models.block import Attend, Block, Select
from claver.models.config import Temporal
from claver.models.temporal import TemporalTower


@dataclass(frozen=True, eq=False)
class Ranks:
    """Singular values of the attention of every layer and head, on B clips; all float64, on the CPU, largest first.

    Attributes:
        frames: T.
        tokens: N.
        head_width: d.
        score_values: of QKᵀ/√d before mask and softmax [layers, heads, B, min(S, d)]; the other S − d are zero.
        weight_values: of the masked softmax [layers, heads, B, S].
        least_own: the least weight of a token on itself [layers, heads, B]; for KMCTA, above zero means full rank.
    """

    frames: int
    tokens: int
    head_width: int
    score_values: Tensor
    weight_values: Tensor
    least_own: Tensor

    @property
    def total(self) -> int:
        """S, the full rank."""
        return self.frames * self.tokens

    def scores(self, tolerance: float | None = None) -> Tensor:
        """Rank of the scores, int64 [layers, heads, B]; never above the head width."""
        return numerical_rank(self.score_values, self._rounding if tolerance is None else tolerance)

    def weights(self, tolerance: float | None = None) -> Tensor:
        """Rank of the attention weights, int64 [layers, heads, B].

        Args:
            tolerance: relative to the largest singular value; if None what rounding alone can feign, S·2⁻⁵², as
                `torch.linalg.matrix_rank` has it.
        """
        return numerical_rank(self.weight_values, self._rounding if tolerance is None else tolerance)

    def full(self, tolerance: float | None = None) -> float:
        """Share of the matrices of attention weights that have full rank."""
        return float((self.weights(tolerance) == self.total).double().mean())

    @property
    def _rounding(self) -> float:
        return self.total * torch.finfo(torch.float64).eps


def numerical_rank(values: Tensor, tolerance: float) -> Tensor:
    """How many singular values [..., n] exceed `tolerance` times the largest of their matrix, int64 [...]."""
    return (values > tolerance * values.amax(-1, keepdim=True)).sum(-1)


@torch.no_grad()
def attention_ranks(tower: TemporalTower, tokens_BTND: Tensor) -> Ranks:
    """Ranks of a temporal tower's attention on given tokens.

    All S tokens are followed through every block, the last one as well, of which the model itself needs the class
    tokens alone. The tower is copied to float64. One S×S matrix is there at a time; each costs some S³ operations.

    Args:
        tower: of any kind that has attention.
        tokens_BTND: raw tokens of the image tower.

    Raises:
        ClaverError: mean pooling, which has no attention.
    """
    if tower.mask is None:
        raise ClaverError(f"a temporal tower of kind {tower.kind!r} has no attention whose rank could be measured")
    frames, tokens = tokens_BTND.shape[1:3]
    visible = tower.mask.matrix(frames, tokens, tokens_BTND.device)
    found: list[tuple[Tensor, Tensor, Tensor]] = []

    def run(block: nn.Module, x: Tensor, attend: Attend, select: Select | None) -> Tensor:
        def looked(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            found.append(_of_layer(q, k, visible))
            return attend(q, k, v)

        return block(x, looked, select)

    deepcopy(tower).double()(tokens_BTND.double(), read="tokens", run=run)
    scores, weights, own = (torch.stack(parts) for parts in zip(*found, strict=True))
    first = tower.blocks[0]
    assert isinstance(first, Block)
    return Ranks(frames, tokens, tokens_BTND.shape[-1] // first.heads, scores, weights, own)


def ranks_by_length(tower: TemporalTower, tokens_BTND: Tensor, lengths: Sequence[int]) -> list[Ranks]:
    """Ranks on the first 1, 2, … frames of the same clips: what happens as T·N passes the head width.

    The temporal embedding is that of the tower's first frames, so that nothing but the number of tokens changes.

    Raises:
        ClaverError: as `attention_ranks`, or more frames than there are.
    """
    most = min(tokens_BTND.shape[1], len(tower.embedding) if tower.mask is not None else tokens_BTND.shape[1])
    if wrong := [length for length in lengths if not 1 <= length <= most]:
        raise ClaverError(f"lengths are from 1 to the {most} frames of clips and tower, not {wrong[0]}")
    return [attention_ranks(shortened(tower, length), tokens_BTND[:, :length]) for length in lengths]


def shortened(tower: TemporalTower, frames: int) -> TemporalTower:
    """A copy of a tower with the temporal embedding of its first frames alone."""
    copy = deepcopy(tower)
    if copy.mask is not None:
        copy.embedding = nn.Parameter(copy.embedding.detach()[:frames].clone())
    return copy


def random_tower(
    kind: Temporal, *, width: int = 128, heads: int = 2, layers: int = 2, frames: int = 8, seed: int = 0
) -> TemporalTower:
    """A temporal tower with the paper's random weights; the same for every kind, given the same seed and sizes."""
    config = ClaverConfig(
        image=ImageConfig(width=width, heads=heads, layers=layers), temporal=TemporalConfig(kind, layers, frames)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tower = TemporalTower(config).eval()
        tower.initialize("random")
    return tower


def _of_layer(q_BTNHd: Tensor, k_BTNHd: Tensor, visible_SS: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Singular values of scores [H, B, min(S, d)] and weights [H, B, S], and the least own weight [H, B]."""
    q, k = (x.flatten(1, 2).permute(2, 0, 1, 3) for x in (q_BTNHd, k_BTNHd))  # [H, B, S, d]
    pairs = list(zip(q.flatten(0, 1) * q.shape[-1] ** -0.5, k.flatten(0, 1), strict=True))
    of_scores = torch.stack([_values_of_product(query, key) for query, key in pairs])
    spectra, own = zip(*(_of_weights(attention_weights(q, k, visible_SS)) for q, k in pairs), strict=True)
    shape = q.shape[:2]
    return of_scores.unflatten(0, shape).cpu(), *(torch.stack(x).unflatten(0, shape).cpu() for x in (spectra, own))


def attention_weights(q_Sd: Tensor, k_Sd: Tensor, visible_SS: Tensor) -> Tensor:
    """softmax(q kᵀ + mask) of one head, [S, S]; q scaled already."""
    return (q_Sd @ k_Sd.T).masked_fill_(~visible_SS, float("-inf")).softmax(-1)


def _of_weights(weights_SS: Tensor) -> tuple[Tensor, Tensor]:
    return torch.linalg.svdvals(weights_SS), weights_SS.diagonal().min()


def _values_of_product(q_Sd: Tensor, k_Sd: Tensor) -> Tensor:
    """Those singular values of q kᵀ that are not zero anyway: they are those of the triangular factors' product."""
    return torch.linalg.svdvals(torch.linalg.qr(q_Sd, mode="r")[1] @ torch.linalg.qr(k_Sd, mode="r")[1].T)
