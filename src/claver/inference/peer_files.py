"""The folder of a peer, read as strangers' files are: settings within bounds, safetensors, no code, no network."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import nn

from claver.errors import CheckpointError, ClaverError
from claver.files import MOST_TEXT
from claver.models.checkpoint.configs import CONFIGS, PEERS
from claver.models.checkpoint.files import read_json, read_text
from claver.models.checkpoint.folder import CONFIG, TOKENIZER, read_config
from claver.models.checkpoint.hugging_face import PREPROCESSOR, PROCESSOR, preprocess_from_hugging_face
from claver.models.checkpoint.weights import PICKLED, WEIGHTS, find_weights, patterns_of, read_tensors, require_sound
from claver.models.config import TextConfig
from claver.models.tokenizer import Tokenizer, find_tokenizer
from claver.video import Preprocess

PeerKind = Literal["xclip", "videoprism"]
VIDEO_PREPROCESSOR = "video_preprocessor_config.json"

_ACTIVATIONS = ("quick_gelu", "gelu", "gelu_new", "gelu_python", "gelu_pytorch_tanh", "relu")
_ATTENTION = (None, "eager", "sdpa")
_LAYERS, _VOCABULARY, _LARGEST = 256, 2**24, 2**18
"""No peer is larger: a config that asks for more is damaged, or is meant to fill the memory."""
_BOTH = ("hidden_size", "intermediate_size", "num_attention_heads", "hidden_act", "layer_norm_eps")
_TEXT = (*_BOTH, "vocab_size", "num_hidden_layers", "max_position_embeddings")
_VISION = (*_BOTH, "image_size", "num_frames")
_MIT = ("mit_hidden_size", "mit_intermediate_size", "mit_num_hidden_layers", "mit_num_attention_heads")
_PRISM = ("tubelet_size", "num_spatial_layers", "num_temporal_layers", "num_auxiliary_layers")
_CAPPED = ("qkv_bias", "attn_logit_softcapping", "apply_l2norm")
_SETTINGS: dict[PeerKind, dict[str, tuple[str, ...]]] = {
    "xclip": {
        "": ("projection_dim", "prompt_layers", "prompt_hidden_act", "prompt_num_attention_heads"),
        "text_config": _TEXT,
        "vision_config": (*_VISION, "num_hidden_layers", "patch_size", *_MIT),
    },
    "videoprism": {
        "": (),
        "text_config": (*_TEXT, *_CAPPED),
        "vision_config": (*_VISION, *_PRISM, *_CAPPED),
    },
}
"""All that is taken from a config, by section: what else it says reaches nobody."""
_PROCESSORS: dict[PeerKind, dict[str, dict[str, Any]]] = {
    "xclip": {
        "VideoMAE": {
            "size": {"shortest_edge": 224},
            "resample": 2,
            "image_mean": [0.5] * 3,
            "image_std": [0.5] * 3,
        },
        "CLIP": {},
    },
    "videoprism": {
        "LlavaOnevision": {"size": {"height": 384, "width": 384}, "resample": 3, "do_center_crop": False},
        "VideoPrism": {
            "size": {"height": 288, "width": 288},
            "resample": 3,
            "do_center_crop": False,
            "do_normalize": False,
        },
    },
}
"""Processors that can be followed, with what each does where its file is silent."""


def peer_folder(source: str | Path) -> Path:
    """The folder of a peer: a path, or of a hub id a copy of its configs, its tokenizer and its safetensors.

    Raises:
        CheckpointError: it is neither, or the download failed.
    """
    path = Path(source).expanduser()
    if path.exists():
        return path
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    weights = [pattern for patterns in patterns_of("clip") for pattern in patterns if pattern.startswith("model")]
    try:
        return Path(snapshot_download(str(source), allow_patterns=[*CONFIGS, VIDEO_PREPROCESSOR, *weights]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise CheckpointError(f"{source} could not be downloaded: {_first_line(error)}") from error


def peer_identity(source: str | Path, folder: Path) -> str:
    """What a peer is, not only where: its files count by their contents, a hub id by its name."""
    if not Path(source).expanduser().exists():
        return str(source)
    digest = sha256()
    configs = [folder / name for name in (*CONFIGS, VIDEO_PREPROCESSOR) if (folder / name).is_file()]
    for file in sorted({*configs, *weights_of(folder)}):
        with file.open("rb") as stream:
            digest.update(f"{file.name} {file_digest(stream, 'sha256').hexdigest()} ".encode())
    return f"{source} {digest.hexdigest()[:12]}"


def read_settings(folder: Path) -> tuple[PeerKind, dict[str, Any]]:
    """Whose config a folder has, and the sizes and settings in it, with the sections for texts and for videos.

    Raises:
        CheckpointError: it is no peer's, asks for code or for quantised weights, or holds what makes no sense.
    """
    values, path = read_config(folder), folder / CONFIG
    kind = values.get("model_type")
    if not isinstance(kind, str) or kind not in PEERS:
        known = " and ".join(repr(name) for name in PEERS)
        raise CheckpointError(f"{path} says model_type {kind!r}; only {known} are peers")
    _refuse_code(values, path)
    peer = cast(PeerKind, kind)
    settings: dict[str, Any] = {}
    for section, names in _SETTINGS[peer].items():
        own = _section(values, section, path) if section else values
        found = {name: _sound(path, name, own[name]) for name in names if own.get(name) is not None}
        settings |= {section: found} if section else found
    return peer, settings


def _section(values: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    """One tower's section; `NAME_dict`, which old files have beside it, takes its place, as in transformers."""
    older = values.get(f"{name}_dict")
    section = older if older is not None else values.get(name) or {}
    if not isinstance(section, Mapping):
        raise CheckpointError(f"{path}: {name} must hold a mapping of keys to values, not {section!r}")
    return section


def _refuse_code(values: Mapping[str, Any], path: Path) -> None:
    for key, value in _all_within(values):
        if key == "auto_map" and value:
            raise CheckpointError(f"{path} has auto_map: it asks for code of its own, and no model's code is run")
        if key == "quantization_config" and value:
            raise CheckpointError(f"{path} has quantization_config; quantised weights cannot be loaded")
        attention = key.strip("_").startswith("attn_implementation")
        if attention and not (value is None or (isinstance(value, str) and value in _ATTENTION)):
            raise CheckpointError(f"{path} asks for attention by {value!r}, which is fetched; eager and sdpa are here")


def _all_within(values: Any) -> Iterator[tuple[str, Any]]:
    for key, value in values.items() if isinstance(values, Mapping) else ():
        yield str(key), value
        yield from _all_within(value)
    for value in values if isinstance(values, list) else ():
        yield from _all_within(value)


def _sound(path: Path, name: str, value: Any) -> Any:
    """The value, if it is of the right kind and within bounds."""
    if isinstance(value, list):
        return [_sound(path, name, one) for one in value[:4]]
    wanted, good = "", True
    if name.endswith("_act"):
        wanted, good = f"one of {', '.join(_ACTIVATIONS)}", isinstance(value, str) and value in _ACTIVATIONS
    elif name in ("qkv_bias", "apply_l2norm"):
        wanted, good = "true or false", isinstance(value, bool)
    elif name in ("layer_norm_eps", "attn_logit_softcapping"):
        wanted, good = "a number above 0", type(value) in (int, float) and value > 0
    else:
        least = 0 if name == "num_auxiliary_layers" else 1
        most = _LAYERS if name.endswith("_layers") else _VOCABULARY if name == "vocab_size" else _LARGEST
        wanted, good = f"a whole number from {least} to {most}", type(value) is int and least <= value <= most
    if not good:
        raise CheckpointError(f"{path}: {name} must be {wanted}, not {value!r}")
    return value


def read_pixels(folder: Path, kind: PeerKind, size: int) -> Preprocess:
    """What the checkpoint's own processor does to the pixels, for a model of `size` pixels.

    Raises:
        CheckpointError: the folder does not say, or says what cannot be followed.
    """
    values = _processor_of(folder, kind)
    names = [values.get(f"{what}_type") for what in ("video_processor", "image_processor", "feature_extractor")]
    named = next((name for name in names if name is not None), None)
    known = _PROCESSORS[kind]
    match = re.fullmatch(r"(\w+?)(?:ImageProcessor|VideoProcessor|FeatureExtractor)(?:Fast|Pil)?", str(named))
    if match is None or match[1] not in known:
        raise CheckpointError(
            f"{folder} has a processor {named!r} for its pixels; {PEERS[kind]} has {' or '.join(known)}'s"
        )
    own = {key: value for key, value in values.items() if value is not None}
    settings = {**known[match[1]], **own, "image_processor_type": "CLIPImageProcessor"}
    try:
        return preprocess_from_hugging_face(settings, size, own=True)
    except ClaverError as error:
        raise CheckpointError(f"{folder}: {error}") from error


def _processor_of(folder: Path, kind: PeerKind) -> dict[str, Any]:
    if (folder / PROCESSOR).is_file():
        nested = read_json(folder / PROCESSOR).get("image_processor" if kind == "xclip" else "video_processor")
        if isinstance(nested, dict):
            return nested
    names = (PREPROCESSOR,) if kind == "xclip" else (VIDEO_PREPROCESSOR, PREPROCESSOR)
    found = next((folder / name for name in names if (folder / name).is_file()), None)
    if found is None:
        raise CheckpointError(f"{folder} has no {names[0]}, which says what is done to the pixels")
    return read_json(found)


def read_tokenizer(folder: Path, kind: PeerKind, config: Any) -> Tokenizer:
    """The checkpoint's own tokenizer.

    Raises:
        CheckpointError: there is none, or it is damaged or another model's.
    """
    if kind == "xclip":  # which reads a text out at the largest id, its end
        sizes = (config.vocab_size, config.vocab_size - 1, config.hidden_size)
        text = TextConfig(config.max_position_embeddings, *sizes, config.num_hidden_layers, config.num_attention_heads)
        found = find_tokenizer(folder, text)
    else:
        found = _sentence_pieces(folder / TOKENIZER, config.max_position_embeddings)
    if found is None:
        raise CheckpointError(f"{folder} has no {TOKENIZER}: without its own tokenizer a peer knows no texts")
    return found


def _sentence_pieces(path: Path, context: int) -> Tokenizer | None:
    if not path.is_file():
        return None
    try:
        return Tokenizer.from_json(read_text(path, MOST_TEXT), context)
    except CheckpointError:
        raise
    except BaseException as error:  # the tokenizers library raises bare `Exception`, and panics of Rust
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise CheckpointError(f"the tokenizer at {path} cannot be read: {' '.join(str(error).split())}") from error


def weights_of(folder: Path) -> list[Path]:
    """The safetensors files with a peer's weights.

    Raises:
        CheckpointError: there are none; others are not unpickled.
    """
    if not any((folder / name).is_file() for name in (WEIGHTS, f"{WEIGHTS}.index.json")):
        raise CheckpointError(
            f"{folder} has no {WEIGHTS}: a peer's weights are read from safetensors alone, never unpickled from "
            f"{PICKLED}; transformers' save_pretrained writes them"
        )
    files = find_weights(folder, "clip")
    if other := next((file for file in files if file.suffix != ".safetensors"), None):
        raise CheckpointError(f"{folder}: {other.name} is no safetensors file; a peer's weights are never unpickled")
    return files


def filled(make: Callable[[], nn.Module], folder: Path) -> nn.Module:
    """A model with a folder's weights, in float32; nothing is allocated before all of them are known to fit.

    Raises:
        CheckpointError: sizes that make no model, or weights of other names, shapes or kinds than it needs.
    """
    files = weights_of(folder)
    try:
        with torch.device("meta"):
            model = make()
    except (ArithmeticError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / CONFIG} describes no model: {_first_line(error)}") from error
    state = {key: value for key, value in read_tensors(files).items() if not key.endswith("position_ids")}
    expected = {key: value.shape for key, value in model.state_dict().items() if not key.endswith("position_ids")}
    if missing := sorted(expected.keys() - state.keys()):
        raise CheckpointError(f"{folder} lacks {len(missing)} parameters, first {missing[0]!r}")
    if extra := sorted(state.keys() - expected.keys()):
        raise CheckpointError(f"{folder} has {len(extra)} parameters this model has no place for, first {extra[0]!r}")
    for key, shape in expected.items():
        if state[key].shape != shape:
            theirs, ours = tuple(state[key].shape), tuple(shape)
            raise CheckpointError(f"{folder}: {key!r} has shape {theirs}, but this model needs {ours}")
    try:
        require_sound(state)
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from error
    copies = {key: value.to(torch.float32, copy=True) for key, value in state.items()}
    model.load_state_dict(copies, strict=False, assign=True)
    _number_positions(model)
    return model.requires_grad_(False).eval()


def _number_positions(model: nn.Module) -> None:
    """Give buffers that count places their values, which files may leave out."""
    for name, buffer in list(model.named_buffers()):
        if name.endswith("position_ids"):
            owner, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(owner), leaf, torch.arange(buffer.shape[-1])[None])


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
