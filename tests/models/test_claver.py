"""What holds for any weights: exactness of everything that is skipped, any number of frames, both arithmetics."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from claver.attention import KMCT
from claver.errors import ClaverError
from claver.models import (
    SIZES,
    Claver,
    ClaverConfig,
    class_scores,
    interpretive_loss,
    named_config,
    similarity,
    video_embedding,
)
from claver.models.config import Aggregate
from claver.models.vision.clip import resize_position
from tests.tiny import EOT, random_texts, tiny_config, tiny_model

KINDS = ["kmt", "kmct", "joint", "pipeline", "class", "mean"]
TOLERANCE = {"rtol": 1e-5, "atol": 2e-6}


def clips(batch: int, frames: int = 4, *, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, frames, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_equals_its_clips_one_by_one(kind: str) -> None:
    model = tiny_model(kind)
    video, tokens = clips(3), random_texts(6).view(2, 3, -1)
    with torch.no_grad():
        together = model(video, tokens)
        apart = [model(clip[None], tokens) for clip in video]
    torch.testing.assert_close(together.logits, torch.cat([out.logits for out in apart]), **TOLERANCE)
    assert together.logits.shape == (3, 2, 3)
    assert together.frame_embeddings.shape == (3, 4, 32)
    assert together.video_embedding.shape == (3, 32)
    assert together.text_embeddings.shape == (2, 3, 32)


@pytest.mark.parametrize("kind", ["kmt", "kmct", "joint", "class"])
def test_computing_class_tokens_only_changes_nothing(kind: str) -> None:
    model = tiny_model(kind)
    with torch.no_grad():
        all_tokens = model.image(clips(2).flatten(0, 1)).unflatten(0, (2, 4))
        torch.testing.assert_close(
            model.image(clips(2).flatten(0, 1), summary_only=True), all_tokens.flatten(0, 1)[:, :1]
        )
        pruned = model.encode_tokens(model.image_tokens(clips(2)))
        whole = model.readout(model.temporal(all_tokens, read="tokens")[:, :, 0])
    torch.testing.assert_close(pruned, whole, **TOLERANCE)


def test_pipeline_reads_the_mean_of_all_tokens() -> None:
    """Read from the class token it would be the class-token-only kind (Sec. 3.2)."""
    model, other = tiny_model("pipeline"), tiny_model("class")
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        tokens = model.image_tokens(clips(1))
        whole = model.temporal(tokens, read="tokens")
        torch.testing.assert_close(model.temporal(tokens), whole.mean(2))
        torch.testing.assert_close(whole[:, :, 0], other.temporal(tokens), **TOLERANCE)
        assert not torch.allclose(model.temporal(tokens), other.temporal(tokens), atol=1e-2)


def test_kmct_is_causal_in_time_and_kmt_is_not() -> None:
    early, late = clips(1), clips(1)
    late[:, 3] = clips(1, 1, seed=9)[:, 0]
    for kind, causal in (("kmct", True), ("kmt", False)):
        model = tiny_model(kind)
        with torch.no_grad():
            first, second = model.encode_video(early)[:, :3], model.encode_video(late)[:, :3]
        assert torch.allclose(first, second, atol=1e-6) is causal


def test_the_temporal_tower_equals_its_equations_written_out() -> None:
    """Eq. 2, 6 and 8 with a dense mask and nothing skipped."""
    model = tiny_model("kmct")
    tokens = torch.randn(1, 4, 17, 128)
    x = (tokens + model.temporal.embedding[:, None]).flatten(1, 2)  # [1, S, D]
    hidden = ~KMCT.matrix(4, 17)
    with torch.no_grad():
        for block in model.temporal.blocks:
            q, k, v = block.qkv(block.norm1(x)).view(1, 68, 3, 2, 64).permute(2, 0, 3, 1, 4)
            weights = (q @ k.transpose(-1, -2) / 8).masked_fill(hidden, float("-inf")).softmax(-1)
            x = x + block.out((weights @ v).transpose(1, 2).flatten(2))
            inner = block.up(block.norm2(x))
            x = x + block.down(inner * torch.sigmoid(1.702 * inner))
        torch.testing.assert_close(model.temporal(tokens, read="tokens").flatten(1, 2), x, **TOLERANCE)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 15), min_size=1, max_size=9), st.integers(0, 2**31))
def test_trimmed_texts_equal_padded_ones(ends: list[int], seed: int) -> None:
    """The tower written out at full length, everything computed; what follows EOT is rubbish and must not matter."""
    model = tiny_model()
    tokens = torch.randint(1, EOT, (len(ends), 16), generator=torch.Generator().manual_seed(seed))
    tokens[torch.arange(len(ends)), ends] = EOT
    text, causal = model.text, torch.ones(16, 16, dtype=torch.bool).triu(1)
    with torch.no_grad():
        x = text.embedding(tokens) + text.position
        for block in text.blocks:
            q, k, v = block.qkv(block.norm1(x)).view(-1, 16, 3, 1, 64).permute(2, 0, 3, 1, 4)
            weights = (q @ k.transpose(-1, -2) / 8).masked_fill(causal, float("-inf")).softmax(-1)
            x = x + block.out((weights @ v).transpose(1, 2).flatten(2))
            inner = block.up(block.norm2(x))
            x = x + block.down(inner * torch.sigmoid(1.702 * inner))
        expected = text.norm(x[torch.arange(len(ends)), torch.tensor(ends)]) @ text.projection
        torch.testing.assert_close(model.encode_text(tokens), expected, **TOLERANCE)


def test_many_texts_go_through_several_batches_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokens = tiny_model(), random_texts(40)
    with torch.no_grad():
        expected = torch.cat([model.encode_text(row[None]) for row in tokens])
        monkeypatch.setattr("claver.models.text.base._TOKENS_PER_BATCH", 48)
        torch.testing.assert_close(model.encode_text(tokens), expected, **TOLERANCE)
        assert model.encode_text(tokens[:0]).shape == (0, 32)


def test_a_text_without_end_is_named() -> None:
    tokens = random_texts(3)
    tokens[1] = 5
    with pytest.raises(ValueError, match=r"text 1 has no end-of-text token \(id 99\)"):
        tiny_model().encode_text(tokens)


@pytest.mark.parametrize("kind", ["kmt", "kmct"])
def test_any_number_of_frames(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    model = tiny_model(kind)
    for frames in (1, 2, 7):
        assert model.encode_video(clips(1, frames)).shape == (1, frames, 32)
    assert "temporal embedding interpolated from 4 to 7 frames" in caplog.text
    resized = model.temporal.embedding_at(0, 8, 8)
    torch.testing.assert_close(resized[0], model.temporal.embedding[0])
    torch.testing.assert_close(resized[1], 0.75 * model.temporal.embedding[0] + 0.25 * model.temporal.embedding[1])


def test_position_embedding_keeps_its_class_token_and_its_own_grid() -> None:
    position = torch.randn(17, 8)
    torch.testing.assert_close(resize_position(position, 4, 4), position)
    assert torch.equal(resize_position(position, 6, 2)[0], position[0])


@pytest.mark.parametrize("how", ["zero", "sinusoidal"])
def test_identity_blocks_add_nothing_but_the_embedding(how: str) -> None:
    model = tiny_model("kmt", how=how)
    tokens = torch.randn(1, 4, 17, 128)
    with torch.no_grad():
        torch.testing.assert_close(model.temporal(tokens), tokens[:, :, 0] + model.temporal.embedding)
    assert bool(model.temporal.embedding.any()) is (how == "sinusoidal")
    if how == "sinusoidal":
        torch.testing.assert_close(
            model.temporal.embedding.square().mean().sqrt(), torch.tensor(1.0), rtol=0.05, atol=0
        )


def test_mean_kind_has_no_temporal_parameters() -> None:
    assert not list(tiny_model("mean").temporal.parameters())


def test_half_precision_stays_close_and_keeps_its_type() -> None:
    video, tokens = clips(2), random_texts(4)[None]
    model = tiny_model("kmct")
    with torch.no_grad():
        exact = model(video, tokens)
        half = model.bfloat16()(video, tokens)
    assert half.frame_embeddings.dtype == half.text_embeddings.dtype == torch.bfloat16
    cosine = torch.cosine_similarity(exact.video_embedding, half.video_embedding.float())
    assert (cosine > 0.999).all()


@pytest.mark.parametrize("aggregate", ["paper", "released"])
@pytest.mark.parametrize("autocast", [False, True])
def test_scores_and_losses_of_half_precision_vectors_are_those_of_their_exact_values(
    aggregate: Aggregate, autocast: bool
) -> None:
    """In bfloat16 a cosine times 100 has steps of 0.5: classes that differ by less would tie."""
    generator = torch.Generator().manual_seed(0)
    texts = torch.randn(3, 40, 64, generator=generator).bfloat16()
    frames = (torch.randn(16, 8, 64, generator=generator) + 3 * texts[0, :16, None]).bfloat16()
    scale, labels = torch.tensor(100.0), torch.arange(16)

    def everything(frames: torch.Tensor, texts: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits = similarity(video_embedding(frames, aggregate), texts, scale, aggregate)
        return logits, class_scores(logits, aggregate), interpretive_loss(logits, labels)

    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found = everything(frames, texts)
    for half, exact in zip(found, everything(frames.double(), texts.double()), strict=True):
        torch.testing.assert_close(half.double(), exact, rtol=1e-5, atol=1e-4)


def test_equation_9_is_its_formula() -> None:
    logits, labels = torch.randn(3, 2, 5), torch.rand(3, 5)
    labels = labels / labels.sum(1, keepdim=True)
    expected = sum(
        -labels[i, c] * logits[i, k].log_softmax(0)[c] for i in range(3) for k in range(2) for c in range(5)
    ) / (3 * 2)
    torch.testing.assert_close(interpretive_loss(logits, labels), torch.as_tensor(expected))
    hard = torch.tensor([4, 0, 2])
    one_hot = torch.nn.functional.one_hot(hard, 5).float()
    torch.testing.assert_close(interpretive_loss(logits, hard), interpretive_loss(logits, one_hot))


def test_equation_10_needs_one_prototype_per_class_only() -> None:
    """The sum over texts is linear: the sum of unit text vectors ranks and scores alike."""
    video, texts = torch.randn(4, 8), torch.randn(6, 5, 8)
    scores = class_scores(similarity(video, texts, 10.0))
    prototypes = torch.nn.functional.normalize(texts, dim=-1).sum(0)
    torch.testing.assert_close(scores, 10 * torch.nn.functional.normalize(video, dim=-1) @ prototypes.T)


def test_released_arithmetic_is_its_formula() -> None:
    frames, texts = torch.randn(2, 3, 8), torch.randn(4, 5, 8)
    unit = frames / frames.norm(dim=-1, keepdim=True)
    embedding = video_embedding(frames, "released")
    torch.testing.assert_close(embedding, unit.mean(1))
    logits = similarity(embedding, texts, 7.0, "released")
    torch.testing.assert_close(logits[1, 2, 3], 7 * unit[1].mean(0) @ (texts[2, 3] / texts[2, 3].norm()))
    torch.testing.assert_close(class_scores(logits, "released"), logits.softmax(2).mean(1))


def test_the_scale_is_clamped_at_100() -> None:
    model = tiny_model()
    with torch.no_grad():
        model.logit_scale.fill_(6.0)
    torch.testing.assert_close(model.scale, torch.tensor(100.0))
    model.clamp_scale()
    assert model.logit_scale.item() == pytest.approx(math.log(100))


@pytest.mark.parametrize("value", [2.0, math.log(100), 4.6055], ids=["usual", "limit", "fp16"])
def test_a_scale_at_its_limit_still_learns(value: float) -> None:
    """OpenAI's fp16 checkpoints hold 4.6055, a little more than ln 100."""
    model = tiny_model()
    with torch.no_grad():
        model.logit_scale.fill_(value)
    model.scale.backward()
    assert model.logit_scale.grad is not None
    assert model.logit_scale.grad.item() == pytest.approx(min(math.exp(value), 100.0), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "layers", "tokens"), [("B/32", 4, 50), ("B/16", 4, 197), ("L/14", 8, 257), ("L/14-336", 8, 577)]
)
def test_named_sizes(name: str, layers: int, tokens: int) -> None:
    config = named_config(name, "kmct", 16)
    assert (config.temporal.layers, config.image.tokens, config.temporal.frames) == (layers, tokens, 16)
    assert config.image.width // config.image.heads == config.text.width // config.text.heads == 64
    assert set(SIZES) == {"B/32", "B/16", "L/14", "L/14-336"}


@pytest.mark.parametrize(("name", "millions"), [("B/32", 151.28), ("L/14", 427.62)])
def test_named_sizes_have_clip_s_parameter_counts(name: str, millions: float) -> None:
    with torch.device("meta"):
        model = Claver(named_config(name, "mean"))
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)


def test_config_survives_json_and_refuses_strangers() -> None:
    config = tiny_config("kmct")
    assert ClaverConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ClaverError, match=r"unknown keys \['wdth'\]"):
        ClaverConfig.from_dict({"image": {"wdth": 3}})
    with pytest.raises(ClaverError, match="unknown keys"):
        ClaverConfig.from_dict({"imag": {}})
    with pytest.raises(ClaverError, match="temporal must be one of"):
        tiny_config("kmta")  # type: ignore[arg-type]
    with pytest.raises(ClaverError, match="norm_eps must be above 0"):
        ClaverConfig(norm_eps=float("nan"))
    with pytest.raises(ClaverError, match="there is no size"):
        named_config("H/14")
