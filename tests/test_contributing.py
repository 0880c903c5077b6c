"""What CONTRIBUTING.md, SECURITY.md and CITATION.cff say of the project is so."""

import ast
import graphlib
import re
from pathlib import Path

import yaml

import claver

HOUSE = Path(__file__).parents[1]
PACKAGE = HOUSE / "src" / "claver"
CONTRIBUTING = (HOUSE / "CONTRIBUTING.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`([\w./-]+)`", re.sub(r"```.*?```", "", CONTRIBUTING, flags=re.S))


def test_every_file_and_folder_named_is_there() -> None:
    paths = [name for name in NAMED if re.search(r"\w/|\.(py|txt|toml|md|cff)$", name) and "NAME" not in name]
    assert len(paths) > 40
    siblings = [folder for folder in PACKAGE.iterdir() if folder.is_dir()]
    for path in paths:
        homes = [HOUSE, PACKAGE, *(siblings if "/" not in path else [])]
        assert any((home / path).exists() for home in homes), path


def test_the_map_has_every_package() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages <= {name.rstrip("/") for name in NAMED}


def needed(file: Path, modules: set[str]) -> set[str]:
    """Which of the package's modules a file imports, within functions and for types too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {node.module} | (below & modules)  # a submodule too is looked up in its package, which runs first
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & modules - {"claver"}  # which has lazy names alone, and nothing within the package uses them


def test_no_module_needs_itself_by_way_of_others() -> None:
    names = {path.relative_to(PACKAGE.parent).with_suffix(""): path for path in PACKAGE.rglob("*.py")}
    files = {".".join(name.parts[: -1 if name.name == "__init__" else None]): path for name, path in names.items()}
    assert len(files) > 200
    graph = {name: needed(path, set(files)) - {name} for name, path in files.items()}
    graphlib.TopologicalSorter(graph).prepare()  # an error names the circle


def imported(file: Path) -> set[str]:
    """Names of the modules right below `claver` that a file imports, within functions too."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    modules = [
        f"{node.module}.{alias.name}" for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    modules += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return {module.split(".")[1] for module in modules if module.startswith("claver.")}


def test_nothing_uses_what_stands_higher_on_the_map() -> None:
    rows = re.findall(r"^\| (`.*?) \|", CONTRIBUTING.partition("## The map")[2].partition("\n## ")[0], re.M)
    place = {name: row for row, names in enumerate(rows) for name in re.findall(r"`(\w+)(?:/|\.py)`", names)}
    assert len(place) > 15
    lowest = len(rows) - 1  # the small modules for everybody
    upward = set()
    for file in PACKAGE.rglob("*.py"):
        own = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if not own.startswith("__"):
            level = place.get(own, lowest)
            upward |= {(own, other) for other in imported(file) if place.get(other, lowest) < level}
    assert upward == set()


def test_tables_named_are_where_they_are_said_to_be() -> None:
    said = re.findall(r"`(\w+)` of\s+`([\w/]+\.py)`", CONTRIBUTING)
    assert {name for name, _ in said} == {"LAYOUTS", "STUDIES", "MASKS", "Temporal", "KINDS"}
    for name, file in said:
        assert re.search(rf"^{name}\b", (PACKAGE / file).read_text(encoding="utf-8"), re.M), (name, file)


def test_targets_of_make_are_there() -> None:
    makefile = (HOUSE / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^make (\w+)", CONTRIBUTING, re.M)
    assert len(targets) == 5
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_the_citation_is_of_this_version_and_the_paper() -> None:
    citation = yaml.safe_load((HOUSE / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["cff-version"]) == (claver.__version__, "1.2.0")
    paper = citation["preferred-citation"]
    assert [person["family-names"] for person in paper["authors"]] == ["Yang", "Yu", "Ni", "He", "Li"]
    assert paper["title"] in (HOUSE / "README.md").read_text(encoding="utf-8")
    assert paper["url"].endswith("2502.03549")
