"""Notices are said once per process; each test starts with all of them unsaid."""

import pytest

from claver.log import warn_once


@pytest.fixture(autouse=True)
def _unsaid() -> None:
    warn_once.cache_clear()
