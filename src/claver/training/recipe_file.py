"""Recipe files: where they are, and what one takes over from another by its key `base`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from claver.errors import ClaverError
from claver.files import MOST_DOCUMENT, is_file, read_text
from claver.suggest import nearest
from claver.yaml_text import parse_yaml

_MOST_BASES = 8
_PACKAGE = Path(__file__).parents[1]
_INSTALLED, _CHECKOUT = _PACKAGE / "recipes", _PACKAGE.parents[1] / "recipes"
_PACKAGED = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


def find_recipe(source: str | Path) -> Path:
    """A recipe's file: the path itself, else the recipe of that name in the package, else in a source checkout.

    Raises:
        ClaverError: there is none; the message lists those that come with the package.
    """
    if is_file(str(source)):
        return Path(source)
    if (found := _in_folders(str(source), _PACKAGED)) is not None:
        return found
    near = nearest(str(source), _known())
    hint = f"did you mean {near!r}?" if near else f"give a YAML file or one of {', '.join(_known())}"
    raise ClaverError(f"there is no recipe {str(source)!r}; {hint}")


def read_recipe(path: Path) -> dict[str, Any]:
    """The keys and values of a recipe file, those of its bases included, so that the result names no base.

    `base: NAME` takes over the recipe NAME: a file in the same folder, else one that comes with the package. Own keys
    win; in a section (such as `videos`) each key by itself. A base may have a base.

    Raises:
        ClaverError: a file cannot be read, is not a mapping, names a base that is not there, or leads back to itself.
    """
    files, values = [path], _mapping(path)
    while "base" in values:
        files.append(_find_base(values.pop("base"), files[-1]))
        if files[-1].resolve() in [file.resolve() for file in files[:-1]]:
            raise ClaverError(f"recipe {path} takes itself over: {' → '.join(file.name for file in files)}")
        if len(files) > _MOST_BASES + 1:
            raise ClaverError(f"recipe {path} has more than {_MOST_BASES} bases, each the base of the one before")
        values = _merged(_mapping(files[-1]), values)
    return values


def _mapping(path: Path) -> dict[str, Any]:
    values = parse_yaml(read_text(path, MOST_DOCUMENT), f"recipe {path}")
    if not isinstance(values, dict):
        raise ClaverError(f"recipe {path} should be a mapping of keys to values")
    return values


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    both = {key for key in own if isinstance(own[key], dict) and isinstance(base.get(key), dict)}
    return base | own | {key: _merged(base[key], own[key]) for key in both}


def _find_base(base: Any, owner: Path) -> Path:
    if not isinstance(base, str) or Path(base).name != base:
        right = "the name of a recipe that comes with claver, or of a file in the same folder"
        raise ClaverError(f"recipe {owner}: base is {base!r}; give {right}")
    if (found := _in_folders(base, owner.parent, _PACKAGED)) is not None:
        return found
    near = nearest(base, [*_known(), *(file.name for file in owner.parent.glob("*.yaml"))])
    hint = f"did you mean {near!r}?" if near else f"give a file of the same folder or one of {', '.join(_known())}"
    raise ClaverError(f"recipe {owner}: there is no base {base!r}; {hint}")


def _in_folders(name: str, *folders: Path) -> Path | None:
    if Path(name).name != name:
        return None
    tried = (folder / file for folder in folders for file in (name, f"{name}.yaml"))
    return next((file for file in tried if is_file(str(file))), None)


def _known() -> list[str]:
    return sorted(found.stem for found in _PACKAGED.glob("*.yaml"))
