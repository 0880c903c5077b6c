"""Names of packages that are imported when first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def missing(package: str, name: str) -> Any:
    """Raise the error of Python for a name that a module lacks."""
    raise AttributeError(f"module {package!r} has no attribute {name!r}")


def lazy_names(
    package: str, homes: Mapping[str, str], otherwise: Callable[[str, str], Any] = missing
) -> Callable[[str], Any]:
    """The `__getattr__` of a package whose names are imported when first used.

    Args:
        package: its `__name__`.
        homes: for each name the module that has it, without the package's name in front.
        otherwise: what gives any other name, such as `claver.moved.renamed`, or raises `AttributeError`.
    """

    def attribute(name: str) -> Any:
        if name in homes:
            return getattr(import_module(f"{package}.{homes[name]}"), name)
        return otherwise(package, name)

    return attribute
