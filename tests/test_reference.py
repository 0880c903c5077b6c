"""The reference that `make docs` builds: complete, without a warning, and without anything from a network."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

PACKAGES = [
    "claver",
    *(
        f"claver.{name}"
        for name in ("attention", "data", "evaluation", "explain", "export", "inference", "models", "motion", "text")
    ),
]
PACKAGES += ["claver.training", "claver.video"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("pdoc", reason="pdoc (extra docs) is not installed")
    script, folder = Path(__file__).parents[1] / "docs" / "build.py", tmp_path_factory.mktemp("site")
    done = subprocess.run([sys.executable, script, folder], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


@pytest.mark.slow
def test_every_public_name_has_its_place(site: Path) -> None:
    for name in PACKAGES:
        page = (site / f"{name.replace('.', '/')}.html").read_text(encoding="utf-8")
        for public in import_module(name).__all__:
            assert f'id="{public}"' in page, f"{name}.{public}"
    start = (site / "claver.html").read_text(encoding="utf-8")
    assert all(f'href="claver/{name.rpartition(".")[2]}.html"' in start for name in PACKAGES[1:])


@pytest.mark.slow
def test_shapes_errors_and_words_about_constants_are_there_and_nothing_is_fetched(site: Path) -> None:
    attention = (site / "claver" / "attention.html").read_text(encoding="utf-8")
    assert "lower triangular, of full rank" in attention  # of KMCT, in another module than the page is of
    assert re.search(r'<h6 id="raises[^"]*">Raises', attention)
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(
            r"<(script|img|iframe)[^>]*\ssrc=.https?:|<link[^>]*https?:|@import|url\(.?https?:", text
        ), page
