"""What every test shares: the folder of shared test material, or a clear skip where it is absent."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"the shared test material is not at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def clips(shared: Path) -> Path:
    return shared / "clips"
