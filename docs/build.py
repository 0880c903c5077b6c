"""Write the reference of claver's public names, from their docstrings, as a folder of pages: `make docs`.

Every package that says what is public (`__all__`) has a page. Nothing is fetched, neither now nor by the pages.
Whatever is amiss, such as a public name that is not there, ends the build.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import get_type_hints

from pdoc import doc, doc_ast, render

import claver


def public_packages() -> list[str]:
    """The packages that have a page, `claver` first."""
    home = Path(claver.__file__).parent
    folders = sorted(path.parent.relative_to(home.parent) for path in home.rglob("__init__.py"))
    names = [".".join(folder.parts) for folder in folders]
    return [name for name in names if hasattr(import_module(name), "__all__")]


def build(output: Path) -> None:
    """Write the pages.

    Raises:
        UserWarning: something cannot be documented as it is.
        AttributeError: a public name is not there.
    """
    modules = {name: doc.Module(_resolved(import_module(name))) for name in public_packages()}
    for name, module in modules.items():
        # pdoc would list modules that are named like a public function, and leave out what `__all__` does not name
        module.submodules = [other for other in modules.values() if other.fullname.rpartition(".")[0] == name]
        for kind in module.classes:
            if (made := kind.members.get("__init__")) and not made.obj.__doc__:
                made.docstring = ""  # instead of what torch says about modules
        for member in module.variables:
            member.docstring = member.docstring or _words_about(member.name, member.default_value)
    render.configure(docformat="google", footer_text=f"claver {claver.__version__}")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for name, module in modules.items():
            _write(output / f"{name.replace('.', '/')}.html", render.html_module(module, modules))
        _write(output / "index.html", render.html_index(modules))
        _write(output / "search.js", render.search_index(modules))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _words_about(name: str, value: object) -> str:
    """What stands below a variable in the module that it comes from."""
    homes = [home for path, home in sys.modules.items() if path.startswith("claver.") and name in vars(home)]
    found = (doc_ast.walk_tree(home).var_docstrings.get(name) for home in homes if vars(home)[name] is value)
    return next(filter(None, found), "")


def _resolved(package: ModuleType) -> ModuleType:
    for name in package.__all__:
        public = getattr(package, name)
        setattr(package, name, public)  # what is imported when first used is there now
        if isinstance(public, type) and issubclass(public, tuple) and hasattr(public, "_fields"):
            # `typing.NamedTuple` makes its constructor in a namespace of its own, where the names of types say nothing
            public.__new__.__annotations__ = get_type_hints(public)
    return package


if __name__ == "__main__":
    build(Path(sys.argv[1] if len(sys.argv) > 1 else "site"))
