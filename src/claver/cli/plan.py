"""What a command would do: for `--dry-run`, from names and configs alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from claver.cli.formats import Format
from claver.cli.model import DEFAULT_ACTIONS, named_model
from claver.errors import ClaverError
from claver.terminal import shown

if TYPE_CHECKING:
    from claver.models import Learned


def recognition_plan(
    paths: Sequence[str],
    model: str | None,
    actions: str | tuple[str, ...] | None,
    texts: str | None,
    temporal: str | None,
    frames: int | None,
    views: str | None,
    form: Format,
    output: Path | None,
) -> str:
    """What `claver recognize` would read, by what, and where the answers would go. No weights are read.

    Raises:
        ClaverError: what the command itself would refuse before it reads weights.
    """
    from claver.inference.views import Views
    from claver.text import Actions, read_actions
    from claver.video.remote import is_remote

    own = None if actions is not None else _learned(model)
    named = actions if actions is not None else (Actions(own.names, own.texts) if own else DEFAULT_ACTIONS)
    competing = read_actions(named, texts=texts)
    looks = Views.parse(views if views is not None else own.views if own else "1x1")
    count = sum(map(len, competing.texts))
    lines = [
        f"model    {_model(named_model(model), temporal, frames)}",
        f"actions  {len(competing.names)}, with {count} texts: {_some(competing.names)}",
        f"views    {looks} of each video",
        f"output   {_output(output, form)}",
        f"files    {len(paths)}",
        *(
            f"  {shown(path)}{'' if os.path.exists(path) or is_remote(path) else '  (there is no such file)'}"
            for path in paths
        ),
    ]
    return "\n".join(lines) + "\n"


def _learned(model: str | None) -> Learned | None:
    """What a model was trained on, if it is a folder that says so."""
    from claver.models.checkpoint.folder import weights_in
    from claver.models.exported.bank import ExportedBank
    from claver.models.exported.manifest import BANK, Manifest, is_exported
    from claver.models.learned import Learned, read_learned

    place = None if model is None else Path(model).expanduser()
    if place is not None and is_exported(place):
        manifest = Manifest.load(place)
        bank = ExportedBank.load(place / BANK, manifest.config.embedding)
        return Learned(bank.names, bank.texts, manifest.config.temporal.frames, views=manifest.views)
    return read_learned(weights_in(place)) if place is not None and place.is_dir() else None


def _model(name: str, temporal: str | None, frames: int | None) -> str:
    from claver.models.checkpoint.folder import CONFIG, read_config, weights_in
    from claver.models.exported.manifest import Manifest, is_exported

    place = Path(name).expanduser()
    if place.is_file():
        return f"{shown(name)}, a file of weights"
    if is_exported(place):
        temporal_config = Manifest.load(place).config.temporal
        return f"{shown(name)}, exported, {temporal_config.kind}, {frames or temporal_config.frames} frames"
    if place.is_dir():
        own = read_config(weights_in(place)).get("temporal") or {}
        kind = own.get("kind", "kmt") if temporal is None else temporal
        count = own.get("frames", 8) if frames is None else frames
        return f"{shown(str(weights_in(place)))}, {kind}, {count} frames"
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        cached = isinstance(try_to_load_from_cache(name, CONFIG), str)
    except HFValidationError:
        raise ClaverError(f"there is no file or folder {name}; a Hugging Face id looks like name/model") from None
    return f"{shown(name)}, {'in the local cache' if cached else 'to be downloaded'}"


def _output(output: Path | None, form: Format) -> str:
    if output is None:
        return f"stdout, {form}"
    begun = output.with_name(f"{output.name}.partial").exists()
    more = ", resuming after what is done" if begun else ", which is replaced" if output.exists() else ""
    return f"{shown(str(output))}, {form}{more}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(shown, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
