"""Against numbers the released code computed on random weights: those of tests/golden, and all of shared/golden."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import claver
from claver.models import Claver, class_scores, interpretive_loss

KINDS = ["kmt", "kmct", "joint"]
SMALL = Path(__file__).parents[1] / "golden" / "released_small.safetensors"


@pytest.fixture(scope="module", params=["small", "whole"])
def golden(request: pytest.FixtureRequest) -> dict[str, Tensor]:
    """All numbers; the small file has the image tower's tokens in place of its blocks and input."""
    if request.param == "whole":
        return load_file(request.getfixturevalue("shared") / "golden" / "official_small.safetensors")
    values = load_file(SMALL)
    for key in [key for key in values if "transformer_t" in key]:
        for block in range(3):
            name = key.replace("transformer_t.resblocks.0", f"transformer.resblocks.{block}").replace("temporal_", "")
            values[name] = torch.zeros_like(values[key])
    return values


@pytest.fixture(scope="module")
def released(golden: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Claver]:
    """Loads the golden weights from a file laid out as the released checkpoints are."""
    path = tmp_path_factory.mktemp("released") / "claver.pth"
    state = {key.removeprefix("state."): value for key, value in golden.items() if key.startswith("state.")}
    torch.save({"model": state, "epoch": 3}, path)
    return lambda kind, **settings: looking(claver.load(path, temporal=kind, **settings), golden)


def looking(model: Claver, golden: dict[str, Tensor]) -> Claver:
    """The model itself, or one whose image tower gives the tokens that the small file has."""
    if "in.image_tokens" in golden:
        model.image_tokens = lambda video: video  # type: ignore[method-assign, assignment, misc]
    return model


def seen(golden: dict[str, Tensor]) -> Tensor:
    return golden.get("in.image_tokens", golden.get("in.video"))  # type: ignore[return-value]


def close(actual: Tensor, expected: Tensor) -> None:
    """Within 1e-5 of the largest entry."""
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("kind", KINDS)
def test_values(kind: str, golden: dict[str, Tensor], released: Callable[..., Claver]) -> None:
    model = released(kind)
    assert model.config.aggregate == "released"
    with torch.no_grad():
        out = model(seen(golden), golden["in.text"])
        tokens = model.temporal(model.image_tokens(seen(golden)), read="tokens")
    close(out.frame_embeddings, golden[f"{kind}.class_tokens"])
    close(tokens[:, :, 1:], golden[f"{kind}.patch_tokens"])
    close(out.text_embeddings, golden["text.features"])
    close(out.logits, golden[f"{kind}.logits"])
    close(interpretive_loss(out.logits, golden["in.soft_labels"]), golden[f"{kind}.loss"])
    close(class_scores(out.logits, "released"), golden[f"{kind}.scores"])


@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind: str, golden: dict[str, Tensor], released: Callable[..., Claver]) -> None:
    model = released(kind)
    loss = interpretive_loss(model(seen(golden), golden["in.text"]).logits, golden["in.soft_labels"])
    parameters: list[Any] = [model.temporal.embedding, model.temporal.blocks[0].qkv.weight, model.text.projection]
    names = ["temporal_embedding", "temporal_in_proj", "text_projection"]
    for name, gradient in zip(names, torch.autograd.grad(loss, parameters), strict=True):
        expected = golden[f"{kind}.grad.{name}"].reshape(-1, gradient.shape[-1])
        close(gradient.reshape(-1, gradient.shape[-1])[:: gradient.numel() // expected.numel()], expected)


def test_the_two_arithmetics_differ(golden: dict[str, Tensor], released: Callable[..., Claver]) -> None:
    """Else `aggregate` would be a setting without effect."""
    model = released("kmt")
    with torch.no_grad():
        ours = model(seen(golden), golden["in.text"], aggregate="paper")
        theirs = model(seen(golden), golden["in.text"])
    assert not torch.allclose(ours.logits, theirs.logits, atol=1e-4)
    cosine = torch.nn.functional.cosine_similarity(ours.video_embedding[0], ours.text_embeddings[1, 2], dim=0)
    torch.testing.assert_close(ours.logits[0, 1, 2], model.scale * cosine)


def test_state_dict_in_safetensors_loads_too(golden: dict[str, Tensor], tmp_path: Path) -> None:
    state = {f"module.{key[6:]}": value for key, value in golden.items() if key.startswith("state.")}
    save_file(state, tmp_path / "weights.safetensors")
    model = looking(claver.load(tmp_path / "weights.safetensors", temporal="kmct"), golden)
    with torch.no_grad():
        close(model(seen(golden), golden["in.text"]).logits, golden["kmct.logits"])
