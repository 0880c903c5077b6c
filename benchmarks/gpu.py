"""On a CUDA card, in bf16: attention against unmasked flash attention, the whole model, a training step, a whole job.

Each row is made by itself: one that fails says so, and the others are measured. Nothing is imported that a row does not
need, so that a bare machine with torch, triton, numpy, safetensors, rich, typer and tokenizers can run the rest. With
`device="cpu"` the same code runs small and in single precision, which shows that it runs, and nothing else.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.baseline import UsualVideo, additive
from benchmarks.encoder import FRAMES, random_model
from benchmarks.machine import matrix_rate
from benchmarks.timing import Row, Settings, assert_alike, assert_same, compare, missing, row_of
from claver.attention import KMCT, KMT, KroneckerMask, kronecker_attention
from claver.models.config import Temporal

AREA = "GPU, bf16"
TARGETS = {"KMCTA": 1 / 0.65, "KMTA": 1 / 1.05}
"""Ratios of the time of unmasked attention to ours that are aimed at."""


@dataclass(frozen=True)
class Place:
    """Where the rows run: a card in bf16 with the real sizes, or a CPU with small ones."""

    device: str = "cuda"

    @property
    def real(self) -> bool:
        """Whether figures mean anything."""
        return self.device == "cuda"

    @property
    def dtype(self) -> torch.dtype:
        """bf16 on a card."""
        return torch.bfloat16 if self.real else torch.float32

    def wait(self) -> None:
        """Until everything that was asked for is done."""
        if self.real:
            torch.cuda.synchronize()


def rows(settings: Settings, device: str = "cuda", shown: Callable[[Row], None] = lambda row: None) -> list[Row]:
    """All rows; `shown` is called with each as it is measured."""
    if device == "cuda" and not torch.cuda.is_available():
        return [missing(AREA, "attention, video encoder, training step, whole job", "not run: no CUDA card")]
    place, made = Place(device), []
    for what, measure in _measures(place, settings):
        try:
            found = measure()
        except Exception as error:  # of torch, the driver, a package that is not here: the other rows are worth having
            found = [missing(AREA, what, f"failed: {type(error).__name__}: {' '.join(str(error).split())[:160]}")]
        for row in found:
            shown(row)
        made += found
        if place.real:
            torch.cuda.empty_cache()
    return made


def _measures(place: Place, settings: Settings) -> Iterator[tuple[str, Callable[[], list[Row]]]]:
    real = ((16, 8, 197, 12), (8, 16, 197, 12), (4, 32, 197, 12), (4, 16, 577, 16))
    shapes = real if place.real else ((1, 4, 17, 2),)
    for shape in shapes:
        for mask in (KMCT, KMT):
            for backward in (False, True):
                name = _name(mask, shape, backward)
                yield name, partial(_attention, mask, shape, backward, place, settings)
    yield "memory of attention", partial(_memory, shapes[-1], place)
    kinds: tuple[Temporal, ...] = ("kmct", "kmt")
    for kind in kinds:
        for batch in (1, 32) if place.real else (1, 2):
            yield f"video encoder, {kind}, batch {batch}", partial(_encoder, kind, batch, place, settings)
    yield "training step", partial(_step, place, settings)
    yield "recognize, from files", partial(_job, place)


def _name(mask: KroneckerMask, shape: tuple[int, int, int, int], backward: bool) -> str:
    batch, frames, tokens, heads = shape
    way = "forward and backward" if backward else "forward"
    return f"{mask}, B{batch} T{frames} N{tokens}, {heads} heads, {way}"


def _drawn(shape: tuple[int, int, int, int], place: Place) -> list[Tensor]:
    """q, k and v as a block makes them: views of one buffer."""
    batch, frames, tokens, heads = shape
    torch.manual_seed(0)
    joined = torch.randn(batch, frames, tokens, 3, heads, 64, device=place.device, dtype=place.dtype)
    return [x.permute(0, 3, 1, 2, 4) for x in joined.unbind(3)]


def _attention(
    mask: KroneckerMask, shape: tuple[int, int, int, int], backward: bool, place: Place, settings: Settings
) -> list[Row]:
    """Against unmasked attention over the same tokens, and against one call under the dense mask."""
    inputs = _drawn(shape, place)
    bias = additive(mask, shape[1], shape[2]).to(place.device, place.dtype)

    def run(attend: Callable[..., Tensor]) -> Callable[[], object]:
        def forward() -> Tensor:
            with torch.inference_mode():
                return attend(*inputs)

        leaves = [x.detach().requires_grad_() for x in inputs]

        def both() -> object:
            out = attend(*leaves)
            return torch.autograd.grad(out, leaves, torch.ones_like(out))

        return both if backward else forward

    def ours(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return kronecker_attention(q, k, v, mask).flatten(2, 3)

    def under(hidden: Tensor | None, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return scaled_dot_product_attention(q.flatten(2, 3), k.flatten(2, 3), v.flatten(2, 3), hidden)

    works = {"ours": run(ours), "dense": run(partial(under, bias)), "unmasked": run(partial(under, None))}
    with torch.inference_mode():
        assert_alike(ours(*inputs), under(bias, *inputs))
    for work in works.values():
        work()
    name = _name(mask, shape, backward)
    made = []
    for yardstick, label, target in (
        ("unmasked", "unmasked flash attention", TARGETS[str(mask)]),
        ("dense", "dense mask, one call", 1.0),
    ):
        (row,) = compare(AREA, label, works[yardstick], {name: works["ours"]}, settings, gpu=place.real)
        made.append(row.labelled(name, target=target if place.real else None))
    return made


def _memory(shape: tuple[int, int, int, int], place: Place) -> list[Row]:
    """Peak memory of attention beyond its inputs, forward and backward, against a dense mask."""
    if not place.real:
        return [missing(AREA, "memory of attention", "not run: no CUDA card")]
    inputs = [x.detach().requires_grad_() for x in _drawn(shape, place)]

    def peak(attend: Callable[..., Tensor]) -> float:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        out = attend(*inputs)
        torch.autograd.grad(out, inputs, torch.ones_like(out))
        return (torch.cuda.max_memory_allocated() - before) / 2**20

    def dense(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        bias = additive(KMT, shape[1], shape[2]).to(place.device, place.dtype)
        return scaled_dot_product_attention(q.flatten(2, 3), k.flatten(2, 3), v.flatten(2, 3), bias)

    usual, ours = peak(dense), peak(lambda q, k, v: kronecker_attention(q, k, v, KMT))
    row = row_of(AREA, _name(KMT, shape, True), "dense mask, one call", [usual], [ours])
    return [replace(row, unit="MiB")]


def _encoder(kind: Temporal, batch: int, place: Place, settings: Settings) -> list[Row]:
    """B/16, 8 frames: eager and compiled, against the usual way in the same type; the share of the matrix rate."""
    size, frames, side = ("B/16", FRAMES, 224) if place.real else ("B/32", 2, 224)
    model = random_model(size, kind, frames, quick=not place.real).to(place.device, place.dtype)
    usual = UsualVideo(model).eval().to(place.device, place.dtype)
    video = torch.randn(batch, frames, 3, side, side, device=place.device, dtype=place.dtype)
    with torch.inference_mode():
        expected = usual(video)
        assert_alike(model.encode_video(video), expected)
        with FlopCounterMode(display=False) as counter:
            model.encode_video(video)
    name = f"video encoder, {size}, {kind.upper()}A, {frames} frames, batch {batch}"
    works: dict[str, Callable[[], Any]] = {name: _inferring(model.encode_video, video)}
    if place.real:
        modes = ("default", "reduce-overhead") if batch == 1 else ("default",)
        for mode in modes:
            works[f"{name}, compiled ({mode})"] = _inferring(torch.compile(model.encode_video, mode=mode), video)
        for work in works.values():
            assert_alike(work(), expected)
            work()
    found = compare(AREA, "MHA, dense mask, all computed", _inferring(usual, video), works, settings, gpu=place.real)
    rate = matrix_rate(place.dtype, place.device, 8192 if place.real else 256)
    share = counter.get_total_flops() / rate / 1e9
    return [replace(row, note=f"{share / row.after:.0%} of the measured matrix rate") for row in found]


def _inferring(run: Callable[[Tensor], Tensor], video: Tensor) -> Callable[[], Tensor]:
    def work() -> Tensor:
        with torch.inference_mode():
            return run(video)

    return work


def _step(place: Place, settings: Settings) -> list[Row]:
    """A training step at B/16 under autocast, everything learning."""
    from benchmarks.step import CLIPS, USUAL, Batch, OurStep, UsualStep

    frames, clips = (FRAMES, CLIPS) if place.real else (2, 1)
    model = random_model("B/16" if place.real else "B/32", "kmct", frames, quick=not place.real)
    model = model.to(place.device).train()
    batch = Batch.drawn(clips, frames, *(() if place.real else (1,))).to(place.device)
    losses = UsualStep(model).to(place.device), OurStep(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-9, fused=True)

    def work(which: int) -> None:
        with torch.autocast(place.device, torch.bfloat16, enabled=place.real):
            loss = losses[which](batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    with torch.no_grad(), torch.autocast(place.device, torch.bfloat16, enabled=place.real):
        assert_same(losses[1](batch), losses[0](batch), tolerance=1e-2)
    work(0)
    with FlopCounterMode(display=False) as counter:
        work(1)
    what = f"training step, KMCTA, {clips} clips × {frames} frames, bf16 autocast"
    (row,) = compare(AREA, USUAL, lambda: work(0), {what: lambda: work(1)}, settings, gpu=place.real)
    rate = matrix_rate(place.dtype, place.device, 8192 if place.real else 256)
    share = counter.get_total_flops() / row.after / 1e9 / rate
    return [replace(row, note=f"{share:.0%} of the measured matrix rate")]


def _job(place: Place, clips: int = 48) -> list[Row]:
    """Clips a second of a whole `recognize`, decoding included, and the share of the time that the card waits."""
    from claver.cli.model import default_workers
    from claver.inference.recognizer import Recognizer
    from claver.models.tokenizer import packaged_clip_tokenizer
    from claver.video.writing import write_clip

    clips = clips if place.real else 4
    frames = FRAMES if place.real else 2
    model = random_model("B/16" if place.real else "B/32", "kmct", frames, quick=not place.real)
    model = model.to(place.device, place.dtype)
    model.tokenizer = packaged_clip_tokenizer()
    recognizer = Recognizer(model, ["runs", "jumps"], frames=frames, unknown=False, cache=False)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.mp4" for number in range(clips)]
        noise = np.random.default_rng(0).integers(0, 255, (12, 15, 20, 3), dtype=np.uint8)
        still = noise.repeat(16, axis=1).repeat(16, axis=2)
        for number, path in enumerate(paths):
            write_clip(path, np.roll(np.tile(still, (8, 1, 1, 1)), number, axis=2), fps=25)
        workers = default_workers(clips, place.device) if place.real else 0
        list(recognizer.stream(paths[:8], workers=workers))
        place.wait()
        began = time.perf_counter()
        answers = list(recognizer.stream(paths, batch_size=16, workers=workers))
        place.wait()
        whole = time.perf_counter() - began
        views = torch.cat([recognizer.encoder.look(path).pixels for path in paths])
        recognizer.encoder.encode(views, 16)
        place.wait()
        began = time.perf_counter()
        recognizer.encoder.encode(views, 16)
        place.wait()
        busy = time.perf_counter() - began
    assert len(answers) == clips
    row = row_of(AREA, f"recognize, {clips} files of 320 × 240, {workers} workers", "its towers alone", [busy], [whole])
    waits = max(0.0, 1 - busy / whole)
    return [replace(row, note=f"{clips / whole:.1f} clips/s; the towers wait for {waits:.0%} of the time")]
