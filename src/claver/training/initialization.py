"""Where a small model starts that has no CLIP to start from: tokenizer, sizes, embeddings of space and time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from claver.models import Claver, ClaverConfig, ImageConfig, TemporalConfig, TextConfig, Tokenizer
from claver.models.tokenizer import EOT, SOT
from claver.models.vision.clip import ClipVision
from claver.training.recipe import NewModel, TemporalSettings
from claver.video.transforms import Preprocess

_POSITION_SCALE = 0.5  # of tokens whose root mean square is about 1


def train_tokenizer(texts: Iterable[str], vocabulary: int, context: int) -> Tokenizer:
    """A byte-level BPE tokenizer learned from texts; the end of text has the largest id, as in CLIP."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

    backend: Any = Backend(models.BPE())
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - 2, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    backend.add_special_tokens([SOT, EOT])
    ends = [(name, backend.token_to_id(name)) for name in (SOT, EOT)]
    backend.post_processor = processors.TemplateProcessing(single=f"{SOT} $0 {EOT}", special_tokens=ends)
    return Tokenizer.from_json(str(backend.to_str()), context)


def new_model(sizes: NewModel, tokenizer: Tokenizer, *, seed: int) -> Claver:
    """A model of CLIP's make with random weights, no temporal tower, and positions that start as 2-D sinusoids."""
    eot = tokenizer.encode("")[-1]
    config = ClaverConfig(
        ImageConfig(sizes.size, sizes.patch, sizes.width, sizes.layers, sizes.width // 64),
        TextConfig(sizes.context, eot + 1, eot, sizes.text_width, sizes.text_layers, sizes.text_width // 64),
        TemporalConfig("mean"),
        embedding=sizes.embedding,
        preprocess=Preprocess(size=sizes.size, short_side=sizes.size),
    )
    torch.manual_seed(seed)
    model = Claver(config, tokenizer)
    assert isinstance(model.image, ClipVision)
    with torch.no_grad():
        model.image.position[1:] = grid_sinusoid(config.image.grid, sizes.width) * _POSITION_SCALE
    return model


def with_temporal(model: Claver, settings: TemporalSettings, *, token_scale: float, seed: int) -> Claver:
    """A copy of a model with a new temporal tower.

    Args:
        model: everything but its temporal tower is copied.
        settings: the tower and how it starts (see `TemporalTower.initialize`).
        token_scale: root mean square of the image tokens.
        seed: of the random weights.
    """
    torch.manual_seed(seed)
    made = Claver(model.config.with_temporal(settings.kind, settings.frames, settings.layers), model.tokenizer)
    kept = {key: value for key, value in model.state_dict().items() if not key.startswith("temporal.")}
    made.load_state_dict(kept, strict=False)
    made.temporal.initialize(settings.init, scale=token_scale)
    return made


def grid_sinusoid(side: int, width: int) -> Tensor:
    """A sinusoid of the row beside one of the column for each place of a grid, [side², D], root mean square 1.

    Places then are coordinates from the start; from random vectors they take several hundred steps to become so.
    """
    along = sinusoid(side, width // 2)
    rows, columns = along.repeat_interleave(side, dim=0), along.repeat(side, 1)
    return torch.cat([rows, columns], dim=1)


def sinusoid(length: int, width: int) -> Tensor:
    """Sines and cosines of the position at geometric frequencies, [length, D], root mean square 1."""
    position = torch.arange(length, dtype=torch.float32)[:, None]
    frequency = torch.exp(torch.linspace(0, 1, width // 2) * -torch.log(torch.tensor(10.0 * length)))
    return 2**0.5 * torch.cat([(position * frequency).sin(), (position * frequency).cos()], dim=1)
