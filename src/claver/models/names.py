"""Parameter names and layouts of other people's checkpoints, turned into ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from claver.errors import CheckpointError

State = dict[str, Tensor]

_OPENAI_BLOCK = {
    "attn.in_proj_": "qkv.",
    "attn.out_proj.": "out.",
    "ln_1.": "norm1.",
    "ln_2.": "norm2.",
    "mlp.c_fc.": "up.",
    "mlp.c_proj.": "down.",
}
_OPENAI = {
    "visual.conv1.": "image.patch.",
    "visual.class_embedding": "image.class_token",
    "visual.positional_embedding": "image.position",
    "visual.ln_pre.": "image.norm_pre.",
    "visual.ln_post.": "readout.norm.",
    "visual.proj": "readout.projection",
    "visual.temporal_embedding": "temporal.embedding",
    "token_embedding.": "text.embedding.",
    "positional_embedding": "text.position",
    "ln_final.": "text.norm.",
    "text_projection": "text.projection",
    "logit_scale": "logit_scale",
} | {
    f"{theirs}.resblocks.{{i}}.{prefix}{part}": f"{ours}.blocks.{{i}}.{our_part}"
    for theirs, ours, prefix in (
        ("visual.transformer", "image", ""),
        ("visual.transformer_t", "temporal", "temporal_"),
        ("transformer", "text", ""),
    )
    for part, our_part in _OPENAI_BLOCK.items()
}
_OPENAI_IGNORED = ("input_resolution", "context_length", "vocab_size")

_HF_BLOCK = {
    "self_attn.qkv_proj.": "qkv.",
    "self_attn.out_proj.": "out.",
    "layer_norm1.": "norm1.",
    "layer_norm2.": "norm2.",
    "mlp.fc1.": "up.",
    "mlp.fc2.": "down.",
}
_HF = {
    "vision_model.embeddings.patch_embedding.": "image.patch.",
    "vision_model.embeddings.class_embedding": "image.class_token",
    "vision_model.embeddings.position_embedding.weight": "image.position",
    "vision_model.pre_layrnorm.": "image.norm_pre.",
    "vision_model.post_layernorm.": "readout.norm.",
    "visual_projection.weight": "readout.projection",
    "text_model.embeddings.token_embedding.": "text.embedding.",
    "text_model.embeddings.position_embedding.weight": "text.position",
    "text_model.final_layer_norm.": "text.norm.",
    "text_projection.weight": "text.projection",
    "logit_scale": "logit_scale",
} | {
    f"{theirs}.encoder.layers.{{i}}.{part}": f"{ours}.blocks.{{i}}.{our_part}"
    for theirs, ours in (("vision_model", "image"), ("text_model", "text"))
    for part, our_part in _HF_BLOCK.items()
}
_HF_IGNORED = ("vision_model.embeddings.position_ids", "text_model.embeddings.position_ids")


def from_openai(state: Mapping[str, Tensor]) -> State:
    """OpenAI CLIP's names, or the released CLAVER's (which add `visual.transformer_t` and `visual.temporal_embedding`).

    Raises:
        CheckpointError: a name that belongs to neither.
    """
    kept = {key.removeprefix("module."): value for key, value in state.items()}
    renamed = _rename({key: value for key, value in kept.items() if key not in _OPENAI_IGNORED}, _OPENAI)
    if "temporal.embedding" in renamed:
        renamed["temporal.embedding"] = renamed["temporal.embedding"].flatten(0, -2)  # released as [1, T, D]
    return renamed


def from_hugging_face(state: Mapping[str, Tensor]) -> State:
    """`transformers.CLIPModel`'s names; q, k, v joined, projections transposed.

    Raises:
        CheckpointError: a name that is not CLIP's.
    """
    joined = _join_qkv({key: value for key, value in state.items() if key not in _HF_IGNORED})
    renamed = _rename(joined, _HF)
    for key in ("readout.projection", "text.projection"):
        if key in renamed:
            renamed[key] = renamed[key].T.contiguous()
    return renamed


def _join_qkv(state: Mapping[str, Tensor]) -> State:
    joined = {}
    for key, value in state.items():
        if ".q_proj." in key:
            parts = [state.get(key.replace(".q_proj.", f".{part}_proj.")) for part in "kv"]
            present = [part for part in parts if part is not None]
            joined[key.replace(".q_proj.", ".qkv_proj.")] = torch.cat([value, *present])
        elif ".k_proj." not in key and ".v_proj." not in key:
            joined[key] = value
    return joined


def _rename(state: Mapping[str, Tensor], table: Mapping[str, str]) -> State:
    rules = [_rule(theirs, ours) for theirs, ours in table.items()]
    renamed = {}
    for key, value in state.items():
        matches = [new for rule in rules if (new := rule(key))]
        if not matches:
            raise CheckpointError(
                f"parameter {key!r} belongs to no CLIP or CLAVER tower; this is another kind of model"
            )
        renamed[matches[0]] = value
    return renamed


def _rule(theirs: str, ours: str) -> Callable[[str], str | None]:
    """A rule that renames one parameter, or with a final `.` or `_` all that begin so; `{i}` is a block's number."""
    tail = "(?P<tail>.*)" if theirs[-1] in "._" else ""
    pattern = re.compile(re.escape(theirs).replace(re.escape("{i}"), r"(?P<i>\d+)") + tail)

    def rename(key: str) -> str | None:
        match = pattern.fullmatch(key)
        if match is None:
            return None
        found = match.groupdict()
        return ours.format(i=found.get("i")) + found.get("tail", "")

    return rename
