"""The package as others get it: built as an archive, built from that as a wheel, installed somewhere else, and used."""

import os
import re
import subprocess
import sys
import tarfile
from email.parser import Parser
from pathlib import Path

import pytest

import claver

HOUSE = Path(__file__).parents[1]
USED = """
import claver, pathlib
from claver.evaluation.paper import paper_rows
from claver.text import BENCHMARKS, PromptBank, benchmark_classes, texts_for
from claver.training import find_recipe, load_recipe
home = pathlib.Path(claver.__file__).parent
assert home.parent == pathlib.Path("installed").resolve(), home
load_recipe("few_shot_ucf101_k16")
for path in (home / "recipes").glob("*.yaml"):
    assert find_recipe(path.stem) == path
    load_recipe(path.stem)
for name in BENCHMARKS:
    assert len(texts_for(benchmark_classes(name)))
assert len(paper_rows()) > 100
"""


def run(folder: Path, *words: str | Path) -> str:
    """What a command prints, with the installed package alone on the path."""
    environment = os.environ | {"PYTHONPATH": str(folder / "installed"), "PIP_NO_INDEX": "1", "NO_COLOR": "1"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `dist/`, the archive and the wheel, and `installed/`."""
    pytest.importorskip("hatchling", reason="hatchling (extra test) is not installed")
    pytest.importorskip("pip", reason="pip is not installed")
    top = tmp_path_factory.mktemp("package")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", top / "dist"], cwd=HOUSE, check=True
    )
    pip = (sys.executable, "-m", "pip", "-q", "--disable-pip-version-check")
    [archive] = (top / "dist").glob("*.tar.gz")
    run(top, *pip, "wheel", "--no-deps", "--no-build-isolation", "-w", "dist", archive)
    [wheel] = (top / "dist").glob("*.whl")
    run(top, *pip, "install", "--no-deps", "--target", "installed", wheel)
    return top


def files(folder: Path, *left_out: str) -> set[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if "__pycache__" not in path.parts and path.parts[0] not in left_out}


@pytest.mark.slow
def test_the_wheel_has_every_file_of_the_package_and_the_recipes(folder: Path) -> None:
    installed = folder / "installed" / "claver"
    assert files(installed, "recipes", "model_card_template.md") == files(HOUSE / "src" / "claver")
    assert (installed / "model_card_template.md").read_bytes() == (HOUSE / "docs/model_card_template.md").read_bytes()
    assert files(installed / "recipes") == files(HOUSE / "recipes")
    for file in ("py.typed", "explain/render/page.css", "evaluation/paper.csv", "text/banks/kinetics.jsonl"):
        assert (installed / file).is_file()


@pytest.mark.slow
def test_the_archive_has_tests_and_documents_and_nothing_that_git_ignores(folder: Path) -> None:
    [archive] = (folder / "dist").glob("*.tar.gz")
    with tarfile.open(archive) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "Makefile", "constraints.txt", "tests/test_package.py"} <= names
    assert not [name for name in names if re.match(r"(site|runs|dist|\.venv|\.mypy_cache)/|.*\.pyc$", name)]


@pytest.mark.slow
def test_the_installed_package_answers(folder: Path) -> None:
    assert run(folder, sys.executable, "-m", "claver", "--version") == f"claver {claver.__version__}\n"
    assert run(folder, folder / "installed" / "bin" / "claver", "--version") == f"claver {claver.__version__}\n"
    assert "wine" in run(folder, sys.executable, "-m", "claver", "prompts", "show", "opening wine bottle")
    run(folder, sys.executable, "-c", USED)


@pytest.mark.slow
def test_what_the_index_is_told(folder: Path) -> None:
    [told] = (folder / "installed").glob("*.dist-info/METADATA")
    message = Parser().parsestr(told.read_text(encoding="utf-8"))
    assert (message["Name"], message["Version"], message["License-Expression"]) == ("claver", claver.__version__, "MIT")
    needs = [re.split(r"[^\w.-]", need)[0] for need in message.get_all("Requires-Dist", []) if "extra ==" not in need]
    assert len(needs) == len(set(needs))
    assert all(message.get_all(field) for field in ("Project-URL", "Keywords", "Classifier"))


def test_documents_name_this_version() -> None:
    assert f"claver-{claver.__version__}-py3-none-any.whl" in (HOUSE / "README.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", (HOUSE / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert headings[0] == "Unreleased"
    assert headings[1].startswith(f"{claver.__version__} - 20")
