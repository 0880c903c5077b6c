"""Parameter names and layouts of other people's checkpoints, turned into ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor

from claver.errors import CheckpointError
from claver.models.checkpoint.weights import require_sound

State = dict[str, Tensor]
Layout = Literal["claver", "hugging_face", "openai"]

_ANCHORS: dict[str, Layout] = {
    "image.patch.weight": "claver",
    "vision_model.embeddings.patch_embedding.weight": "hugging_face",
    "visual.conv1.weight": "openai",
}
"""A weight that every model of a layout has, and no other."""
_STRANGERS = {
    "visual.trunk.": "its image tower is of timm",
    "visual.layer1.": "its image tower is a ResNet",
    "visual.attnpool.": "its image tower is a ResNet",
    "visual.attn_pool.": "its image tower pools by attention, as in CoCa",
    "text_decoder.": "it is a CoCa model",
    "logit_bias": "it is a SigLIP model",
    "text.transformer.embeddings.": "its text tower is of Hugging Face",
    "text.transformer.shared.": "its text tower is of Hugging Face",
    "text.transformer.encoder.": "its text tower is of Hugging Face",
    "vision_model.head.": "it is a SigLIP model",
    "prompts_generator.": "it is an X-CLIP model",
}
"""Beginnings of names that tell what else a model is."""

_OPENAI_BLOCK = {
    "attn.in_proj_": "qkv.",
    "attn.out_proj.": "out.",
    "ln_1.": "norm1.",
    "ln_2.": "norm2.",
    "mlp.c_fc.": "up.",
    "mlp.c_proj.": "down.",
}
_OPENAI_TEXT = {
    "token_embedding.": "text.embedding.",
    "positional_embedding": "text.position",
    "ln_final.": "text.norm.",
    "text_projection": "text.projection",
}
_OPENAI = (
    {
        "visual.conv1.": "image.patch.",
        "visual.class_embedding": "image.class_token",
        "visual.positional_embedding": "image.position",
        "visual.ln_pre.": "image.norm_pre.",
        "visual.ln_post.": "readout.norm.",
        "visual.proj": "readout.projection",
        "visual.temporal_embedding": "temporal.embedding",
        "logit_scale": "logit_scale",
    }
    | {
        f"{prefix}{theirs}": ours
        for prefix in ("", "text.")  # open_clip may hold the text tower as a module of its own
        for theirs, ours in _OPENAI_TEXT.items()
    }
    | {
        f"{theirs}.resblocks.{{i}}.{prefix}{part}": f"{ours}.blocks.{{i}}.{our_part}"
        for theirs, ours, prefix in (
            ("visual.transformer", "image", ""),
            ("visual.transformer_t", "temporal", "temporal_"),
            ("transformer", "text", ""),
            ("text.transformer", "text", ""),
        )
        for part, our_part in _OPENAI_BLOCK.items()
    }
)
_OPENAI_IGNORED = ("input_resolution", "context_length", "vocab_size", "attn_mask")

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


def layout_of(state: Mapping[str, Tensor]) -> tuple[Layout, State]:
    """Whose names the weights bear, and the weights without a wrapper's prefix, such as `module.`.

    Raises:
        CheckpointError: nobody's that can be loaded; the message says whose, where that is known.
    """
    if _is_own(state):
        return "claver", dict(state)
    for anchor, layout in _ANCHORS.items():
        found = min((key for key in state if f".{key}".endswith(f".{anchor}")), key=len, default=None)
        if found is not None:
            kept = _without_prefix(state, found.removesuffix(anchor))
            _refuse_strangers(kept)
            return layout, kept
    if not state:
        raise CheckpointError("there are no weights in it")
    _refuse_strangers({key.removeprefix("module."): value for key, value in state.items()})
    raise CheckpointError(f"parameter {min(state)!r} belongs to no CLIP or CLAVER tower; this is another kind of model")


def _is_own(state: Mapping[str, Tensor]) -> bool:
    """Whether the names are ours, whosever towers it are."""
    return "logit_scale" in state and all(any(key.startswith(part) for key in state) for part in ("image.", "text."))


def _without_prefix(state: Mapping[str, Tensor], prefix: str) -> State:
    if outside := [key for key in state if not key.startswith(prefix)]:
        raise CheckpointError(
            f"parameter {outside[0]!r} belongs to no CLIP or CLAVER tower; the model's own begin with {prefix!r}"
        )
    return {key.removeprefix(prefix): value for key, value in state.items()}


def _refuse_strangers(state: Mapping[str, Tensor]) -> None:
    for key in state:
        for beginning, what in _STRANGERS.items():
            if key.startswith(beginning):
                raise CheckpointError(
                    f"{what} ({key!r}); without its config only CLIP's image and text transformers can be loaded: of "
                    "models that `claver models` lists give the folder"
                )


def own_names(layout: Layout, state: Mapping[str, Tensor]) -> State:
    """Weights of a layout under our names, and in our shapes.

    Raises:
        CheckpointError: a name or a value that cannot be used.
    """
    if layout == "claver":  # towers of others may have tables of whole numbers; whether they belong there is seen later
        require_sound({key: value for key, value in state.items() if value.is_floating_point()})
        return dict(state)
    return from_openai(state) if layout == "openai" else from_hugging_face(state)


def from_openai(state: Mapping[str, Tensor]) -> State:
    """OpenAI CLIP's names, or the released CLAVER's (which add `visual.transformer_t` and `visual.temporal_embedding`).

    open_clip's separate text tower, with `text.` before its names, is read as well.

    Raises:
        CheckpointError: a name that belongs to neither.
    """
    kept = {key: value for key, value in state.items() if key.removeprefix("text.") not in _OPENAI_IGNORED}
    require_sound(kept)
    renamed = _rename(kept, _OPENAI)
    if "temporal.embedding" in renamed:
        renamed["temporal.embedding"] = renamed["temporal.embedding"].flatten(0, -2)  # released as [1, T, D]
    return _with_scalar_scale(renamed)


def from_hugging_face(state: Mapping[str, Tensor]) -> State:
    """`transformers.CLIPModel`'s names; q, k, v joined, projections transposed.

    Raises:
        CheckpointError: a name that is not CLIP's.
    """
    kept = {key: value for key, value in state.items() if key not in _HF_IGNORED}
    require_sound(kept)
    renamed = _rename(_join_qkv(kept), _HF)
    for key in ("readout.projection", "text.projection"):
        if key in renamed and renamed[key].ndim == 2:
            renamed[key] = renamed[key].T.contiguous()
    return _with_scalar_scale(renamed)


def _with_scalar_scale(state: State) -> State:
    """open_clip may keep its scale as a vector of one entry."""
    if "logit_scale" in state and state["logit_scale"].numel() == 1:
        state["logit_scale"] = state["logit_scale"].reshape(())
    return state


def _join_qkv(state: Mapping[str, Tensor]) -> State:
    joined = {}
    for key, value in state.items():
        if ".q_proj." in key:
            parts = [state.get(key.replace(".q_proj.", f".{part}_proj.")) for part in "kv"]
            present = [part for part in parts if part is not None]
            if any(part.shape != value.shape for part in present):
                raise CheckpointError(f"{key!r} has shape {tuple(value.shape)}, but its keys or values have another")
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
        if matches[0] in renamed:
            raise CheckpointError(f"parameter {key!r} is there twice, under two names")
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
