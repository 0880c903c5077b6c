"""Names of modules from before: they give the very modules of today, and say so."""

from importlib import import_module

import pytest

from claver.moved import MOVED, today


@pytest.mark.parametrize("old", [*MOVED, "prompts.generator.server", "prompts.templates"])
def test_an_old_name_gives_the_module_of_today_and_warns(old: str) -> None:
    with pytest.warns(DeprecationWarning, match=rf"claver\.{old} is now claver\."):
        found = import_module(f"claver.{old}")
    assert found is import_module(today(f"claver.{old}"))
    assert found.__spec__ is not None
    assert found.__spec__.name == found.__name__ == today(f"claver.{old}")


@pytest.mark.parametrize("name", ["claver.text", "claver.nothing", "numpy.prompts", "claver"])
def test_other_names_stay(name: str) -> None:
    assert today(name) == name
