import logging

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from claver.errors import ClaverError
from claver.training.mirror import mirror_of
from claver.training.recipe import load_recipe


@pytest.mark.parametrize(
    "pair",
    [
        ("swipe_left", "swipe_right"),
        ("swipe-left", "swipe-right"),
        ("TurnLeft", "TurnRight"),
        ("Left_Turn", "Right_Turn"),
        ("TURN LEFT", "TURN RIGHT"),
        ("turnLEFTNow", "turnRIGHTNow"),
        ("Left turn", "right turn"),
        ("moves leftward", "moves rightwards"),
        ("left-handed serve", "right-handed serve"),
        ("lefthanded serve", "righthanded serve"),
        ("swipeleft", "swiperight"),
        ("left2", "right2"),
        ("from left to right", "from right to left"),
        ("turn clockwise", "turn counter-clockwise"),
        ("turn_clockwise", "turn_anticlockwise"),
        ("RotateClockwise", "RotateCounterClockwise"),
        ("CLOCKWISE", "ANTI_CLOCKWISE"),
    ],
)
def test_sides_are_found_however_names_are_spelt(pair: tuple[str, str], caplog: pytest.LogCaptureFixture) -> None:
    assert mirror_of((*pair, "jump"), {}).tolist() == [1, 0, 2]
    assert not caplog.records


@pytest.mark.parametrize("name", ["bright light", "leftover", "upright", "copyright", "Theft", "otherwise"])
def test_words_that_only_look_like_a_side_are_none(name: str) -> None:
    assert mirror_of((name, "jump"), {}).tolist() == [0, 1]


@pytest.mark.parametrize("name", ["swipe_left", "TurnLeft", "goleft", "turn clockwise", "leftward", "swipe_L", "left2"])
def test_a_side_without_partner_is_never_mirrored_and_said(name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert mirror_of((name, "jump"), {}).tolist() == [-1, 1]
    assert len(caplog.records) == 1
    assert repr(name) in caplog.text


def test_all_that_are_not_mirrored_are_said_in_one_sentence(caplog: pytest.LogCaptureFixture) -> None:
    mirror_of(("kick left", "TurnRight", "jump"), {})
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "clips of 'kick left', 'TurnRight' are not mirrored" in record.message


def test_letters_and_names_alike_are_not_guessed_at() -> None:
    assert mirror_of(("letter l", "letter r"), {}).tolist() == [-1, -1]
    assert mirror_of(("turn left", "turn right", "Turn-Right"), {}).tolist() == [-1, -1, -1]


def test_pairs_that_are_given_win_and_what_they_leave_alone_is_not_mirrored() -> None:
    assert mirror_of(("east", "west", "up"), {"east": "west"}).tolist() == [1, 0, 2]
    assert mirror_of(("turn left", "turn right", "spin"), {"turn left": "spin"}).tolist() == [2, -1, 0]
    assert mirror_of(("turn left", "turn right"), {"turn left": "turn left"}).tolist() == [0, -1]
    with pytest.raises(ClaverError, match="no class 'wets'; did you mean 'west'"):
        mirror_of(("east", "west"), {"east": "wets"})


@pytest.mark.parametrize("wrong", ["{a: b, c: b}", "{a: b, b: c}", "{a: b, b: b}"])
def test_given_pairs_must_be_their_own_inverse(wrong: str) -> None:
    with pytest.raises(ClaverError, match=r"augment: .*'b' is .* mirroring twice must give the same class") as caught:
        load_recipe("own_clips", [f"augment.flip_labels={wrong}"])
    assert "\n" not in str(caught.value)


WORDS = st.lists(st.sampled_from(["left", "Right", "turn", "clockwise", "counter", "L", "_", "-", " ", "Up", "3"]))


@given(st.lists(WORDS.map("".join), unique=True, max_size=8))
def test_mirroring_twice_gives_the_same_class(classes: list[str]) -> None:
    mirror = mirror_of(classes, {})
    known = mirror >= 0
    assert torch.equal(mirror[mirror[known].long()], torch.arange(len(classes))[known])
