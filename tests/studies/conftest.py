"""What tests of studies share."""

import pytest


@pytest.fixture(scope="session")
def tiny_bench(tmp_path_factory):
    """A folder where models and tokens of tiny settings are kept for all tests."""
    return tmp_path_factory.mktemp("bench")
