"""Against `transformers`' CLIP built from random configs, both towers, through files on disk."""

from pathlib import Path
from typing import Any

import pytest
import torch

import claver

transformers = pytest.importorskip("transformers", reason="transformers (extra hf) is not installed")


def random_clip(folder: Path, **changes: Any) -> Any:
    torch.manual_seed(0)
    vision = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 3, "num_attention_heads": 4}
    vision |= {"image_size": 32, "patch_size": 8, "hidden_act": changes.get("hidden_act", "quick_gelu")}
    text = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 2}
    text |= {"vocab_size": 300, "max_position_embeddings": 20, "hidden_act": changes.get("hidden_act", "quick_gelu")}
    text |= {"eos_token_id": changes.get("eos_token_id", 299), "bos_token_id": 298, "pad_token_id": 1}
    config = transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=48)
    model = transformers.CLIPModel(config).eval()
    with torch.no_grad():  # norms and biases start at 1 and 0; move them, so that a swapped one shows
        for parameter in model.parameters():
            if parameter.ndim:
                parameter.add_(0.05 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return model


def texts() -> torch.Tensor:
    tokens = torch.randint(2, 298, (7, 20), generator=torch.Generator().manual_seed(1))
    tokens[:, 0] = 298
    for row, end in enumerate([4, 19, 1, 8, 8, 12, 3]):
        tokens[row, end] = 299
        tokens[row, end + 1 :] = 299
    return tokens


def embeddings(output: Any) -> torch.Tensor:
    """`get_*_features` returns a tensor or, in newer versions, an output whose pooled state is projected."""
    return output if isinstance(output, torch.Tensor) else output.pooler_output


@pytest.mark.parametrize("changes", [{}, {"hidden_act": "gelu"}, {"eos_token_id": 2}], ids=["clip", "gelu", "old-eos"])
def test_both_towers(tmp_path: Path, changes: dict[str, Any]) -> None:
    theirs = random_clip(tmp_path, **changes)
    ours = claver.load(tmp_path, temporal="mean")
    video = torch.randn(2, 3, 3, 32, 32)
    with torch.no_grad():
        expected = embeddings(theirs.get_image_features(pixel_values=video.flatten(0, 1))).view(2, 3, -1)
        torch.testing.assert_close(ours.encode_video(video), expected, rtol=1e-5, atol=1e-5)
        raw = theirs.vision_model(pixel_values=video.flatten(0, 1)).last_hidden_state
        torch.testing.assert_close(ours.image(video.flatten(0, 1)), raw, rtol=1e-5, atol=1e-5)
        expected = embeddings(theirs.get_text_features(input_ids=texts()))
        torch.testing.assert_close(ours.encode_text(texts()), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.logit_scale, theirs.logit_scale)


@pytest.mark.parametrize("kind", ["kmt", "kmct", "joint", "class"])
def test_a_new_temporal_tower_starts_as_clip_with_mean_pooling(tmp_path: Path, kind: Any) -> None:
    theirs = random_clip(tmp_path)
    ours = claver.load(tmp_path, temporal=kind, frames=3)
    video = torch.randn(2, 3, 3, 32, 32)
    with torch.no_grad():
        expected = embeddings(theirs.get_image_features(pixel_values=video.flatten(0, 1))).view(2, 3, -1).mean(1)
        torch.testing.assert_close(ours(video, texts()[None]).video_embedding, expected, rtol=1e-5, atol=1e-5)


def test_other_resolutions_interpolate_positions_as_transformers_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = random_clip(tmp_path)
    ours = claver.load(tmp_path, temporal="mean")
    frames = torch.randn(2, 3, 48, 40)
    with torch.no_grad():
        expected = theirs.vision_model(pixel_values=frames, interpolate_pos_encoding=True).last_hidden_state
        torch.testing.assert_close(ours.image(frames), expected, rtol=1e-5, atol=1e-5)
    assert "position embedding interpolated from 4×4 to 6×5 patches" in caplog.text


def test_pickled_weights_beside_a_config(tmp_path: Path) -> None:
    theirs = random_clip(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(theirs.state_dict(), tmp_path / "pytorch_model.bin")
    ours = claver.load(tmp_path, temporal="mean")
    assert torch.equal(ours.image.patch.weight, theirs.vision_model.embeddings.patch_embedding.weight)
