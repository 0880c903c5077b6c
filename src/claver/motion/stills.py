"""The task `stills`: an image–text model from nothing, contrastively, on stills and captions that name states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from claver.models import Claver
from claver.models.objective import exact, without_autocast
from claver.motion.captions import still_caption
from claver.motion.rendering import STATES, MotionStills
from claver.training.objectives import contrastive_loss
from claver.training.sampling import Rows
from claver.training.tokens import normalized


@dataclass(frozen=True)
class StillsTask:
    """Images against captions, several times per step, each time with captions that name other states.

    Captions that always name everything teach little: colour and shape alone tell the images of a batch apart, and
    place or direction are never needed. So each step compares the images with captions that name one state, for every
    state in turn, and with captions that name two. Images are told apart within a part of a step: with accumulation, or
    in several processes, each part by itself.

    Attributes:
        train: images to learn from.
        test: images to be measured on.
        states: what captions name, two or more keys of `motion.STATES`. With shape and colour alone nothing asks the
            image tower for places or sizes.
    """

    train: MotionStills
    test: MotionStills
    states: tuple[str, ...] = tuple(STATES)

    def __len__(self) -> int:
        return len(self.train.images)

    def loss(self, model: Claver, rows: Rows, rng: np.random.Generator) -> Tensor:
        """The mean contrastive loss of the images `rows` against each set of captions."""
        subsets = [(name,) for name in self.states] + [tuple(rng.choice(self.states, 2, replace=False).tolist())]
        captions, owners = zip(*(captions_for(self.train, rows, names, rng) for names in subsets), strict=True)
        image_BE = embed_images(model, self.train.images[rows])
        text_UE = embed_texts(model, [caption for part in captions for caption in part])
        parts = text_UE.split([len(part) for part in captions])
        with without_autocast(image_BE.device):
            losses = [
                contrastive_loss(model.scale * image_BE @ part.T, owner.to(model.device))
                for part, owner in zip(parts, owners, strict=True)
            ]
            return torch.stack(losses).mean()

    def inputs(self, rows: Rows) -> tuple[dict[str, Tensor], dict[str, list[str]]]:
        """Pictures uint8 [b, H, W, 3] and the captions of some samples, for inspection."""
        pictures = torch.from_numpy(self.train.images[rows])
        return {"images": pictures}, {"captions": [self.train.captions[int(row)] for row in rows]}

    @torch.no_grad()
    def evaluate(self, model: Claver) -> dict[str, float]:
        """For each state the share of held-out stills whose right word is nearest, of all words for that state."""
        image_BE = torch.cat([embed_images(model, part) for part in np.array_split(self.test.images, 4)])
        figures = {}
        for name, words in STATES.items():
            text = embed_texts(model, [still_caption({name: word}) for word in words])
            right = (image_BE @ text.T).argmax(1).cpu().numpy() == self.test.states[name]
            figures[name] = float(right.mean())
        return figures


def captions_for(
    stills: MotionStills, rows: Rows, names: tuple[str, ...], rng: np.random.Generator
) -> tuple[list[str], Tensor]:
    """The different captions of some stills that name some states, U of them, and which is whose, int64 [B]."""
    values = np.stack([stills.states[name][rows] for name in names], axis=1)
    different, owner = np.unique(values, axis=0, return_inverse=True)
    captions = [
        still_caption({name: STATES[name][value] for name, value in zip(names, row, strict=True)}, int(wording))
        for row, wording in zip(different, rng.integers(6, size=len(different)), strict=True)
    ]
    return captions, torch.from_numpy(owner.reshape(-1))


def embed_images(model: Claver, images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Tensor:
    """Unit embeddings [B, E] of pictures uint8 [B, H, W, 3]: clips of one frame."""
    pixels = normalized(images, model.config.preprocess).to(model.device)
    return F.normalize(exact(model.encode_video(pixels[:, None])[:, 0]), dim=-1)


def embed_texts(model: Claver, texts: list[str]) -> Tensor:
    """Unit embeddings [U, E]."""
    assert model.tokenizer is not None
    return F.normalize(exact(model.encode_text(model.tokenizer(texts).to(model.device))), dim=-1)
