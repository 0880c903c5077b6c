"""A training step at B/32: 8 clips × 8 frames, 51 classes × 5 texts, and the memory of one at B/16.

The reference implementation pads every text to 77 tokens, has a dense mask and computes everything; the loss (Eq. 9),
the optimiser and what learns are the same. `python -m benchmarks.step --help` measures the memory of a single way.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.banks import interpretive_texts
from benchmarks.baseline import CONTEXT, UsualText, UsualVideo
from benchmarks.encoder import random_model
from benchmarks.memory import status
from benchmarks.timing import Row, Settings, compare, missing
from claver.models import Claver, interpretive_loss, similarity, video_embedding
from claver.models.config import Temporal
from claver.models.tokenizer import packaged_clip_tokenizer
from claver.training.videos import RaggedTexts

AREA, MEMORY = "training step", "memory of a step"
CLIPS, FRAMES, CLASSES, SLOTS = 8, 8, 51, 5
USUAL = "padded texts, dense float mask, all computed"


def rows(settings: Settings) -> list[Row]:
    if packaged_clip_tokenizer() is None:
        return [missing(AREA, "B/32", "needs the package instant-clip-tokenizer")]
    return _rows("kmct", settings) + _memory_rows(settings)


def _rows(kind: Temporal, settings: Settings) -> list[Row]:
    clips, frames, classes = (1, 2, 1) if settings.quick else (CLIPS, FRAMES, CLASSES)
    model, batch = random_model("B/32", kind, frames, quick=settings.quick), Batch.drawn(clips, frames, classes)
    usual, ours, name = (
        UsualStep(model),
        OurStep(model),
        f"B/32, {kind.upper()}A, {clips} clips × {frames} frames, {classes} × {SLOTS} texts",
    )
    _assert_same_gradients(model, usual, ours, batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-9, fused=True)
    with torch.no_grad():
        tokens = model.image_tokens(batch.video)

    def step(loss: Callable[[], Tensor], *, frozen: bool) -> Callable[[], None]:
        def work() -> None:
            model.image.requires_grad_(not frozen)
            loss().backward()
            optimizer.step()
            optimizer.zero_grad()

        return work

    step(lambda: ours(batch), frozen=False)()  # the optimiser's state is made in the first step
    everything = {f"{name}, everything learns": step(lambda: ours(batch), frozen=False)}
    frozen = {
        f"{name}, image tower frozen": step(lambda: ours(batch), frozen=True),
        f"{name}, its tokens cached": step(lambda: ours(batch, tokens), frozen=True),
    }
    made = compare(AREA, USUAL, step(lambda: usual(batch), frozen=False), everything, settings)
    made += compare(AREA, f"{USUAL}, tower frozen", step(lambda: usual(batch), frozen=True), frozen, settings)
    whole, cold, cached = made
    return [whole.labelled(whole.what, target=2.5), cold.labelled(cold.what), cached.labelled(cached.what, target=5)]


class Batch:
    """What a step gets: frames [B, T, 3, h, w], texts [K', C, L], labels [B]."""

    def __init__(self, video: Tensor, texts: Tensor, labels: Tensor) -> None:
        self.video, self.texts, self.labels = video, texts, labels

    def to(self, device: str) -> Batch:
        """The same on a device."""
        return Batch(self.video.to(device), self.texts.to(device), self.labels.to(device))

    @classmethod
    def drawn(cls, clips: int, frames: int, classes: int = CLASSES) -> Batch:
        """Noise, and texts of HMDB-51's bank as training draws them."""
        tokenizer = packaged_clip_tokenizer()
        assert tokenizer is not None
        interpretive = interpretive_texts("hmdb51")[:classes]
        tokens = tokenizer([text for own in interpretive for text in own])
        texts = RaggedTexts(tokens, tuple(map(len, interpretive))).draw(SLOTS, np.random.default_rng(0))
        generator = torch.Generator().manual_seed(0)
        video = torch.randn(clips, frames, 3, 224, 224, generator=generator)
        return cls(video, texts, torch.arange(clips) % texts.shape[1])


class UsualStep(nn.Module):
    """The loss of Eq. 9 by the towers of `benchmarks.baseline`, which share our weights."""

    def __init__(self, model: Claver) -> None:
        super().__init__()
        self.model, self.video, self.text = model, UsualVideo(model), UsualText(model)

    def forward(self, batch: Batch) -> Tensor:
        """A scalar."""
        texts = nn.functional.pad(batch.texts, (0, CONTEXT - batch.texts.shape[-1]))
        text_KCE = self.text(texts.flatten(0, 1)).unflatten(0, texts.shape[:2])
        return _loss(self.model, self.video(batch.video), text_KCE, batch)


class OurStep:
    """The same by ours."""

    def __init__(self, model: Claver) -> None:
        self.model = model

    def __call__(self, batch: Batch, tokens: Tensor | None = None) -> Tensor:
        """A scalar; from cached image tokens if there are any."""
        if tokens is None:
            tokens = self.model.image_tokens(batch.video)
        return _loss(self.model, self.model.encode_tokens(tokens), self.model.encode_text(batch.texts), batch)


def _loss(model: Claver, frames_BTE: Tensor, text_KCE: Tensor, batch: Batch) -> Tensor:
    return interpretive_loss(similarity(video_embedding(frames_BTE), text_KCE, model.scale), batch.labels)


def _assert_same_gradients(model: Claver, usual: UsualStep, ours: OurStep, batch: Batch) -> None:
    """The loss and every gradient, to 1e-3 of its tensor's largest entry."""
    gradients = []
    for loss in (usual(batch), ours(batch)):
        loss.backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
        model.zero_grad()
    assert gradients[0].keys() == gradients[1].keys()
    for name, expected in gradients[0].items():
        tolerance = 1e-3 * float(expected.abs().max()) + 1e-9
        torch.testing.assert_close(gradients[1][name], expected, rtol=0.0, atol=tolerance, msg=f"gradient of {name}")


def _memory_rows(settings: Settings) -> list[Row]:
    if sys.platform != "linux":
        return [missing(MEMORY, "B/16", "is measured on Linux only")]
    made = []
    classes = 1 if settings.quick else CLASSES
    for frames in (2,) if settings.quick else (8, 16, 32):
        usual, ours = (_in_process(frames, classes, way) for way in ("usual", "ours"))
        ratio, name = usual / ours, f"B/16, KMCTA, 1 clip × {frames} frames, {classes} × {SLOTS} texts"
        note = "image tower frozen; above the weights"
        made.append(Row(MEMORY, name, USUAL, usual, ours, ratio, ratio, ratio, 1, unit="MiB", note=note))
    return made


def _in_process(frames: int, classes: int, way: str) -> float:
    command = [sys.executable, "-m", "benchmarks.step", str(frames), str(classes), way]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    return float(done.stdout)


def peak(frames: int, classes: int, way: str) -> float:
    """MiB at the peak of the loss and its gradients, above the weights."""
    model = random_model("B/16", "kmct", frames)
    model.image.requires_grad_(False)
    batch, loss_of = Batch.drawn(1, frames, classes), UsualStep(model) if way == "usual" else OurStep(model)
    before = status("VmRSS")
    loss_of(batch).backward()
    return status("VmHWM") - before


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("frames", type=int)
    parser.add_argument("classes", type=int)
    parser.add_argument("way", choices=["usual", "ours"])
    print(peak(**vars(parser.parse_args())))


if __name__ == "__main__":
    _main()
