"""The page in a real browser, as its users meet it: with a mouse, by keyboard, on a phone, in the dark."""

import re
import time
from pathlib import Path
from typing import Any

import pytest
from tests.app.conftest import LIMITS, Opened

from claver.app.serving import Server


def choose(page: Any, path: Path, tab: str = "recognize") -> None:
    page.set_input_files(f"#{tab}-upload input[type=file]", str(path))


def take(page: Any, path: Path, tab: str = "recognize") -> None:
    choose(page, path, tab)
    page.wait_for_selector(f"#{tab}-clip video")


def ask(page: Any, words: str, tab: str = "recognize") -> None:
    page.fill(f"#{tab}-words textarea", words)
    page.click(f"#{tab}-go")


def open_tab(page: Any, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def shoot(page: Any, folder: Path, name: str) -> None:
    """A picture for whoever wants to look, and no part of the page wider than the window."""
    page.screenshot(path=folder / f"{name}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.slow
def test_a_clip_is_uploaded_named_and_explained(opened: Opened, videos: Path, tmp_path: Path) -> None:
    page = opened()
    take(page, videos / "clip.mp4")
    assert "clip.mp4" in page.inner_text("#recognize-clip")
    ask(page, "jumps, <b>falls</b>\nwaves")
    page.wait_for_selector("#recognize-answer .cl-said")
    names = page.locator("#recognize-answer .cl-name").all_inner_texts()
    assert sorted(names) == ["<b>falls</b>", "jumps", "none of these", "waves"]
    assert page.inner_text("#recognize-answer .cl-said") in names
    page.click("#recognize-why-go")
    page.wait_for_selector("#recognize-why .film")
    assert page.locator("#recognize-why .film img").count() == 4 * 4
    assert "Which words" in page.inner_text("#recognize-why")
    shoot(page, tmp_path, "recognize")


def test_without_words_the_actions_of_the_page_are_compared(opened: Opened, videos: Path) -> None:
    page = opened()
    page.click("#recognize-go")
    page.wait_for_selector("#recognize-answer [role=alert]")
    assert page.inner_text("#recognize-answer") == "Choose a video first"
    take(page, videos / "clip.mp4")
    page.focus("#recognize-go")
    page.keyboard.press("Enter")
    page.wait_for_selector("#recognize-answer .cl-said")
    names = page.locator("#recognize-answer .cl-name").all_inner_texts()
    assert sorted(names) == ["bows", "none of these", "sits down", "waves"]
