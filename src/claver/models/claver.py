"""CLAVER: the three towers joined."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from claver.attention.plan import PlanKind
from claver.models.block import Run, run_block
from claver.models.checkpoint.folder import Pretrained, write_folder
from claver.models.checkpoint.loading import MAX_LOGIT_SCALE, load_model
from claver.models.checkpoint.publishing import push_folder
from claver.models.config import Aggregate, ClaverConfig
from claver.models.objective import probabilities, similarity, video_embedding
from claver.models.temporal import TemporalTower
from claver.models.tokenizer import Tokenizer
from claver.models.towers import make_image_tower, make_text_tower
from claver.video.transforms import Preprocess


@dataclass
class ClaverOutput:
    """What a forward pass saw.

    Attributes:
        logits: scaled similarities [B, K, C].
        frame_embeddings: class tokens after temporal tower and projection, not normalised [B, T, E].
        video_embedding: their mean [B, E]; with the released arithmetic, the mean of the unit vectors.
        text_embeddings: as the text tower gives them, not normalised [K, C, E].
    """

    logits: Tensor
    frame_embeddings: Tensor
    video_embedding: Tensor
    text_embeddings: Tensor

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name}={tuple(value.shape)}" for name, value in vars(self).items())
        return f"ClaverOutput({shapes})"


class Claver(Pretrained):
    """The model of the paper: frames → image tower → temporal tower → read-out, against texts (Sec. 3.1).

    Attributes:
        takes_bytes: whether `encode_video` takes pixels as uint8, and normalises them itself.
        given_texts: vectors [E] of texts that need not be encoded, since the model came with them.
    """

    takes_bytes: bool = False
    given_texts: ClassVar[Mapping[str, Tensor]] = {}

    def __init__(self, config: ClaverConfig, tokenizer: Tokenizer | None = None) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = tokenizer
        self.learned = None
        self.image = make_image_tower(config)
        self.temporal = TemporalTower(config)
        self.readout = self.image.make_readout()
        self.text = make_text_tower(config)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        if config.bias:
            self.logit_bias = nn.Parameter(torch.zeros(()))

    def forward(self, video: Tensor, tokens: Tensor, *, aggregate: Aggregate | None = None) -> ClaverOutput:
        """Compare clips with the texts of classes.

        Args:
            video: normalised pixels [B, T, 3, h, w].
            tokens: ids [K, C, L], K texts of each of C classes, anything after each EOT being ignored.
            aggregate: `paper` or `released` arithmetic; the config's if None.
        """
        aggregate = aggregate or self.config.aggregate
        frames = self.encode_video(video)
        texts = self.encode_text(tokens)
        embedding = video_embedding(frames, aggregate)
        logits = similarity(embedding, texts, self.scale, aggregate)
        return ClaverOutput(logits if self.bias is None else logits + self.bias, frames, embedding, texts)

    @property
    def scale(self) -> Tensor:
        """exp(logit_scale), at most 100 as CLIP's; its gradient is that of exp, on and beyond the limit too.

        A model whose similarities have a bias has no limit, as SigLIP has none.

        The gradient of a clamp is zero beyond the limit: a scale that ever came there could never learn again.
        """
        if self.config.bias:
            return self.logit_scale.exp()
        excess = (self.logit_scale.detach() - MAX_LOGIT_SCALE).clamp(min=0)
        return (self.logit_scale - excess).exp()

    @property
    def bias(self) -> Tensor | None:
        """What is added to every similarity; None where nothing is."""
        return self.logit_bias if self.config.bias else None

    @torch.no_grad()
    def clamp_scale(self) -> None:
        """Bring `logit_scale` back to ln 100 at most, as CLIP does after every step of its optimiser."""
        if not self.config.bias:
            self.logit_scale.clamp_(max=MAX_LOGIT_SCALE)

    def probabilities(self, scores: Tensor) -> Tensor:
        """Scores of actions [..., C] as probabilities, as `claver.models.objective.probabilities`."""
        return probabilities(scores, self.config.aggregate, sigmoid=self.config.bias)

    @property
    def device(self) -> torch.device:
        """Where the parameters live."""
        return self.logit_scale.device

    @property
    def dtype(self) -> torch.dtype:
        """The type the towers compute in."""
        return next(self.image.parameters(), next(self.readout.parameters(), self.logit_scale)).dtype

    def check_views(self, frames: int, preprocess: Preprocess) -> None:
        """Raise `ClaverError` if clips of so many frames, prepared like this, cannot be encoded; any number can."""

    def image_tokens(self, video: Tensor, *, run: Run = run_block) -> Tensor:
        """Raw tokens of every frame, [B, T, 3, h, w] to [B, T, N, D]; N = 1 if only summaries are ever read."""
        frames, summary_only = video.flatten(0, 1), not self.temporal.needs_patches
        return self.image(frames, summary_only=summary_only, run=run).unflatten(0, video.shape[:2])

    def encode_tokens(self, tokens_BTND: Tensor, *, plan: PlanKind = "auto") -> Tensor:
        """Raw tokens [B, T, N, D] to frame embeddings [B, T, E]: the part above a frozen image tower."""
        return self.readout(self.temporal(tokens_BTND, plan=plan))

    def encode_video(self, video: Tensor) -> Tensor:
        """Clips [B, T, 3, h, w] to frame embeddings [B, T, E], not normalised (Eq. 1 and 2 before the mean)."""
        return self.encode_tokens(self.image_tokens(video))

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Token ids [..., L] to embeddings [..., E], not normalised."""
        return self.text(tokens.flatten(0, -2)).unflatten(0, tokens.shape[:-1])

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `config.json`, `model.safetensors`, `tokenizer.json` and, of a trained model, `actions.json`.

        Each appears whole or not at all.
        """
        write_folder(self, Path(folder))

    @classmethod
    def from_pretrained(cls, source: str | Path, **settings: Any) -> Claver:
        """The same as `claver.load(source, **settings)`."""
        return load_model(cls, source, **settings)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool = False,
        token: str | None = None,
        card: Mapping[str, str] | None = None,
    ) -> str:
        """Upload the model folder, with a card, to the Hugging Face Hub; returns its address there.

        Args:
            repo_id: `owner/name`; it is made if need be.
            private: whether only its owner sees it.
            token: of the Hub; the one that `hf auth login` stored if None.
            card: what only you know of the model, in Markdown: `data`, `recipe`, `seeds`, `texts`, `protocol`, `names`
                (plain or rewritten), `results`, `limits`, `license`. What is left out is marked as not said.
                Without a card, one that the address has already stays.

        Raises:
            ClaverError: the card has no such part.
        """
        return push_folder(self, repo_id, private=private, token=token, card=card)
