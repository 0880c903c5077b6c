"""Packages whose names are imported when first used."""

import subprocess
import sys
from importlib import import_module

import pytest

LAZY = ["claver", "claver.data", "claver.evaluation", "claver.index", "claver.inference", "claver.motion"]
LAZY += ["claver.timeline"]


@pytest.mark.parametrize("package", LAZY)
def test_every_public_name_is_there_and_another_is_none(package: str) -> None:
    home = import_module(package)
    assert set(home._HOME) <= set(home.__all__)
    for name in home.__all__:
        assert getattr(home, name) is not None
    with pytest.raises(AttributeError, match=f"^module '{package}' has no attribute 'nothing'$"):
        _ = home.nothing


def test_a_package_alone_imports_nothing_heavy() -> None:
    light = ", ".join(package for package in LAZY if package != "claver.evaluation")  # whose metrics need torch
    code = f"import sys, {light}; print({{'torch', 'av'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "set()\n"
