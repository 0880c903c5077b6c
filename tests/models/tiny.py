"""A small model for tests: 32-pixel frames, 17 tokens, two heads of 64."""

import torch

from claver.models import Claver, ClaverConfig, ImageConfig, TemporalConfig, TextConfig
from claver.models.config import Temporal
from claver.video.transforms import Preprocess

EOT = 99


def tiny_config(kind: Temporal = "kmt", *, frames: int = 4, layers: int = 2) -> ClaverConfig:
    return ClaverConfig(
        image=ImageConfig(size=32, patch=8, width=128, layers=2, heads=2),
        text=TextConfig(context=16, vocabulary=100, eot=EOT, width=64, layers=2, heads=1),
        temporal=TemporalConfig(kind, layers, frames),
        embedding=32,
        preprocess=Preprocess.paper(32),
    )


def tiny_model(kind: Temporal = "kmt", *, seed: int = 0, how: str = "random", **sizes: int) -> Claver:
    torch.manual_seed(seed)
    model = Claver(tiny_config(kind, **sizes)).eval()
    model.temporal.initialise(how)  # type: ignore[arg-type]
    return model


def random_texts(rows: int, *, seed: int = 0, length: int = 12) -> torch.Tensor:
    """Token ids [rows, length]: random words, EOT at a random place, rubbish after it."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, EOT, (rows, length), generator=generator)
    ends = torch.randint(1, length, (rows,), generator=generator)
    tokens[torch.arange(rows), ends] = EOT
    return tokens
