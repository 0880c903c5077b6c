"""Counted multiply-adds, against the paper, against formulas and against real runs."""

from dataclasses import replace

import pytest
import torch
from tests.tiny import random_texts, tiny_config, tiny_model
from torch import nn

from claver.models import Claver, named_config
from claver.models.config import Temporal
from claver.profile import count, fake_model, parameters, profile
from claver.profile.counting import plain_texts, random_video
from claver.profile.reference import reference_video, text_steps, video_steps

KINDS: list[Temporal] = ["kmt", "kmct", "joint", "pipeline", "class", "mean"]
# 482 is not in Table 1, which has no row of 32 frames; it is twice the row of 16.
PAPER = [
    ("B/32", 8, 33, 47.6),
    ("B/32", 16, 64, 97.1),
    ("B/16", 8, 122, 200.4),
    ("B/16", 16, 241, 431),
    ("B/16", 32, 482, 985),
    ("L/14", 8, 558, 924),
    ("L/14-336", 16, 2488, 5381),
]


@pytest.mark.slow
@pytest.mark.parametrize(("size", "frames", "printed", "whole"), PAPER)
def test_the_papers_figures_and_the_true_ones(size: str, frames: int, printed: int, whole: float) -> None:
    found = profile(named_config(size, "kmt", frames))
    assert found.size == size
    assert found.printed == (None if frames == 32 else printed)
    assert found.paper / 1e9 == pytest.approx(printed, rel=0.005)
    usual = found.video[0][1]
    assert usual.total() / 1e9 == pytest.approx(whole, rel=0.002)
    mlps_and_patches = usual.total(kind="mlp") + usual.total("image", "embeddings")
    assert mlps_and_patches / 1e9 == pytest.approx(printed, rel=0.06)
    assert found.usual.uncounted == found.ours.uncounted == {}


@pytest.mark.parametrize("kind", KINDS)
def test_everything_computed_is_what_the_formulas_say(kind: Temporal) -> None:
    config = tiny_config(kind)
    found = profile(config).video[0][1]
    frames, tokens, width = config.temporal.frames, config.image.tokens, config.image.width
    queries = frames * (1 if kind == "class" else tokens)
    keys = {"pipeline": frames, "class": frames}.get(kind, frames * tokens)
    layers = 0 if kind == "mean" else config.temporal.layers
    assert found.of["image", "scores"] == config.image.layers * 2 * frames * tokens**2 * width
    assert found.total("temporal", "scores") == layers * 2 * queries * keys * width
    assert found.total("temporal", "projections") == layers * 4 * queries * width**2
    assert found.total("temporal", "mlp") == layers * 8 * queries * width**2
    assert found.of["image", "embeddings"] == frames * (tokens - 1) * 3 * config.image.patch**2 * width
    assert found.of["readout", "readout"] == frames * width * config.embedding


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frames", [4, 40])  # S = 68 goes the dense way, S = 680 by halves
def test_fake_tensors_count_as_real_ones_do(kind: Temporal, frames: int) -> None:
    config = tiny_config(kind, frames=frames)
    torch.manual_seed(0)
    counted = []
    for model in (fake_model(config), Claver(config).eval()):
        video, texts = random_video(model, 2, frames), random_texts(5)
        steps = [*video_steps(model, video), *text_steps(model, plain_texts(model, 5, 9))]
        counted.append([count(model, step.run) for step in steps])
        counted[-1].append(count(model, lambda model=model, texts=texts: model.encode_text(texts), outside="text"))
        assert all(counts.uncounted == {} for counts in counted[-1])
    assert counted[0] == counted[1]


def test_counting_leaves_nothing_behind_in_masks_and_plans() -> None:
    """Plans are kept; made on fake tensors they would spoil every later pass."""
    config = tiny_config("kmct", frames=41)
    profile(config)
    model = Claver(config).eval()
    model.temporal.initialize("random")
    video = random_video(model, 1, 41)
    torch.testing.assert_close(model.encode_video(video), reference_video(model, video))


def test_a_mask_costs_no_multiply_adds() -> None:
    model = tiny_model("kmct")
    video = random_video(model, 1, 4)
    masked, plain = (count(model, lambda m=m: reference_video(model, video, masked=m)) for m in (True, False))
    assert masked == plain


def test_causal_halves_save_half_of_the_attention() -> None:
    """Of the S² pairs those of earlier frames are computed; the diagonal takes no product.

    The class tokens of the last block are so few that one dense call is the cheaper.
    """
    frames, tokens, width = 40, 17, 128
    steps = dict(profile(tiny_config("kmct", frames=frames, layers=3)).video)
    last = frames * frames * tokens
    before, ours = (steps[name].of["temporal", "scores"] // (2 * width) for name in [*steps][1:])
    assert before == 2 * (frames * tokens) ** 2 + last
    assert ours == 2 * tokens**2 * frames * (frames - 1) // 2 + last


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_is_counted_once(kind: Temporal) -> None:
    model = tiny_model(kind)
    counts = parameters(model)
    assert counts.total() == sum(p.numel() for p in model.parameters())
    for part in ("image", "temporal", "text"):
        assert counts.total(part) == sum(p.numel() for p in getattr(model, part).parameters())
    assert counts.total(kind="mlp") == sum(
        p.numel() for n, p in model.named_parameters() if ".up." in n or ".down." in n
    )


def test_a_product_without_a_formula_is_reported() -> None:
    model = tiny_model()
    triangle = torch.eye(3)
    found = count(model, lambda: torch.linalg.solve_triangular(triangle, torch.rand(3, 3), upper=True))
    assert list(found.uncounted) == ["aten.linalg_solve_triangular.default"]
    assert found.total() == 0


def test_elementwise_work_is_neither_counted_nor_reported() -> None:
    x = torch.rand(3, 3)
    work = nn.Sequential(nn.LayerNorm(3), nn.GELU(), nn.Softmax(-1))
    found = count(tiny_model(), lambda: work(x).mul_(x).lerp_(x, x).add(x) + torch.logaddexp(x, x, out=x.clone()))
    assert (found.total(), found.uncounted) == (0, {})


def test_hooks_are_gone_afterwards() -> None:
    model = tiny_model()
    with pytest.raises(RuntimeError, match="on purpose"):
        count(model, lambda: (_ for _ in ()).throw(RuntimeError("on purpose")))
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())


def test_views_and_texts_multiply_and_the_deepest_levers_are_named() -> None:
    config = replace(tiny_config("kmct", frames=40))
    one, many = profile(config), profile(config, texts=7, text_tokens=5)
    assert many.text[0][1].total() == 7 * one.text[0][1].total()
    saved = dict(one.saved())
    assert dict(many.saved(12))["attention: visible pairs only"] == 12 * saved["attention: visible pairs only"]
    assert sum(saved.values()) == one.usual.total() - one.ours.total()
    assert list(saved) == [
        "last block: class tokens only",
        "attention: visible pairs only",
        "texts cut at their end",
        "last block: end token only",
    ]
