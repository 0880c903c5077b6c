"""Files of a user's that register things, such as image towers: named on the command line, or in the environment."""

from __future__ import annotations

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from claver.errors import ClaverError

ENVIRONMENT = "CLAVER_PLUGINS"
"""Python files to run before something is looked up that is not known, with the system's separator of paths between."""


def name_plugins(files: list[Path]) -> None:
    """Run some files when they are needed, in this process and in those that it starts.

    Raises:
        ClaverError: one is not there.
    """
    for file in files:
        if not file.is_file():
            raise ClaverError(f"there is no plugin {file}; it would be a Python file that calls claver.register_tower")
    named = [str(file.resolve()) for file in files]
    before = os.environ.get(ENVIRONMENT)
    os.environ[ENVIRONMENT] = os.pathsep.join([*([before] if before else []), *named])


def load_plugins() -> None:
    """Run the files that are named, each once.

    Raises:
        ClaverError: one is not there, or fails.
    """
    for name in filter(None, os.environ.get(ENVIRONMENT, "").split(os.pathsep)):
        path = Path(name)
        module = f"claver_plugin_{path.stem}_{abs(hash(path.resolve()))}"
        if module in sys.modules:
            continue
        spec = spec_from_file_location(module, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise ClaverError(f"{ENVIRONMENT} names {name}, which is no Python file")
        made = module_from_spec(spec)
        sys.modules[module] = made
        try:
            spec.loader.exec_module(made)
        except Exception as error:
            del sys.modules[module]
            raise ClaverError(f"the plugin {name} fails: {type(error).__name__}: {error}") from error
