"""The config of weights that came without one: sizes from their shapes, and a word about what no shape can tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from torch import Tensor

from claver.errors import CheckpointError
from claver.log import logger
from claver.models.checkpoint.open_clip import IMAGE_HEADS, OPEN_CLIP_CONFIG, OPENAI_IMAGES, TEXT_HEADS
from claver.models.config import Activation, ClaverConfig, ImageConfig, TemporalConfig, TextConfig
from claver.video.transforms import Preprocess

Heads = int | tuple[int, int]
"""Attention heads of the image tower, or of the image and the text tower."""
_WIDTHS = {"image": (64, 80, 88, 104, 112), "text": (64,)}
"""How wide the heads of published towers are."""


def infer_config(
    state: Mapping[str, Tensor],
    *,
    heads: Heads | None = None,
    activation: Activation | None = None,
    openai: bool = False,
) -> ClaverConfig:
    """The sizes of a checkpoint from its shapes.

    Heads and activation are in no shape. OpenAI's own weights, and the released CLAVER's, have heads of 64 and
    QuickGELU. Of others the heads are those of the published sizes, or what any published width of heads gives;
    what is assumed is said in a warning, and what could be one or the other must be given.

    Args:
        state: weights under our names.
        heads: of the image tower, or of both; known or assumed if None.
        activation: `gelu` or `quick_gelu`; known or assumed if None.
        openai: the file is one that OpenAI published.

    Raises:
        CheckpointError: a tower is missing, or what cannot be told was not given.
    """
    _check_towers(state)
    certain = openai or "temporal.embedding" in state
    image, text = _image_sizes(state), _text_sizes(state)
    image_heads, text_heads = heads if isinstance(heads, tuple) else (heads, None)
    notes: list[str] = []
    image["heads"] = image_heads or _heads("image", image, notes, certain)
    text["heads"] = text_heads or _heads("text", text, notes, certain)
    activation = activation or _activation(image, notes, certain)
    if notes:
        logger.warning(
            "the weights do not tell %s; if that is wrong, so is every feature: say it (heads=, activation=, or "
            "claver convert), or put the model's %s beside the weights",
            ", nor ".join(notes),
            OPEN_CLIP_CONFIG,
        )
    return _config(state, image, text, activation)


def _check_towers(state: Mapping[str, Tensor]) -> None:
    """That the weights which tell the sizes are there, with as many dimensions as they should have."""
    dimensions = {"image.patch.weight": 4, "image.position": 2, "text.position": 2, "text.embedding.weight": 2}
    for key, dimension in (dimensions | {"readout.projection": 2}).items():
        if key not in state:
            raise CheckpointError(f"the checkpoint lacks {key!r}: it is not a whole CLIP or CLAVER model")
        if state[key].ndim != dimension:
            raise CheckpointError(f"{key!r} has shape {tuple(state[key].shape)}, which is no CLIP model's")


def _image_sizes(state: Mapping[str, Tensor]) -> dict[str, int]:
    width, _, patch, _ = state["image.patch.weight"].shape
    size = round((len(state["image.position"]) - 1) ** 0.5) * patch
    return {"size": size, "patch": patch, "width": width, "layers": _depth(state, "image")} | _mlp(
        state, "image", width
    )


def _text_sizes(state: Mapping[str, Tensor]) -> dict[str, int]:
    vocabulary, width = state["text.embedding.weight"].shape
    sizes = {"context": len(state["text.position"]), "vocabulary": vocabulary, "eot": vocabulary - 1, "width": width}
    return sizes | {"layers": _depth(state, "text")} | _mlp(state, "text", width)


def _mlp(state: Mapping[str, Tensor], tower: str, width: int) -> dict[str, int]:
    bias = state.get(f"{tower}.blocks.0.up.bias")
    return {} if bias is None or bias.numel() == 4 * width else {"mlp": bias.numel()}


def _depth(state: Mapping[str, Tensor], tower: str) -> int:
    return 1 + max((int(key.split(".")[2]) for key in state if key.startswith(f"{tower}.blocks.")), default=0)


def _key(sizes: Mapping[str, int]) -> tuple[int, int]:
    return sizes["width"], sizes["layers"]


def _heads(tower: Literal["image", "text"], sizes: Mapping[str, int], notes: list[str], certain: bool) -> int:
    """Heads of a tower: the published ones of its size, else the one number that a published width of heads gives.

    Args:
        tower: which.
        sizes: its own.
        notes: of what is assumed; added to.
        certain: heads are known to be 64 wide.

    Raises:
        CheckpointError: no number is possible, or more than one.
    """
    width, published = sizes["width"], IMAGE_HEADS if tower == "image" else TEXT_HEADS
    if certain or _key(sizes) in published:
        return width // 64 if certain else published[_key(sizes)]
    possible = [width // head for head in _WIDTHS[tower] if width % head == 0]
    if len(possible) != 1:
        choice = " or ".join(map(str, possible)) if possible else "any number"
        raise CheckpointError(
            f"the weights do not tell how many heads the {tower} tower has, which is {width} wide ({choice}): say "
            f"heads=IMAGE or heads=(IMAGE, TEXT), or put the model's {OPEN_CLIP_CONFIG} beside the weights"
        )
    notes.append(f"the heads of the {tower} tower (taken as {possible[0]}, {width // possible[0]} wide each)")
    return possible[0]


def _activation(image: Mapping[str, int], notes: list[str], certain: bool) -> Activation:
    """QuickGELU where OpenAI's code made the weights or could have, which is noted.

    Raises:
        CheckpointError: models of this size are not OpenAI's, and have one or the other.
    """
    if certain:
        return "quick_gelu"
    if _key(image) in IMAGE_HEADS and _key(image) not in OPENAI_IMAGES:
        raise CheckpointError(
            "the weights do not tell the activation, and models of this size have one or the other: say "
            "activation='gelu' (most of LAION, DataComp) or 'quick_gelu' (DFN, MetaCLIP), or put the model's "
            f"{OPEN_CLIP_CONFIG} beside the weights"
        )
    notes.append("the activation (taken as quick_gelu, as OpenAI has it; most of LAION's and DataComp's have gelu)")
    return "quick_gelu"


def _config(
    state: Mapping[str, Tensor], image: dict[str, Any], text: dict[str, Any], activation: Activation
) -> ClaverConfig:
    size, embedding = image["size"], state["readout.projection"].shape[1]
    towers = ImageConfig(**image), TextConfig(**text), TemporalConfig(layers=max(1, image["layers"] // 3))
    config = ClaverConfig(*towers, embedding, activation, preprocess=Preprocess.paper(size))
    if "temporal.embedding" not in state:
        return config
    temporal = TemporalConfig("kmt", _depth(state, "temporal"), len(state["temporal.embedding"]))
    return replace(config, temporal=temporal, aggregate="released", preprocess=Preprocess.released(size))
