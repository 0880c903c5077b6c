"""Token shuffling: what is left of an answer when the tokens of a clip change places (Fig. 6, Table 9, Appendix B).

Attention that treats all tokens alike cannot tell where one was put, except by what the temporal embedding says:
"spatiotemporal homogenization". The paper shuffles before the embedding is added (PreTE: a token then gets the time of
the place it lands in) and after (PostTE: it keeps its own), and finds that PostTE does not affect joint attention at
all. It does not say what becomes of the class tokens. Two readings are built:

- `followed` (the default): all S tokens change places, and the class tokens are read wherever they went. Joint
  attention is then exactly unchanged by shuffling after the embedding, as the paper has it.
- `places`: what is read is whatever now lies where class tokens lay. That is the harsher test, and hits joint
  attention as well: the read-out looks at patches.

Under any mask it is places that see each other, whatever token lies in them.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from claver.models import Claver
from claver.models.block import Attend, Select

Where = Literal["before", "after"]
Level = Literal["tokens", "frames"]
Read = Literal["followed", "places"]


def shuffled(
    model: Claver,
    tokens_BTND: Tensor,
    *,
    where: Where,
    level: Level = "tokens",
    seed: int = 0,
    read: Read = "followed",
) -> Tensor:
    """Frame embeddings of clips whose tokens have changed places.

    What to expect of `followed`, up to rounding: after the embedding, joint attention is unchanged at either level, and
    KMTA where whole frames move, since its mask knows other frames but no order of them; KMCTA never is.

    Args:
        model: of any temporal kind.
        tokens_BTND: raw tokens of the image tower, as `Claver.image_tokens` gives them.
        where: before or after the temporal embedding is added (PreTE, PostTE).
        level: `tokens` moves all S = T·N tokens over space and time, `frames` whole frames, their tokens in order.
        seed: of the permutations; every clip of the batch has its own.
        read: see above.

    Returns:
        [B, T, E], not normalised; for `followed` in the order of the original frames.

    Raises:
        ValueError: an unknown word for where, level or read.
    """
    _check(where=(where, ("before", "after")), level=(level, ("tokens", "frames")), read=(read, ("followed", "places")))
    order_BS = permutations(*tokens_BTND.shape[:3], level=level, seed=seed).to(tokens_BTND.device)
    temporal = model.temporal
    late = where == "after" and len(temporal.blocks) > 0
    x = tokens_BTND if late else permute(tokens_BTND, order_BS)

    def run(block: nn.Module, x: Tensor, attend: Attend, select: Select | None) -> Tensor:
        if late and block is temporal.blocks[0]:
            x = permute(x, order_BS)
        return block(x, attend, select)

    x = temporal(x, read="tokens", run=run)
    if read == "followed":
        x = permute(x, order_BS.argsort(1))
    return model.readout(temporal.read(x))


def permutations(clips: int, frames: int, tokens: int, *, level: Level = "tokens", seed: int = 0) -> Tensor:
    """For each place of a clip, where its new token comes from: int64 [B, S], a permutation per clip."""
    generator = torch.Generator().manual_seed(seed)
    if level == "tokens":
        return torch.rand(clips, frames * tokens, generator=generator).argsort(1)
    source = torch.rand(clips, frames, generator=generator).argsort(1)
    return (source[:, :, None] * tokens + torch.arange(tokens)).flatten(1)


def permute(x_BTND: Tensor, order_BS: Tensor) -> Tensor:
    """Tokens at new places: place s of a clip gets the token of place `order[s]`."""
    moved = x_BTND.flatten(1, 2).gather(1, order_BS[:, :, None].expand(-1, -1, x_BTND.shape[-1]))
    return moved.unflatten(1, x_BTND.shape[1:3])


def _check(**words: tuple[str, tuple[str, ...]]) -> None:
    for name, (given, known) in words.items():
        if given not in known:
            raise ValueError(f"{name} must be {' or '.join(known)}, not {given!r}")
