"""The modules that are exported compute what the model does."""

import pytest
import torch
from tests.exports import timed_model
from tests.tiny import tiny_model

from claver.attention.kv_cache import KeyValueCache
from claver.errors import ClaverError
from claver.export.graphs import StepGraph, TextGraph, VideoGraph, frozen, time_embedding
from claver.models.config import Temporal
from claver.models.temporal import resize_time
from claver.video.transforms import normalize


@pytest.mark.parametrize("frames", [1, 3, 8, 11])
def test_any_number_of_frames_has_the_time_embedding_of_the_tower(frames: int) -> None:
    own = torch.randn(8, 6)
    wanted = own if frames == 8 else resize_time(own, frames)
    torch.testing.assert_close(time_embedding(own, frames), wanted, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", ["kmt", "kmct", "joint", "pipeline", "class", "mean"])
@torch.no_grad()
def test_clips_of_bytes_or_of_normalised_pixels(kind: Temporal) -> None:
    model, pixels = timed_model(kind), torch.randint(0, 256, (2, 3, 3, 32, 32), dtype=torch.uint8)
    own = model.config.preprocess
    video = normalize(pixels, own.mean, own.std)
    wanted = model.encode_video(video)
    for takes_bytes, given in ((True, pixels), (False, video)):
        frames, clip = VideoGraph(model, takes_bytes=takes_bytes, sliced=False)(given)
        torch.testing.assert_close(frames, wanted, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(clip, wanted.mean(1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(model.encode_video(video), wanted, atol=0, rtol=0)  # the model's own attention stays


@torch.no_grad()
def test_steps_of_clips_that_began_at_different_times_are_those_of_the_tower() -> None:
    model, window = timed_model("kmct"), 4
    graph = StepGraph(model, window, takes_bytes=False)
    video = torch.randn(2, window, 3, 32, 32)
    keys, values = (torch.full(graph.cache_shape(2, 2), 9.0) for _ in range(2))
    tokens = model.image_tokens(video)
    wanted = [model.readout(model.temporal.step(tokens[:, late:], KeyValueCache(window))) for late in (0, 1)]
    for frame in range(window):
        seen = torch.tensor([frame, max(0, frame - 1)])
        made, keys, values = graph(video[:, frame], seen, keys, values)
        torch.testing.assert_close(made[0], wanted[0][:, frame], atol=1e-5, rtol=1e-5)
        if frame:
            torch.testing.assert_close(made[1], wanted[1][:, frame - 1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("kind", "told"), [("kmt", "looks ahead"), ("mean", "watches streams without it")])
def test_other_kinds_have_no_steps(kind: Temporal, told: str) -> None:
    with pytest.raises(ClaverError, match=f"--streaming is for temporal kind kmct; {kind} {told}"):
        StepGraph(tiny_model(kind), 4, takes_bytes=True)


@torch.no_grad()
def test_texts_end_where_they_end_in_the_tower() -> None:
    model = tiny_model()
    ids = torch.tensor([[3, 4, 99, 7, 7], [5, 6, 7, 8, 99]])
    torch.testing.assert_close(TextGraph(model)(ids), model.text(ids), atol=1e-5, rtol=1e-5)


def test_parameters_ask_for_gradients_again() -> None:
    model = tiny_model()
    model.logit_scale.requires_grad_(False)
    with frozen(model):
        assert not any(parameter.requires_grad for parameter in model.parameters())
    assert [name for name, each in model.named_parameters() if not each.requires_grad] == ["logit_scale"]
