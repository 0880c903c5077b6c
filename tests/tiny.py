"""A small model for tests: 32-pixel frames, 17 tokens, two heads of 64."""

from dataclasses import replace

import torch
from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers, processors

from claver.models import Claver, ClaverConfig, ImageConfig, TemporalConfig, TextConfig, Tokenizer
from claver.models.config import Temporal
from claver.video import Preprocess

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
    model.temporal.initialize(how)  # type: ignore[arg-type]
    return model


def letter_tokenizer(context: int = 77) -> Tokenizer:
    """Knows letters, space and a few signs; end of text is id 99, as the tiny config has it."""
    letters = {letter: number for number, letter in enumerate("?abcdefghijklmnopqrstuvwxyz ,.", start=1)}
    vocabulary = letters | {f"<unused {number}>": number for number in range(31, 98)} | {"<start>": 98, "<end>": EOT}
    backend = Backend(models.BPE(vocabulary, [], unk_token="?"))
    backend.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    marks = [("<start>", 98), ("<end>", EOT)]
    backend.post_processor = processors.TemplateProcessing(single="<start> $0 <end>", special_tokens=marks)
    return Tokenizer.from_json(backend.to_str(), context)


def talking_model(kind: Temporal = "kmct", **changes: str) -> Claver:
    """A tiny model with a tokenizer: random weights, but the whole way from a file to an answer."""
    config = tiny_config(kind)
    config = replace(config, text=replace(config.text, context=77), **changes)  # type: ignore[arg-type]
    torch.manual_seed(0)
    model = Claver(config, letter_tokenizer()).eval()
    model.temporal.initialize("random")
    return model


def random_texts(rows: int, *, seed: int = 0, length: int = 12) -> torch.Tensor:
    """Token ids [rows, length]: random words, EOT at a random place, rubbish after it."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, EOT, (rows, length), generator=generator)
    ends = torch.randint(1, length, (rows,), generator=generator)
    tokens[torch.arange(rows), ends] = EOT
    return tokens
