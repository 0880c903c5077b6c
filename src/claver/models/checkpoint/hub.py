"""A model's files, wherever they are: here, or on the Hugging Face Hub, of which only what is read is downloaded."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from claver.errors import CheckpointError
from claver.models.checkpoint.configs import CONFIGS, PEERS, config_of_folder, kind_of
from claver.models.checkpoint.files import require_regular
from claver.models.checkpoint.folder import weights_in
from claver.models.checkpoint.weights import SUFFIXES, patterns_of

_HUB_ID = re.compile(r"[\w][\w.-]*/[\w.-]+")


def locate(source: str | Path, revision: str | None, token: str | None, *, peers: bool = False) -> Path:
    """The folder or file of a model: a path, of a training run what is to be loaded, or what a hub id names.

    Args:
        source: path or hub id.
        revision: of the hub id.
        token: of the hub.
        peers: whether a peer is downloaded as well.

    Raises:
        CheckpointError: nothing there, no regular file or folder, or a download that failed.
    """
    path = Path(source).expanduser()
    if path.exists():
        return weights_in(path) if path.is_dir() else require_regular(path)
    if not _HUB_ID.fullmatch(str(source)) or path.suffix.lower() in SUFFIXES:
        raise CheckpointError(f"there is no file or folder {source}; a Hugging Face id looks like name/model")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return download(
            lambda patterns: snapshot_download(str(source), revision=revision, token=token, allow_patterns=patterns),
            peers=peers,
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(
            f"{source} is neither a local path nor in the Hugging Face cache and could not be downloaded: "
            f"{_reason(error)}"
        ) from error


def _reason(error: Exception) -> str:
    told = (str(error).splitlines() or [type(error).__name__])[0]
    lost = told.startswith("Got: ")  # so the Hub's client begins where there is no connection
    return f"the Hugging Face Hub cannot be reached ({told.removeprefix('Got: ')})" if lost else told


def download(snapshot: Callable[[list[str]], str], *, peers: bool = False) -> Path:
    """The local folder of a repository with its configs, its tokenizer and one copy of its weights, of maybe four.

    Args:
        snapshot: downloads what fits some patterns and returns the folder.
        peers: whether a peer is wanted as well.

    Raises:
        CheckpointError: by its config it is no model that can be loaded; its weights are not downloaded.
    """
    folder = Path(snapshot(CONFIGS))
    kind = kind_of(folder, peers=peers)
    if kind not in PEERS:
        config_of_folder(folder, kind)
    for patterns in patterns_of(kind):
        folder = Path(snapshot([*CONFIGS, *patterns]))
        if any(any(folder.glob(pattern)) for pattern in patterns):
            break
    return folder
