"""Training with towers of other libraries: what learns, adapters, recomputed activations, caches, saved runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tests.models import random_family as families
from tests.videos import write_video
from typer.testing import CliRunner

import claver
from claver.cli.main import app
from claver.models import Claver
from claver.training.lora import add_lora, merge_lora, plain_model
from claver.training.memory import recomputed_blocks
from claver.training.optim import decays, freeze, to_training
from claver.training.recipe import Lora

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A SigLIP, and a DINOv2 that is joined with a sentence encoder."""
    root = tmp_path_factory.mktemp("towers")
    families.saved("siglip2", root / "siglip2")
    families.saved("dinov2", root / "dinov2")
    families.sentence_encoder(root / "words")
    claver.load(root / "dinov2", text=root / "words", temporal="mean").save_pretrained(root / "joined")
    return {"siglip2": root / "siglip2", "joined": root / "joined"}


def inputs(model: Claver) -> tuple[torch.Tensor, torch.Tensor]:
    assert model.tokenizer is not None
    size = model.config.image.size
    video = torch.randn(2, 3, 3, size, size, generator=torch.Generator().manual_seed(0))
    return video, model.tokenizer(families.TEXTS[:3])[None]


def test_what_is_looked_up_does_not_decay(places: dict[str, Path]) -> None:
    names = {}
    for place in places.values():
        model = claver.load(place, temporal="kmct", frames=3)
        names |= {name: decays(name, parameter) for name, parameter in model.named_parameters()}
    matrices = {
        "image.body.embeddings.patch_embedding.weight",
        "image.body.embeddings.patch_embeddings.projection.weight",
        "image.body.encoder.layers.0.self_attn.q_proj.weight",
        "image.pool.head.attention.in_proj_weight",
        "text.body.encoder.layer.0.output.dense.weight",
        "text.projection",
        "readout.projection",
    }
    looked_up = {
        "image.body.embeddings.position_embedding.weight",
        "image.body.embeddings.position_embeddings",
        "image.body.embeddings.cls_token",
        "image.body.embeddings.mask_token",
        "image.pool.head.probe",
        "text.body.embeddings.token_embedding.weight",
        "text.body.embeddings.word_embeddings.weight",
        "text.body.embeddings.token_type_embeddings.weight",
        "temporal.embedding",
        "logit_bias",
    }
    assert matrices | looked_up <= names.keys()
    assert all(names[name] for name in matrices)
    assert not any(names[name] for name in looked_up)


@pytest.mark.parametrize("name", ["siglip2", "joined"])
def test_recomputed_activations_give_the_same_gradients(name: str, places: dict[str, Path]) -> None:
    gradients = []
    for wanted in (False, True):
        torch.manual_seed(0)  # the temporal tower is new
        model = claver.load(places[name], temporal="kmct", frames=3)
        with recomputed_blocks(model, wanted):
            model(*inputs(model)).logits.square().sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    learned = [name for name, gradient in gradients[0].items() if gradient is not None and gradient.any()]
    assert any(name.startswith("image.body.encoder") for name in learned)
    assert any(name.startswith("text.body.encoder") for name in learned)
    for key in learned:
        torch.testing.assert_close(gradients[1][key], gradients[0][key])


@pytest.mark.parametrize("name", ["siglip2", "joined"])
def test_adapters_start_as_nothing_and_merge_into_the_layers(name: str, places: dict[str, Path]) -> None:
    pytest.importorskip("peft")
    model = claver.load(places[name], temporal="kmct", frames=3)
    keys = model.state_dict().keys()
    with torch.no_grad():
        before = model(*inputs(model)).logits
        add_lora(model, Lora(rank=2, alpha=4))
        torch.testing.assert_close(model(*inputs(model)).logits, before)
        for key, parameter in model.named_parameters():
            if "lora_" in key:
                torch.nn.init.normal_(parameter, std=0.1)
        adapted = model(*inputs(model)).logits
        assert not torch.allclose(adapted, before, atol=1e-2)
        torch.testing.assert_close(plain_model(model)(*inputs(model)).logits, adapted, rtol=1e-3, atol=1e-3)
        merge_lora(model)
        torch.testing.assert_close(model(*inputs(model)).logits, adapted, rtol=1e-3, atol=1e-3)
    assert model.state_dict().keys() == keys


@pytest.mark.parametrize("name", ["siglip2", "joined"])
def test_a_run_from_videos_with_and_without_cached_tokens(
    name: str, places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ["path,label,split"]
    for seed in range(6):
        write_video(tmp_path / f"{seed}.mp4", seed=seed)
        rows.append(f"{seed}.mp4,{('waving', 'bowing')[seed % 2]},{'test' if seed > 3 else 'train'}")
    (tmp_path / "clips.csv").write_text("\n".join(rows) + "\n")
    sets = {"train": "clips.csv", "train_split": "train", "test": "clips.csv", "test_split": "test", "workers": 0}
    assert claver.load(places[name]).config.untrained == (name == "joined")
    recipe: dict[str, Any] = {"task": "videos", "videos": sets, "init_from": str(places[name]), "freeze": ["image"]}
    recipe |= {"steps": 2, "warmup": 1, "batch_size": 2, "lr": 1e-3, "temporal": {"kind": "kmct", "frames": 3}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    monkeypatch.chdir(tmp_path)
    for output, words in (("plain", []), ("cached", [f"videos.cache={tmp_path / 'tokens'}"])):
        done = CliRunner().invoke(app, ["train", "recipe.yaml", *words, "--output", output], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        trained = claver.load(tmp_path / output / "last")
        start = claver.load(places[name], temporal="kmct", frames=3)
        moved = {
            key.split(".")[0] for key, value in trained.state_dict().items() if not value.equal(start.state_dict()[key])
        }
        assert moved >= {"temporal", "text"}
        assert "image" not in moved
        assert trained.learned is not None
        assert not trained.config.untrained
        assert trained.learned.names == ("bowing", "waving")
        answer = CliRunner().invoke(app, ["recognize", "0.mp4", "--model", output], catch_exceptions=False)
        assert answer.exit_code == 0
        assert "waving" in answer.output


def test_a_frozen_tower_gives_in_training_what_it_gives_otherwise(places: dict[str, Path]) -> None:
    """BERT drops at random in training mode, if it learns; CLIP has nothing of the kind."""
    model = claver.load(places["joined"], temporal="kmct", frames=3)
    _, tokens = inputs(model)
    with torch.no_grad():
        expected = model.encode_text(tokens)
        freeze(model, ("text", "image"))
        to_training(model)
        assert model.temporal.training
        assert torch.equal(model.encode_text(tokens), expected)
        freeze(model, ())
        to_training(model)
        assert not torch.equal(model.encode_text(tokens), expected)
