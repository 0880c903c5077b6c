"""The same on a CUDA card: FlexAttention and torch.compile, in bf16, and the share of the card's matrix rate."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.attention import drawn
from benchmarks.baseline import UsualText, UsualVideo, additive, padded
from benchmarks.encoder import FRAMES, random_model
from benchmarks.machine import matrix_rate
from benchmarks.step import CLIPS, USUAL, Batch, OurStep, UsualStep
from benchmarks.text import class_tokens
from benchmarks.timing import Row, Settings, assert_alike, assert_same, compare, missing
from claver.attention import KMCT, KMT, KroneckerMask, kronecker_attention

AREA = "GPU, bf16"
BF16 = torch.bfloat16


@torch.inference_mode()
def rows(settings: Settings) -> list[Row]:
    if not torch.cuda.is_available():
        return [missing(AREA, "attention, video encoder, class names", "not run: no CUDA card")]
    made = [_attention(mask, frames, settings) for mask in (KMCT, KMT) for frames in (8, 16, 32)]
    made += [_encoder("B/32", settings), _encoder("B/16", settings), *_text(settings)]
    return [*made, *(_step(frames, settings) for frames in (8, 16))]


def _attention(mask: KroneckerMask, frames: int, settings: Settings) -> Row:
    q, k, v = drawn(frames, 197, device="cuda", dtype=BF16)
    bias = additive(mask, frames, 197).to("cuda", BF16)
    works = {f"{mask}, T={frames}, N=197, FlexAttention": lambda: kronecker_attention(q, k, v, mask)}

    def usual() -> torch.Tensor:
        return scaled_dot_product_attention(q.flatten(2, 3), k.flatten(2, 3), v.flatten(2, 3), bias)

    assert_alike(kronecker_attention(q, k, v, mask).flatten(2, 3), usual())
    return compare(AREA, "dense mask, one SDPA call", usual, works, settings, gpu=True)[0]


def _encoder(size: str, settings: Settings) -> Row:
    model = random_model(size, "kmct").cuda()
    usual = UsualVideo(model).eval()
    video = torch.randn(1, FRAMES, 3, 224, 224, device="cuda")
    expected = usual(video)
    with FlopCounterMode(display=False) as counter:
        usual(video)
    half = random_model(size, "kmct").cuda().bfloat16()
    compiled = torch.compile(half.encode_video)
    assert_alike(compiled(video.bfloat16()), expected)
    what = f"video encoder, {size}, KMCTA, compiled"
    works = {what: lambda: compiled(video.bfloat16())}
    row = compare(AREA, "MHA, dense float mask, fp32", lambda: usual(video), works, settings, gpu=True)[0]
    share = counter.get_total_flops() / row.after / 1e9 / matrix_rate(BF16, "cuda", 8192)
    return replace(row, target=3.5, note=f"{share:.0%} of the card's measured bf16 rate, by the baseline's FLOPs")


@torch.inference_mode(mode=False)
def _step(frames: int, settings: Settings) -> Row:
    """A training step at B/16 under autocast, everything learning."""
    model = random_model("B/16", "kmct", frames).cuda().train()
    batch = Batch.drawn(CLIPS, frames).to("cuda")
    losses = UsualStep(model).cuda(), OurStep(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-9, fused=True)

    def work(which: int) -> None:
        with torch.autocast("cuda", BF16):
            loss = losses[which](batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    with torch.no_grad(), torch.autocast("cuda", BF16):
        assert_same(losses[1](batch), losses[0](batch), tolerance=1e-2)
    work(1)
    with FlopCounterMode(display=False) as counter:
        work(0)
    what = f"training step, B/16, KMCTA, {CLIPS} clips × {frames} frames, bf16 autocast"
    row = compare(AREA, USUAL, lambda: work(0), {what: lambda: work(1)}, settings, gpu=True)[0]
    share = counter.get_total_flops() / row.after / 1e9 / matrix_rate(BF16, "cuda", 8192)
    return replace(row, note=f"{share:.0%} of the card's measured bf16 rate, by the baseline's FLOPs")


def _text(settings: Settings) -> list[Row]:
    tokens = class_tokens("kinetics400")
    if tokens is None:
        return []
    tokens = tokens.cuda()
    model, wide = random_model("B/32", "mean").cuda(), padded(tokens)
    usual, half = UsualText(model).cuda().eval(), random_model("B/32", "mean").cuda().bfloat16()
    assert_alike(half.encode_text(tokens), usual(wide))
    works = {"400 Kinetics class names": lambda: half.encode_text(tokens)}
    return compare(AREA, "padded to 77, fp32", lambda: usual(wide), works, settings, gpu=True)
