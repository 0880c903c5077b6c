"""Which config a model folder has, and what it says."""

from __future__ import annotations

from pathlib import Path

from claver.errors import CheckpointError, ClaverError, PeerError
from claver.models.checkpoint.families import FAMILIES, REFUSED, SENTENCE, config_of
from claver.models.checkpoint.files import read_json
from claver.models.checkpoint.folder import CONFIG, TOKENIZER, read_config
from claver.models.checkpoint.hugging_face import (
    PREPROCESSOR,
    PROCESSOR,
    VIDEO_PREPROCESSOR,
    config_from_hugging_face,
    read_preprocessor,
)
from claver.models.checkpoint.library_tokenizer import LIBRARY_FILES
from claver.models.checkpoint.open_clip import OPEN_CLIP_CONFIG, config_from_open_clip
from claver.models.checkpoint.weights import find_weights
from claver.models.config import ClaverConfig
from claver.models.learned import ACTIONS
from claver.models.tokenizer import MERGES

CONFIGS = [
    *(CONFIG, OPEN_CLIP_CONFIG, PREPROCESSOR, PROCESSOR, TOKENIZER, ACTIONS, "vocab.json", "merges.txt", MERGES),
    *(
        *LIBRARY_FILES,
        "vocab.txt",
        VIDEO_PREPROCESSOR,
        SENTENCE,
        f"*_Pooling/{CONFIG}",
        "config_sentence_transformers.json",
    ),
]
"""Files of a model besides its weights."""
PEERS = {"xclip": "X-CLIP", "videoprism": "VideoPrism"}
"""Other models, by the model_type of their config, that `claver.inference.peers` evaluates."""


def kind_of(folder: Path, *, peers: bool = False) -> str:
    """Whose config a folder has.

    Args:
        folder: a model folder.
        peers: whether a peer is wanted as well.

    Raises:
        CheckpointError: that of a model that cannot be loaded.
    """
    open_clip = (folder / OPEN_CLIP_CONFIG).is_file()
    if open_clip and not (folder / CONFIG).is_file():
        return "open_clip"
    said = read_config(folder).get("model_type")
    kind = said if isinstance(said, str) else ""
    if kind in ("claver", "clip"):
        return kind
    if open_clip:
        return "open_clip"
    if kind in FAMILIES or (peers and kind in PEERS):
        return kind
    if kind in REFUSED:
        raise CheckpointError(f"{folder} {REFUSED[kind]}")
    told = f"{folder / CONFIG} says model_type {said!r}"
    if kind in PEERS:
        raise PeerError(f"{told}: {PEERS[kind]} is a peer, which only `claver evaluate` runs, on labelled clips")
    known = ", ".join(["claver", "clip", *FAMILIES])
    raise CheckpointError(f"{told}; what can be loaded is {known}, and by `claver evaluate` some peers")


def files_of(folder: Path) -> list[Path]:
    """The files that hold the weights of a model folder, or of a peer's.

    Raises:
        CheckpointError: it is none.
    """
    return find_weights(folder, kind_of(folder, peers=True))


def config_of_folder(folder: Path, kind: str, *, own: bool = False) -> ClaverConfig:
    """A folder's config; what is wrong with it is said of its file."""
    name = OPEN_CLIP_CONFIG if kind == "open_clip" else CONFIG
    values = read_json(folder / name)
    try:
        if kind == "claver":
            return ClaverConfig.from_dict(values)
        if kind in FAMILIES:
            return config_of(folder, kind)
        if kind == "open_clip":
            return config_from_open_clip(values, own=own)
        return config_from_hugging_face(values, read_preprocessor(folder), own=own)
    except ClaverError as error:
        told = str(error)
        place = "" if str(folder) in told else f"{folder}: " if told.startswith(PREPROCESSOR) else f"{folder / name}: "
        raise CheckpointError(place + told) from error
