"""Chromium without a window, for tests of pages."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest


def find_chromium() -> str:
    """Its program; skips the test where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    return found


def opening(chromium: str, address: Path, *flags: str) -> dict[str, Any]:
    """What starts it with a page, in a profile of its own, as arguments of `subprocess`."""
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", *flags]
    return {"args": [*command, address.as_uri()], "env": os.environ | {"HOME": str(address.parent)}, "text": True}


def browse(chromium: str, address: Path, *flags: str) -> str:
    """What it prints of a page."""
    done = subprocess.run(**opening(chromium, address, *flags), capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)
