"""Names of modules from before: they give the very modules of today, and say so."""

from importlib import import_module

import pytest

from claver.moved import MOVED, RENAMED, today


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


@pytest.mark.parametrize(
    ("module", "old"),
    [
        ("claver.data", "Reading"),
        ("claver.data", "CenterCut"),
        ("claver.data.clips", "Place"),
        ("claver.data.classes", "recognise_dataset"),
        ("claver.evaluation.protocols", "mean_and_deviation"),
        ("claver.log", "say_once"),
        ("claver.video.prefetch", "load_ahead"),
    ],
)
def test_an_old_name_of_a_class_or_function_gives_what_it_is_called_today(module: str, old: str) -> None:
    home = import_module(module)
    with pytest.warns(DeprecationWarning, match=f"{old} is now {RENAMED[old]}"):
        assert getattr(home, old) is getattr(home, RENAMED[old])
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = home.nothing
