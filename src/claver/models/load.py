"""`claver.load`: a model from wherever its weights are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from claver.errors import CheckpointError, ClaverError
from claver.models.claver import Claver
from claver.models.config import (
    Aggregate,
    ClaverConfig,
    ImageConfig,
    Temporal,
    TemporalConfig,
    TextConfig,
)
from claver.models.folder import CONFIG, TOKENIZER, read_config, read_safetensors, read_weights, weights_in
from claver.models.names import State, from_hugging_face, from_openai
from claver.models.notice import logger
from claver.models.temporal import resize_time
from claver.models.tokenizer import find_tokenizer
from claver.models.unpickle import read_pickled_state
from claver.video.transforms import Preprocess

_HUB_ID = re.compile(r"[\w][\w.-]*/[\w.-]+")
_HUB_FILES = [CONFIG, "*.safetensors", TOKENIZER, "vocab.json", "merges.txt"]


def load(
    source: str | Path,
    *,
    temporal: Temporal | None = None,
    frames: int | None = None,
    aggregate: Aggregate | None = None,
    tokenizer: str | Path | None = None,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    revision: str | None = None,
    token: str | None = None,
) -> Claver:
    """Load a model, ready for use.

    Args:
        source: a Hugging Face id or folder (CLIP's or ours), an OpenAI `.pt`, a released CLAVER `.pth`, or a state
            dict of either in `.safetensors`.
        temporal: how frames speak to each other; the checkpoint's own if None, `kmt` where it has none.
        frames: T of the temporal embedding; the checkpoint's own if None, else it is interpolated.
        aggregate: `paper` or `released` arithmetic; the checkpoint's own if None.
        tokenizer: where to find the tokenizer if not with the weights (see `find_tokenizer`).
        device: where to put the model.
        dtype: what to compute in, such as `torch.bfloat16`.
        revision: branch, tag or commit of a Hugging Face id.
        token: access token of a Hugging Face id.

    Returns:
        The model in evaluation mode, with its tokenizer.

    Raises:
        CheckpointError: nothing there, or not a model that fits.
    """
    path = _locate(source, revision, token)
    state, config = _read(path)
    config = _adapt(config, state, temporal, frames, aggregate)
    model = Claver(config, find_tokenizer(path if path.is_dir() else path.parent, config.text, tokenizer))
    _fill(model, state, source)
    scale = model.logit_scale.detach().clone()
    model.to(device=device, dtype=dtype)
    model.logit_scale.data = scale.to(model.device)  # ln 100 in bfloat16 would be off, and every score by one per cent
    return model.eval()


def load_weights(source: str | Path, *, revision: str | None = None, token: str | None = None) -> State:
    """The weights alone of whatever `load` takes, under our names; arguments and errors as there."""
    return _read(_locate(source, revision, token))[0]


def _locate(source: str | Path, revision: str | None, token: str | None) -> Path:
    path = Path(source).expanduser()
    if path.exists():
        return weights_in(path) if path.is_dir() else path
    if not _HUB_ID.fullmatch(str(source)) or path.suffix in (".pt", ".pth", ".safetensors"):
        raise CheckpointError(f"there is no file or folder {source}; a Hugging Face id looks like name/model")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    fetch: dict[str, Any] = {"repo_id": str(source), "revision": revision, "token": token}
    try:
        folder = Path(snapshot_download(allow_patterns=_HUB_FILES, **fetch))
        if not list(folder.glob("*.safetensors")):
            folder = Path(snapshot_download(allow_patterns=[*_HUB_FILES, "pytorch_model.bin"], **fetch))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{source} is neither a local path nor in the Hugging Face cache and could not be downloaded: {reason}"
        ) from error
    return folder


def _read(path: Path) -> tuple[State, ClaverConfig]:
    """Weights under our names, and the config they imply."""
    if path.is_dir():
        return _understand(path)
    if path.suffix == ".safetensors":
        state = read_safetensors(path)
        if (path.parent / CONFIG).is_file():
            return _understand(path.parent, state)
    elif path.suffix in (".pt", ".pth", ".bin"):
        state = read_pickled_state(path)
    else:
        raise CheckpointError(f"{path} is no checkpoint: a folder, .safetensors, .pt or .pth is needed")
    state = from_openai(state)
    return state, infer_config(state)


def _understand(folder: Path, state: State | None = None) -> tuple[State, ClaverConfig]:
    """The weights of a folder, or `state` in their place, by what its config says they are."""
    values = read_config(folder)
    kind = values.get("model_type")
    if kind not in ("claver", "clip"):
        raise CheckpointError(f"{folder / CONFIG} says model_type {kind!r}; only 'claver' and 'clip' can be loaded")
    state = read_weights(folder) if state is None else state
    try:
        if kind == "claver":
            return state, ClaverConfig.from_dict(values)
        return from_hugging_face(state), config_from_hugging_face(values)
    except ClaverError as error:
        raise CheckpointError(f"{folder / CONFIG}: {error}") from error


def infer_config(state: Mapping[str, Tensor]) -> ClaverConfig:
    """The sizes of a checkpoint from its shapes; head width 64, as in every published CLIP.

    Raises:
        CheckpointError: a tower is missing.
    """
    if missing := [key for key in ("image.patch.weight", "image.position", "text.position") if key not in state]:
        raise CheckpointError(f"the checkpoint lacks {missing[0]!r}: it is not a whole CLIP or CLAVER model")
    width, _, patch, _ = state["image.patch.weight"].shape
    size = round((len(state["image.position"]) - 1) ** 0.5) * patch
    image = ImageConfig(size, patch, width, _depth(state, "image"), width // 64)
    vocabulary, text_width = state["text.embedding.weight"].shape
    context = len(state["text.position"])
    text = TextConfig(context, vocabulary, vocabulary - 1, text_width, _depth(state, "text"), text_width // 64)
    embedding = state["readout.projection"].shape[1]
    if "temporal.embedding" not in state:
        temporal = TemporalConfig(layers=max(1, image.layers // 3))
        return ClaverConfig(image, text, temporal, embedding, preprocess=Preprocess.paper(size))
    temporal = TemporalConfig("kmt", _depth(state, "temporal"), len(state["temporal.embedding"]))
    released = Preprocess.released(size)
    return ClaverConfig(image, text, temporal, embedding, aggregate="released", preprocess=released)


def _depth(state: Mapping[str, Tensor], tower: str) -> int:
    return 1 + max(int(key.split(".")[2]) for key in state if key.startswith(f"{tower}.blocks."))


def config_from_hugging_face(values: Mapping[str, Any]) -> ClaverConfig:
    """Our config from a `transformers` CLIP's; what its file leaves out has that library's default."""
    vision, language = values.get("vision_config") or {}, values.get("text_config") or {}
    image = ImageConfig(
        vision.get("image_size", 224),
        vision.get("patch_size", 32),
        vision.get("hidden_size", 768),
        vision.get("num_hidden_layers", 12),
        vision.get("num_attention_heads", 12),
    )
    vocabulary, eot = language.get("vocab_size", 49408), language.get("eos_token_id", 49407)
    text = TextConfig(
        language.get("max_position_embeddings", 77),
        vocabulary,
        # Old configs say 2 and mean the largest id; transformers reads them so as well.
        vocabulary - 1 if eot == 2 else eot,
        language.get("hidden_size", 512),
        language.get("num_hidden_layers", 12),
        language.get("num_attention_heads", 8),
    )
    activation = vision.get("hidden_act", "quick_gelu")
    if activation not in ("quick_gelu", "gelu") or activation != language.get("hidden_act", "quick_gelu"):
        raise CheckpointError(f"activation {activation!r} is not supported; CLIP has quick_gelu or gelu in both towers")
    return ClaverConfig(
        image,
        text,
        TemporalConfig(layers=max(1, image.layers // 3)),
        embedding=values.get("projection_dim", 512),
        activation=activation,
        norm_eps=vision.get("layer_norm_eps", 1e-5),
        preprocess=Preprocess.paper(image.size),
    )


def _adapt(
    config: ClaverConfig, state: State, temporal: Temporal | None, frames: int | None, aggregate: Aggregate | None
) -> ClaverConfig:
    """The config the caller asked for; `state` keeps what of the temporal tower still has a place in it."""
    trained = "temporal.embedding" in state
    if temporal is not None and temporal not in get_args(Temporal):
        raise CheckpointError(f"temporal must be one of {', '.join(get_args(Temporal))}, not {temporal!r}")
    if frames is not None and frames < 1:
        raise CheckpointError(f"frames must be at least 1, not {frames}")
    kind = temporal or config.temporal.kind
    if trained and kind != config.temporal.kind:
        fate = "are left out: frames are averaged" if kind == "mean" else f"now run as {kind}"
        logger.warning("temporal weights trained as %s %s", config.temporal.kind, fate)
    if kind == "mean":
        for key in [key for key in state if key.startswith("temporal.")]:
            del state[key]
    elif not trained:
        logger.warning("the temporal tower is new: until it is trained, answers are those of CLIP with mean pooling")
    elif frames is not None and frames != len(state["temporal.embedding"]):
        state["temporal.embedding"] = resize_time(state["temporal.embedding"], frames)
    layers = config.temporal.layers or max(1, config.image.layers // 3)
    config = config.with_temporal(kind, frames, layers)
    return config if aggregate is None else replace(config, aggregate=aggregate)


def _fill(model: Claver, state: State, source: str | Path) -> None:
    expected = model.state_dict()
    new_temporal = not any(key.startswith("temporal.") for key in state)
    wanted = [key for key in expected if not (new_temporal and key.startswith("temporal."))]
    if missing := [key for key in wanted if key not in state]:
        raise CheckpointError(f"{source} lacks {len(missing)} parameters, first {missing[0]!r}")
    if extra := [key for key in state if key not in expected]:
        raise CheckpointError(f"{source} has {len(extra)} parameters this model has no place for, first {extra[0]!r}")
    for key in wanted:
        if state[key].shape != expected[key].shape:
            theirs, ours = tuple(state[key].shape), tuple(expected[key].shape)
            raise CheckpointError(f"{source}: {key!r} has shape {theirs}, but this model needs {ours}")
    model.load_state_dict(state, strict=False)
