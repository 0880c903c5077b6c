"""Against numbers the released code computed on random weights (shared/golden)."""

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


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, Tensor]:
    return load_file(shared / "golden" / "official_small.safetensors")


@pytest.fixture(scope="module")
def released(golden: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Claver]:
    """Loads the golden weights from a file laid out as the released checkpoints are."""
    path = tmp_path_factory.mktemp("released") / "claver.pth"
    state = {key.removeprefix("state."): value for key, value in golden.items() if key.startswith("state.")}
    torch.save({"model": state, "epoch": 3}, path)
    return lambda kind, **settings: claver.load(path, temporal=kind, **settings)


def close(actual: Tensor, expected: Tensor) -> None:
    """Within 1e-5 of the largest entry."""
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("kind", KINDS)
def test_values(kind: str, golden: dict[str, Tensor], released: Callable[..., Claver]) -> None:
    model = released(kind)
    assert model.config.aggregate == "released"
    with torch.no_grad():
        out = model(golden["in.video"], golden["in.text"])
        tokens = model.temporal(model.image_tokens(golden["in.video"]), read="tokens")
    close(out.frame_embeddings, golden[f"{kind}.class_tokens"])
    close(tokens[:, :, 1:], golden[f"{kind}.patch_tokens"])
    close(out.text_embeddings, golden["text.features"])
    close(out.logits, golden[f"{kind}.logits"])
    close(interpretive_loss(out.logits, golden["in.soft_labels"]), golden[f"{kind}.loss"])
    close(class_scores(out.logits, "released"), golden[f"{kind}.scores"])


@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind: str, golden: dict[str, Tensor], released: Callable[..., Claver]) -> None:
    model = released(kind)
    loss = interpretive_loss(model(golden["in.video"], golden["in.text"]).logits, golden["in.soft_labels"])
    parameters: list[Any] = [model.temporal.embedding, model.temporal.blocks[0].qkv.weight, model.text.projection]
    names = ["temporal_embedding", "temporal_in_proj", "text_projection"]
    for name, gradient in zip(names, torch.autograd.grad(loss, parameters), strict=True):
        close(gradient, golden[f"{kind}.grad.{name}"].reshape(gradient.shape))


def test_the_two_arithmetics_differ(golden: dict[str, Tensor], released: Callable[..., Claver]) -> None:
    """Else `aggregate` would be a setting without effect."""
    model = released("kmt")
    with torch.no_grad():
        ours = model(golden["in.video"], golden["in.text"], aggregate="paper")
        theirs = model(golden["in.video"], golden["in.text"])
    assert not torch.allclose(ours.logits, theirs.logits, atol=1e-4)
    cosine = torch.nn.functional.cosine_similarity(ours.video_embedding[0], ours.text_embeddings[1, 2], dim=0)
    torch.testing.assert_close(ours.logits[0, 1, 2], model.scale * cosine)


def test_state_dict_in_safetensors_loads_too(golden: dict[str, Tensor], tmp_path: Path) -> None:
    state = {f"module.{key[6:]}": value for key, value in golden.items() if key.startswith("state.")}
    save_file(state, tmp_path / "weights.safetensors")
    model = claver.load(tmp_path / "weights.safetensors", temporal="kmct")
    with torch.no_grad():
        close(model(golden["in.video"], golden["in.text"]).logits, golden["kmct.logits"])
