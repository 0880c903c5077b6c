"""What every test shares: the folder of shared test material, or a clear skip where it is absent."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

with suppress(ImportError):  # a bare machine that runs the tests of a GPU has no more than they need
    from hypothesis import settings

    settings.register_profile("claver", deadline=None)  # wall-clock time says little on a machine that others use
    settings.load_profile("claver")

os.environ["CLAVER_CACHE"] = ""  # nothing is left in the home of whoever runs the tests, in any process of theirs

# A shell that starts the tests in the background has them, and all they start, ignore Ctrl-C and SIGQUIT.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGQUIT") and signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m gpu` no file is imported that has no such test: it may need what a bare machine has not."""
    if config.option.markexpr != "gpu" or collection_path.suffix != ".py" or collection_path.name == "conftest.py":
        return None
    return None if "pytest.mark.gpu" in collection_path.read_text(encoding="utf-8") else True


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"the shared test material is not at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def clips(shared: Path) -> Path:
    return shared / "clips"


@pytest.fixture(scope="session")
def chromium() -> str:
    from tests.browser import find_chromium

    return find_chromium()
