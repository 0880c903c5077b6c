"""`transformers`' CLIP with random weights: what checkpoints of every layout are made of, and are compared with."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import claver

MARKS = {"eos_token_id": 299, "bos_token_id": 298, "pad_token_id": 1}


def random_clip(
    folder: Path | None = None,
    *,
    seed: int = 0,
    hidden_act: str = "quick_gelu",
    eos_token_id: int = 299,
    vision: dict[str, Any] | None = None,
    text: dict[str, Any] | None = None,
) -> Any:
    """A `CLIPModel` of three small image blocks and two text blocks, saved into `folder`."""
    import transformers

    torch.manual_seed(seed)
    sizes = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 3, "num_attention_heads": 4}
    sizes |= {"image_size": 32, "patch_size": 8, "hidden_act": hidden_act} | (vision or {})
    words = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 2}
    words |= {"vocab_size": 300, "max_position_embeddings": 20, "hidden_act": hidden_act} | MARKS
    words |= {"eos_token_id": eos_token_id} | (text or {})
    config = transformers.CLIPConfig(vision_config=sizes, text_config=words, projection_dim=48)
    model = transformers.CLIPModel(config).eval()
    with torch.no_grad():  # norms and biases start at 1 and 0; move them, so that a swapped one shows
        for parameter in model.parameters():
            if parameter.ndim:
                parameter.mul_(2.0).add_(0.1 * torch.randn_like(parameter))  # so that activations differ by much
    if folder is not None:
        model.save_pretrained(folder)
    return model


def texts() -> Tensor:
    tokens = torch.randint(2, 298, (7, 20), generator=torch.Generator().manual_seed(1))
    tokens[:, 0] = 298
    for row, end in enumerate([4, 19, 1, 8, 8, 12, 3]):
        tokens[row, end] = 299
        tokens[row, end + 1 :] = 299
    return tokens


def embeddings(output: Any) -> Tensor:
    """`get_*_features` returns a tensor or, in newer versions, an output whose pooled state is projected."""
    return output if isinstance(output, Tensor) else output.pooler_output


def pictures(size: int = 32) -> Tensor:
    return torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def assert_same_features(ours: claver.Claver, theirs: Any) -> None:
    """Image and text features, and the logits made of them, are those of `transformers`."""
    pixels, ids = pictures(ours.config.image.size), texts()
    expected_images = embeddings(theirs.get_image_features(pixel_values=pixels))
    expected_texts = embeddings(theirs.get_text_features(input_ids=ids))
    torch.testing.assert_close(ours.encode_video(pixels[:, None])[:, 0], expected_images, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.encode_text(ids), expected_texts, rtol=1e-4, atol=1e-4)
    expected = theirs(pixel_values=pixels, input_ids=ids).logits_per_image
    torch.testing.assert_close(ours(pixels[:, None], ids[None]).logits[:, 0], expected, rtol=1e-4, atol=1e-3)


def openai_names(theirs: Any) -> dict[str, Tensor]:
    """A `CLIPModel`'s weights as OpenAI and open_clip lay them out."""
    state = dict(theirs.state_dict())
    towers = {"vision_model": "visual.transformer", "text_model": "transformer"}
    parts = {"self_attn.out_proj": "attn.out_proj", "layer_norm1": "ln_1", "layer_norm2": "ln_2"}
    parts |= {"mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
    plain = {
        "vision_model.embeddings.class_embedding": "visual.class_embedding",
        "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
        "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
        "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
        "text_model.embeddings.position_embedding.weight": "positional_embedding",
        "logit_scale": "logit_scale",
    }
    for kind in ("weight", "bias"):
        plain |= {
            f"vision_model.pre_layrnorm.{kind}": f"visual.ln_pre.{kind}",
            f"vision_model.post_layernorm.{kind}": f"visual.ln_post.{kind}",
            f"text_model.final_layer_norm.{kind}": f"ln_final.{kind}",
        }
    named = {ours: state[key] for key, ours in plain.items()}
    named |= {"visual.proj": state["visual_projection.weight"].T, "text_projection": state["text_projection.weight"].T}
    for tower, ours in towers.items():
        for number in {key.split(".")[3] for key in state if key.startswith(f"{tower}.encoder.layers.")}:
            theirs_at, ours_at = f"{tower}.encoder.layers.{number}", f"{ours}.resblocks.{number}"
            for kind in ("weight", "bias"):
                qkv = [state[f"{theirs_at}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
                named[f"{ours_at}.attn.in_proj_{kind}"] = torch.cat(qkv)
                named |= {f"{ours_at}.{our}.{kind}": state[f"{theirs_at}.{part}.{kind}"] for part, our in parts.items()}
    return {key: value.clone().contiguous() for key, value in named.items()}


def open_clip_config(theirs: Any, **changes: Any) -> dict[str, Any]:
    """`open_clip_config.json` of a `CLIPModel`; `changes` of its three sections or of `model_cfg` itself."""
    vision, text = theirs.config.vision_config, theirs.config.text_config
    vision_cfg = {"image_size": vision.image_size, "layers": vision.num_hidden_layers, "width": vision.hidden_size}
    vision_cfg |= {"patch_size": vision.patch_size, "head_width": vision.hidden_size // vision.num_attention_heads}
    vision_cfg |= {"mlp_ratio": vision.intermediate_size / vision.hidden_size}
    text_cfg = {"context_length": 20, "vocab_size": 300, "width": text.hidden_size, "heads": text.num_attention_heads}
    text_cfg |= {"layers": text.num_hidden_layers}
    model = {"embed_dim": 48, "vision_cfg": vision_cfg | changes.pop("vision_cfg", {})}
    model |= {"text_cfg": text_cfg | changes.pop("text_cfg", {}), "quick_gelu": vision.hidden_act == "quick_gelu"}
    preprocess = changes.pop("preprocess_cfg", {})
    return {"model_cfg": model | changes, "preprocess_cfg": preprocess}


def write_json(path: Path, values: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))
    return path
