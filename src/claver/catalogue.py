"""The families of models that can be loaded, with example checkpoints and what is published of them.

All facts are in `catalogue.yaml` beside this file; nothing is downloaded, and nothing heavy imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from claver.errors import ClaverError
from claver.files import read_text
from claver.suggest import hint_or_some
from claver.yaml_text import parse_yaml

CATALOGUE = Path(__file__).with_name("catalogue.yaml")


@dataclass(frozen=True)
class ListedModel:
    """An example checkpoint; None is what no source was found for.

    Attributes:
        id: its repository on the Hugging Face Hub.
        licence: of the weights, the SPDX identifier where there is one.
        parameters: millions, image and text tower together.
        pixels: sides of the square that a frame is cut to.
        top1: published zero-shot top-1 accuracy on Kinetics-400, percent.
        frames: of a clip, in that measurement.
        source: where it is published: the work and its table.
        note: how it was measured, and what else there is to say.
    """

    id: str
    licence: str | None = None
    parameters: float | None = None
    pixels: int | None = None
    top1: float | None = None
    frames: int | None = None
    source: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Family:
    """Models of one kind that are loaded alike.

    Attributes:
        name: the model type of Hugging Face's config where there is one.
        kind: what it has: images and texts, images, texts; or claver's own, or a peer to compare with.
        about: what it is.
        tested: what was tested of it here, without its real weights.
        load: the call that loads one; of a peer the command that takes it.
        facts: where licences, parameters and pixels come from.
        models: example checkpoints.
    """

    name: str
    kind: str
    about: str
    tested: str
    load: str
    models: tuple[ListedModel, ...]
    facts: str | None = None


def read_catalogue() -> tuple[Family, ...]:
    """All families, in the order in which they are shown."""
    document = parse_yaml(read_text(CATALOGUE), str(CATALOGUE))
    return tuple(_family(row, document["sources"]) for row in document["families"])


def find_models(part: str = "", family: str | None = None) -> tuple[Family, ...]:
    """The families that are asked for.

    Args:
        part: what a family's name, or the id of a checkpoint has in it, in any case; of the latter only those
            checkpoints are left.
        family: the name of a family.

    Raises:
        ClaverError: there is none; the sentence says what is near.
    """
    chosen = read_catalogue()
    if family is not None:
        names = [one.name for one in chosen]
        chosen = tuple(one for one in chosen if one.name == family)
        if not chosen:
            raise ClaverError(f"there is no family {family!r}{hint_or_some(family, names, most=len(names))}")
    found = tuple(_having(one, part.casefold()) for one in chosen)
    kept = tuple(one for one in found if one is not None)
    if not kept:
        where = f" of family {family}" if family else ""
        raise ClaverError(f"no listed model{where} has {part!r} in its name{hint_or_some(part, _names(chosen))}")
    return kept


def records(families: Sequence[Family]) -> list[dict[str, Any]]:
    """The families as plain values, for JSON."""
    return [asdict(family) for family in families]


def rows(families: Sequence[Family]) -> list[list[object]]:
    """The families as rows of a table, for CSV: one for each model, and one for a family without; names first."""
    own = ("family", "kind", "about", "tested", "load", "facts")
    of_model = ("id", "licence", "parameters", "pixels", "top1", "frames", "source", "note")
    body: list[list[object]] = [[*own, *of_model]]
    for family in families:
        told = (family.name, family.kind, family.about, family.tested, family.load, family.facts)
        listed = [[getattr(model, name) for name in of_model] for model in family.models]
        body += [[*told, *values] for values in listed or [[None] * len(of_model)]]
    return body


def _family(row: dict[str, Any], sources: dict[str, str]) -> Family:
    models = tuple(ListedModel(**model) for model in row["models"])
    spelt = (replace(model, source=sources[model.source]) if model.source else model for model in models)
    return Family(**{**row, "models": tuple(spelt)})


def _having(family: Family, part: str) -> Family | None:
    """The family with what has the part in its name; None where nothing has."""
    if part in family.name.casefold():
        return family
    models = tuple(model for model in family.models if part in model.id.casefold())
    return replace(family, models=models) if models else None


def _names(families: Sequence[Family]) -> list[str]:
    """What a misspelt part may have meant: families, ids, and ids without the owner."""
    ids = [model.id for family in families for model in family.models]
    return [*(family.name for family in families), *ids, *(name.partition("/")[2] for name in ids)]
