"""Against `transformers`' CLIP built from random configs, both towers, through files on disk."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import claver
from claver.errors import CheckpointError
from tests.models.random_clip import assert_same_features, embeddings, random_clip, texts, write_json

transformers = pytest.importorskip("transformers", reason="transformers (extra hf) is not installed")

RAW = 1e-3
"""Raw tokens of these random weights reach 60; transformers' own are up to 4e-4 from those of double precision."""


@pytest.mark.parametrize("changes", [{}, {"hidden_act": "gelu"}, {"eos_token_id": 2}], ids=["clip", "gelu", "old-eos"])
def test_both_towers(tmp_path: Path, changes: dict[str, Any]) -> None:
    theirs = random_clip(tmp_path, **changes)
    ours = claver.load(tmp_path, temporal="mean")
    video = torch.randn(2, 3, 3, 32, 32)
    with torch.no_grad():
        expected = embeddings(theirs.get_image_features(pixel_values=video.flatten(0, 1))).view(2, 3, -1)
        torch.testing.assert_close(ours.encode_video(video), expected, rtol=1e-4, atol=1e-4)
        raw = theirs.vision_model(pixel_values=video.flatten(0, 1)).last_hidden_state
        torch.testing.assert_close(ours.image(video.flatten(0, 1)), raw, rtol=1e-4, atol=RAW)
        expected = embeddings(theirs.get_text_features(input_ids=texts()))
        torch.testing.assert_close(ours.encode_text(texts()), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.logit_scale, theirs.logit_scale)


@pytest.mark.parametrize("kind", ["kmt", "kmct", "joint", "class"])
def test_a_new_temporal_tower_starts_as_clip_with_mean_pooling(tmp_path: Path, kind: Any) -> None:
    theirs = random_clip(tmp_path)
    ours = claver.load(tmp_path, temporal=kind, frames=3)
    video = torch.randn(2, 3, 3, 32, 32)
    with torch.no_grad():
        expected = embeddings(theirs.get_image_features(pixel_values=video.flatten(0, 1))).view(2, 3, -1).mean(1)
        torch.testing.assert_close(ours(video, texts()[None]).video_embedding, expected, rtol=1e-4, atol=1e-4)


def test_other_resolutions_interpolate_positions_as_transformers_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = random_clip(tmp_path)
    ours = claver.load(tmp_path, temporal="mean")
    frames = torch.randn(2, 3, 48, 40)
    with torch.no_grad():
        expected = theirs.vision_model(pixel_values=frames, interpolate_pos_encoding=True).last_hidden_state
        torch.testing.assert_close(ours.image(frames), expected, rtol=1e-4, atol=RAW)
    assert "position embedding interpolated from 4×4 to 6×5 patches" in caplog.text


def test_pickled_weights_beside_a_config(tmp_path: Path) -> None:
    theirs = random_clip(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(theirs.state_dict(), tmp_path / "pytorch_model.bin")
    ours = claver.load(tmp_path, temporal="mean")
    assert torch.equal(ours.image.patch.weight, theirs.vision_model.embeddings.patch_embedding.weight)


VISION_80 = {"hidden_size": 320, "num_attention_heads": 4, "intermediate_size": 800}
TEXT_16 = {"num_attention_heads": 4, "intermediate_size": 100}


@pytest.mark.parametrize("hidden_act", ["gelu", "quick_gelu"])
def test_heads_and_mlps_of_any_width(tmp_path: Path, hidden_act: str) -> None:
    theirs = random_clip(tmp_path, hidden_act=hidden_act, vision=VISION_80, text=TEXT_16)
    ours = claver.load(tmp_path, temporal="mean")
    assert_same_features(ours, theirs)
    ours.save_pretrained(tmp_path / "saved")
    assert_same_features(claver.load(tmp_path / "saved"), theirs)


def test_shards_by_their_index_and_nothing_beside_them(tmp_path: Path) -> None:
    theirs = random_clip()
    theirs.save_pretrained(tmp_path, max_shard_size="400KB")
    assert len(list(tmp_path.glob("model-*-of-*.safetensors"))) > 2
    random_clip(tmp_path / "other", seed=1)
    (tmp_path / "other" / "model.safetensors").rename(tmp_path / "model_int8.safetensors")
    assert_same_features(claver.load(tmp_path, temporal="mean"), theirs)
    first = min(tmp_path.glob("model-*-of-*.safetensors"))
    first.unlink()
    with pytest.raises(CheckpointError, match=f"index.json names {first.name}, which is not there"):
        claver.load(tmp_path)


@pytest.mark.parametrize(
    "name", ["model_int8.safetensors", "model.fp16.safetensors", "model-00001-of-00002.safetensors"]
)
def test_other_weights_beside_model_safetensors_do_not_count(tmp_path: Path, name: str) -> None:
    theirs = random_clip(tmp_path)
    random_clip(tmp_path / "other", seed=1)
    (tmp_path / "other" / "model.safetensors").rename(tmp_path / name)
    assert_same_features(claver.load(tmp_path, temporal="mean"), theirs)


def test_old_config_dicts_are_read_as_transformers_reads_them(tmp_path: Path) -> None:
    """`vision_config_dict` takes the place of `vision_config`, what it leaves out being the default."""
    random_clip(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    for name, heads in (("vision_config", 2), ("text_config", 4)):
        values[f"{name}_dict"] = values[name] | {"num_attention_heads": heads}
        del values[f"{name}_dict"]["layer_norm_eps"]
        values[name]["layer_norm_eps"] = 1e-3
    write_json(tmp_path / "config.json", values)
    theirs = transformers.CLIPModel.from_pretrained(tmp_path).eval()
    ours = claver.load(tmp_path, temporal="mean")
    assert (ours.config.image.heads, ours.config.text.heads, ours.config.norm_eps) == (2, 4, 1e-5)
    assert_same_features(ours, theirs)


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.module.", ""])
def test_a_wrapper_s_prefix_is_taken_off(tmp_path: Path, prefix: str) -> None:
    theirs = random_clip(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save({f"{prefix}{key}": value for key, value in theirs.state_dict().items()}, tmp_path / "pytorch_model.bin")
    assert_same_features(claver.load(tmp_path, temporal="mean"), theirs)


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("vision_config", {"layer_norm_eps": 1e-6}, "1e-06 for images but 1e-05 for texts"),
        ("vision_config", {"hidden_act": "gelu_new"}, "activation 'gelu_new' is not supported"),
        ("vision_config", {"image_size": [32, 64]}, "is not square"),
        ("vision_config", {"num_attention_heads": 7}, "cannot be cut into 7 heads"),
        ("text_config", {"eos_token_id": 300}, "eot, 300, is not in a vocabulary of 300 tokens"),
        ("text_config", {"vocab_size": 10**12}, "vocabulary is 1000000000000; no model has more"),
        ("text_config", {"num_hidden_layers": 10**6}, "layers is 1000000; no model has more"),
    ],
)
def test_a_config_that_cannot_be_followed(tmp_path: Path, part: str, change: dict[str, Any], message: str) -> None:
    random_clip(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    values[part] |= change
    write_json(tmp_path / "config.json", values)
    with pytest.raises(CheckpointError, match=message):
        claver.load(tmp_path)
