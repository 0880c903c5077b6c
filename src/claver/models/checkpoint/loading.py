"""A model filled with weights from wherever they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar, get_args

import torch
from torch import Tensor

from claver.errors import CheckpointError, told_of
from claver.log import logger
from claver.models.checkpoint.configs import config_of_folder, kind_of
from claver.models.checkpoint.families import FAMILIES, state_of
from claver.models.checkpoint.files import read_json
from claver.models.checkpoint.folder import CONFIG, Pretrained, read_config
from claver.models.checkpoint.hub import locate
from claver.models.checkpoint.inferred import Heads, infer_config
from claver.models.checkpoint.joining import join
from claver.models.checkpoint.names import Layout, State, layout_of, own_names
from claver.models.checkpoint.open_clip import OPEN_CLIP_CONFIG
from claver.models.checkpoint.unpickle import is_torchscript
from claver.models.checkpoint.weights import SUFFIXES, find_weights, read_tensors
from claver.models.config import Activation, Aggregate, ClaverConfig, Temporal
from claver.models.learned import read_learned
from claver.models.library import VERSION
from claver.models.shapes import uninitialized, without_values
from claver.models.temporal import KINDS, TemporalTower, resize_time
from claver.models.tokenizer import find_tokenizer
from claver.models.towers import TRANSFORMERS, registered_tower
from claver.precision import DtypeName, to_dtype
from claver.video.transforms import Preprocess

_UNTRAINED = (
    "those of the image-text model by the mean of raw frame embeddings",
    "not those of CLIP (pipeline reads the mean of all tokens of a frame, CLIP the class token; mean gives CLIP's)",
)
PreprocessChoice = Literal["paper", "checkpoint"]
MAX_LOGIT_SCALE = math.log(100)
M = TypeVar("M", bound=Pretrained)
Make = Callable[[ClaverConfig], Pretrained]


class Weights(dict[str, Tensor]):
    """Weights under our names, and the config they are to be used with."""

    config: ClaverConfig


def load_model(
    make: Callable[[ClaverConfig], M],
    source: str | Path,
    *,
    text: str | Path | None = None,
    temporal: Temporal | None = None,
    frames: int | None = None,
    aggregate: Aggregate | None = None,
    heads: Heads | None = None,
    activation: Activation | None = None,
    preprocess: PreprocessChoice | Preprocess | None = None,
    tokenizer: str | Path | None = None,
    device: str | torch.device | None = None,
    dtype: torch.dtype | DtypeName | None = None,
    revision: str | None = None,
    token: str | None = None,
) -> M:
    """What `make` makes of a config, with the weights of a checkpoint; arguments and errors as of `claver.load`.

    Only `make` knows the model: nothing here is to be changed for another one that has the same parameters.
    """
    _check_options(heads, activation)
    kind = to_dtype(dtype, device)
    own = preprocess == "checkpoint"
    if text is not None:
        joined = join(source, text, revision, token)
        state, config, folder, is_own = joined.state, joined.config, joined.folder, True
    else:
        _require_pair(source)
        path = locate(source, revision, token)
        state, config, is_own = _read(make, path, heads, activation, own=own)
        folder = path if path.is_dir() else path.parent
    if preprocess is not None and not own:
        config, is_own = replace(config, preprocess=_chosen(preprocess, config)), False
    means_something = not config.untrained
    config = _adapt(config, state, temporal, frames, aggregate, own=own or is_own, tell=means_something)
    if config.untrained:
        logger.warning("the projection from images to texts is new: until it is trained, answers mean nothing at all")
    model = _filled(make, config, state, source)
    model.tokenizer = find_tokenizer(folder, config.text, tokenizer)
    if (folder / CONFIG).is_file() and read_config(folder).get("model_type") == "claver":
        model.learned = read_learned(folder)  # in a folder of others a file of that name is something else
    if not config.bias:
        model.get_parameter("logit_scale").data.clamp_(max=MAX_LOGIT_SCALE)
    _move(model, device, kind)
    return model.eval()


def _move(model: Pretrained, device: str | torch.device | None, dtype: torch.dtype | None) -> None:
    """To a device and a type, but for what has to stay exact: scale and bias, and tables that are no weights.

    ln 100 in bfloat16 would be off, and every score by one per cent; a probability of SigLIP's by up to six.
    """
    exact = {
        name: value.detach().clone()
        for name, value in model.named_parameters()
        if name in ("logit_scale", "logit_bias")
    }
    weights = model.state_dict()
    tables = {
        name: value.clone() for name, value in model.named_buffers() if name not in weights and _is_hosted(model, name)
    }
    model.to(device=device, dtype=dtype)
    for name, value in exact.items():
        moved = model.get_parameter(name)
        moved.data = value.to(moved.device)
    for name, value in tables.items():
        moved_table = model.get_buffer(name)
        moved_table.data = value.to(moved_table.device)


def _is_hosted(model: Pretrained, name: str) -> bool:
    """Whether a part of a model is in a tower of transformers; those of others compute in one type throughout."""
    tower = model.config.image.tower if name.startswith("image.") else model.config.text.tower
    return tower == TRANSFORMERS


def load_weights(
    make: Make,
    source: str | Path,
    *,
    heads: Heads | None = None,
    activation: Activation | None = None,
    revision: str | None = None,
    token: str | None = None,
) -> Weights:
    """The weights alone of whatever `load_model` takes, under our names; arguments and errors as there."""
    _check_options(heads, activation)
    state, config, _ = _read(make, locate(source, revision, token), heads, activation)
    weights = Weights(state)
    weights.config = config
    return weights


def _chosen(preprocess: PreprocessChoice | Preprocess, config: ClaverConfig) -> Preprocess:
    if isinstance(preprocess, Preprocess):
        if preprocess.size != config.image.size:
            told = f"pictures of {preprocess.size} pixels, but the model takes {config.image.size}"
            raise CheckpointError(f"preprocess gives {told}")
        return preprocess
    if preprocess != "paper":
        raise CheckpointError(f"preprocess must be {' or '.join(get_args(PreprocessChoice))}, not {preprocess!r}")
    paper = Preprocess.paper(config.image.size)
    return replace(config.preprocess, size=paper.size, short_side=paper.short_side, resize="short_side")


def _read(
    make: Make, path: Path, heads: Heads | None, activation: Activation | None, *, own: bool = False
) -> tuple[State, ClaverConfig, bool]:
    """Weights under our names, the config they are to be used with, with the checkpoint's own preprocessing or the
    paper's, and whether it is its own."""
    openai = False
    if path.is_dir():
        kind = kind_of(path)
        found = config_of_folder(path, kind)  # nothing is read for a config that makes no sense
        if kind in FAMILIES:
            return _read_family(path, kind, found, heads, activation)
        files = find_weights(path, kind)
    elif path.suffix.lower() in SUFFIXES:
        files, openai = [path], is_torchscript(path)
    else:
        raise CheckpointError(
            f"{path} is no checkpoint: a folder is needed, or a file that ends in {', '.join(SUFFIXES)}"
        )
    raw = read_tensors(files)
    with told_of(path):
        layout, kept = layout_of(raw)
        state = own_names(layout, kept)
        config = None if openai else _config_beside(make, files[0].parent, layout, state, own=own)
        if config is None:
            config = infer_config(state, heads=heads, activation=activation, openai=openai)
            if own:
                pixels = replace(config.preprocess, short_side=config.preprocess.size)
                config = replace(config, preprocess=pixels)
    return state, _overridden(config, heads, activation), own


def _read_family(
    path: Path, kind: str, config: ClaverConfig, heads: Heads | None, activation: Activation | None
) -> tuple[State, ClaverConfig, bool]:
    """As `_read`, of another family than CLIP: it says all of itself, and its pixels are prepared as it says."""
    if heads is not None or activation is not None:
        raise CheckpointError(f"{path}: heads and activation are in its config; they are for weights without one")
    if (part := FAMILIES[kind].part) != "pair":
        told = (
            "is an image tower without texts: say which sentence encoder's it is joined with, as in load(…, "
            "text='sentence-transformers/all-MiniLM-L6-v2') or claver convert … --text"
            if part == "image"
            else "is a sentence encoder without images: give it as text= beside an image tower"
        )
        raise CheckpointError(f"{path} {told}")
    with told_of(path):
        return state_of(path, kind, config), config, True


def _require_pair(source: str | Path) -> None:
    if registered_tower(str(source)) is not None:
        raise CheckpointError(
            f"{source} is an image tower without texts: say which sentence encoder's it is joined with, "
            "load(…, text='sentence-transformers/all-MiniLM-L6-v2')"
        )


def _check_options(heads: Heads | None, activation: Activation | None) -> None:
    if activation is not None and activation not in get_args(Activation):
        raise CheckpointError(f"activation must be one of {', '.join(get_args(Activation))}, not {activation!r}")
    numbers = heads if isinstance(heads, tuple) else (heads, heads)
    if heads is not None and (len(numbers) != 2 or any(type(n) is not int or n < 1 for n in numbers)):
        raise CheckpointError(f"heads must be a whole number, or one for images and one for texts, not {heads!r}")


def _config_beside(make: Make, folder: Path, layout: Layout, state: State, *, own: bool = False) -> ClaverConfig | None:
    """The config that lies beside weights of a layout; None if nothing there is about them."""
    if layout == "openai":
        if "temporal.embedding" in state:
            return None
        if (folder / OPEN_CLIP_CONFIG).is_file():
            return config_of_folder(folder, "open_clip", own=own)
    kind = "claver" if layout == "claver" else "clip"
    found = read_json(folder / CONFIG).get("model_type") if (folder / CONFIG).is_file() else None
    if found == kind:
        config = config_of_folder(folder, kind, own=own)
        return config if layout != "openai" or _misfit(make, config, state) is None else None
    if layout == "openai":
        return None
    beside = f"the {CONFIG} beside them is of model_type {found!r}" if found else f"there is no {CONFIG} beside them"
    raise CheckpointError(f"the weights have the names of a model of type {kind!r}, but {beside}")


def _overridden(config: ClaverConfig, heads: Heads | None, activation: Activation | None) -> ClaverConfig:
    """The config with what the caller said in place of what it says; a difference is told."""
    image_heads, text_heads = heads if isinstance(heads, tuple) else (heads, None)
    changed = replace(
        config,
        image=replace(config.image, heads=image_heads or config.image.heads),
        text=replace(config.text, heads=text_heads or config.text.heads),
        activation=activation or config.activation,
    )
    if changed != config:
        logger.warning("heads and activation are those that were given, in place of those of the checkpoint's config")
    return changed


def _adapt(
    config: ClaverConfig,
    state: State,
    temporal: Temporal | None,
    frames: int | None,
    aggregate: Aggregate | None,
    *,
    own: bool,
    tell: bool,
) -> ClaverConfig:
    """The config the caller asked for; `state` keeps what of the temporal tower still has a place in it."""
    trained = "temporal.embedding" in state
    if temporal is not None and temporal not in get_args(Temporal):
        raise CheckpointError(f"temporal must be one of {', '.join(get_args(Temporal))}, not {temporal!r}")
    if frames is not None and frames < 1:
        raise CheckpointError(f"frames must be at least 1, not {frames}")
    kind = temporal or config.temporal.kind
    before, config = config.temporal.kind, config.with_temporal(kind, frames, config.temporal.layers)
    if trained and kind != before:
        fate = "are left out: frames are averaged" if not KINDS[kind].mask else f"now run as {kind}"
        logger.warning("temporal weights trained as %s %s", before, fate)
    if KINDS[kind].mask is None:
        for key in [key for key in state if key.startswith("temporal.")]:
            del state[key]
    elif not trained:
        _check_new_tower(config)
        if tell:
            pixels = "its own preprocessing"
            if not own and config.preprocess.resize == "short_side" and config.image.tower == "clip":
                pixels = "the paper's preprocessing (preprocess='checkpoint' is CLIP's own)"
            told = "the temporal tower is new: until it is trained, answers are %s, with %s"
            logger.warning(told, _UNTRAINED[KINDS[kind].reads_patches], pixels)
    elif frames is not None and frames != len(state["temporal.embedding"]):
        state["temporal.embedding"] = resize_time(state["temporal.embedding"], frames)
    return config if aggregate is None else replace(config, aggregate=aggregate)


def _check_new_tower(config: ClaverConfig) -> None:
    most = max(config.image.layers, config.text.layers)
    if config.temporal.layers > most:
        raise CheckpointError(
            f"a new temporal tower of {config.temporal.layers} layers is asked for; the model's own have at most {most}"
        )


def _filled(make: Callable[[ClaverConfig], M], config: ClaverConfig, state: State, source: str | Path) -> M:
    """The model with its weights; none is allocated before all of them are known to fit."""
    if problem := _misfit(make, config, state):
        raise CheckpointError(f"{source}{problem}")
    model = empty(make, config)
    if not _has_temporal(state):
        model.temporal = TemporalTower(config)
    # A copy, because what safetensors reads may still be the file itself, which somebody may write to.
    values = {
        key: value.to(torch.float32 if value.is_floating_point() else value.dtype, copy=True)
        for key, value in state.items()
    }
    model.load_state_dict(values, strict=False, assign=True)
    return model


def _misfit(make: Make, config: ClaverConfig, state: State) -> str | None:
    """What weights lack for a config, or have too much or in another shape, to follow the name of their file."""
    expected = without_values(lambda: make(config)).state_dict()
    wanted = [key for key in expected if _has_temporal(state) or not key.startswith("temporal.")]
    for names, what in (
        ([key for key in wanted if key not in state], "lacks {} parameters"),
        ([key for key in state if key not in expected], "has {} parameters this model has no place for"),
    ):
        if names:
            return f" {what.format(len(names))}, first {names[0]!r}{_made_elsewhere(names[0], config)}"
    for key in wanted:
        if state[key].is_floating_point() != expected[key].is_floating_point():
            kinds = [str(value.dtype).removeprefix("torch.") for value in (state[key], expected[key])]
            return f": {key!r} is of type {kinds[0]}, but this model needs {kinds[1]}"
        if state[key].shape != expected[key].shape:
            theirs, ours = tuple(state[key].shape), tuple(expected[key].shape)
            return f": {key!r} has shape {theirs}, but this model needs {ours}"
    return None


def _made_elsewhere(key: str, config: ClaverConfig) -> str:
    """A hint where names are another library's, and not for ever."""
    part = config.text if key.startswith("text.") else config.image
    version = part.settings.get(VERSION)
    return f"; it was saved by transformers {version}, with which it can be loaded" if version else ""


def empty(make: Callable[[ClaverConfig], M], config: ClaverConfig) -> M:
    """A model to be filled with weights: on the meta device, but where a tower has tables that no checkpoint holds."""
    model = without_values(lambda: make(config))
    if not any(buffer.is_meta for buffer in model.buffers()):
        return model
    with uninitialized():
        return make(config)


def _has_temporal(state: State) -> bool:
    return any(key.startswith("temporal.") for key in state)
