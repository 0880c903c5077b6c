import pytest

from claver.errors import ClaverError
from claver.suggest import hint, hint_or_some, nearest
from claver.text import benchmark_classes, read_actions
from claver.training.recipe import load_recipe

KNOWN = ("waving", "bowing", "standing up", "walking")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("waveing", "waving"),
        ("Standing_Up", "standing up"),  # spelling alone, where letters would be too few alike
        ("STANDUP", "standing up"),
        ("bow", None),
        ("?!", None),
        ("", None),
    ],
)
def test_the_nearest_name_is_one_as_alike_as_may_be_meant(name: str, found: str | None) -> None:
    assert nearest(name, KNOWN) == found


def test_the_nearest_of_a_list_of_classes_in_any_spelling() -> None:
    classes = benchmark_classes("ucf101")
    assert nearest("ApplyEyeMakeup", classes) == "apply eye makeup"
    assert nearest("quantum field theory", classes) is None


def test_names_without_a_letter_are_told_from_each_other() -> None:
    assert nearest("??", ["!!", "??"]) == "??"


def test_a_message_ends_with_the_nearest_or_with_some() -> None:
    assert hint("waveing", KNOWN) == "; did you mean 'waving'?"
    assert hint("quantum", KNOWN) == ""
    assert hint_or_some("waveing", KNOWN) == "; did you mean 'waving'?"
    assert hint_or_some("quantum", KNOWN) == " (waving, bowing, standing up, …)"
    assert hint_or_some("quantum", KNOWN[:3]) == " (waving, bowing, standing up)"


def test_a_key_like_none_of_a_recipe_is_answered_with_all() -> None:
    with pytest.raises(ClaverError, match=r"unknown key 'temporal\.xyz'; choose one of kind, layers"):
        load_recipe("motion_stills", ["temporal.xyz=3"])


def test_half_the_name_of_a_benchmark_is_no_action() -> None:
    with pytest.raises(ClaverError, match=r"'kinetics' is no list of actions; did you mean 'kinetics[46]00'"):
        read_actions("kinetics")
