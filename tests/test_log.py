import logging

import pytest

from claver.log import warn_once


def test_what_comes_up_often_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    warn_once.cache_clear()
    for what in ("frames", "frames", "views", "frames"):
        warn_once(f"{what} are bent to fit")
    assert [(one.name, one.levelno, one.getMessage()) for one in caplog.records] == [
        ("claver", logging.WARNING, "frames are bent to fit"),
        ("claver", logging.WARNING, "views are bent to fit"),
    ]
