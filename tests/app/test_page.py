"""The page in a real browser, as its users meet it: with a mouse, by keyboard, on a phone, in the dark."""

import time
from collections.abc import Callable
from operator import mul
from pathlib import Path
from typing import Any

import pytest
from tests.app.conftest import LIMITS, Opened, StandIn, served

from claver.app.serving import Server
from claver.app.uploads import Visitor, stored_bytes
from claver.inference.windows import WindowEncoder
from claver.timeline.writing import TimelineFormat

_POSTER_SIZE = """async address => {
    const picture = new Image();
    picture.src = address;
    await picture.decode();
    return [picture.naturalWidth, picture.naturalHeight];
}"""


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


def contrast_of_chosen_tab(page: Any) -> float:
    """WCAG's ratio between the name of the chosen tab and the page behind it."""
    colors = page.evaluate("""() => [
        getComputedStyle(document.querySelector('[role=tab][aria-selected=true]')).color,
        getComputedStyle(document.querySelector("gradio-app")).backgroundColor,
    ].map(color => color.match(/[\\d.]+/g).slice(0, 3).map(Number))""")
    low, high = sorted(sum(map(mul, (0.2126, 0.7152, 0.0722), map(_linear, color))) for color in colors)
    return (high + 0.05) / (low + 0.05)


def _linear(value: float) -> float:
    share = value / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


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


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def everybody(server: Server) -> list[Visitor]:
    return list(server.service.visitors._visitors.values())  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_time_line_is_made_clicked_through_and_saved(opened: Opened, videos: Path, tmp_path: Path) -> None:
    page = opened()
    open_tab(page, "Time line")
    take(page, videos / "odd.mkv", "timeline")
    assert "converted preview" in page.inner_text("#timeline-clip")
    ask(page, "jumps, falls, waves", "timeline")
    page.wait_for_selector("#timeline-found .plots")
    video = page.locator("#timeline-found video")
    video.evaluate("video => new Promise(done => video.readyState ? done() : video.onloadedmetadata = done)")
    assert video.evaluate("video => video.duration") == pytest.approx(3, abs=0.2)
    box = page.locator("#timeline-found .plot").last.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 5)
    assert video.evaluate("video => video.currentTime") == pytest.approx(1.5, abs=0.1)
    links = page.locator("#timeline-found a.cl-link")
    assert links.count() == len(TimelineFormat)
    for number in range(links.count()):
        with page.expect_download() as download:
            links.nth(number).click()
        name = download.value.suggested_filename
        download.value.save_as(tmp_path / name)
    saved = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert set(saved) == {f"odd{form.suffix}" for form in TimelineFormat}
    assert saved["odd.vtt"].startswith("WEBVTT")
    assert saved["odd.csv"].startswith("path,start,stop")
    assert "/odd.mkv" in saved["odd.eaf"]
    assert not any(str(Path.cwd()) in text or "claver-app-" in text for text in saved.values())
    shoot(page, tmp_path, "timeline")


def test_a_file_of_the_open_folder_with_a_hostile_name(opened: Opened, tmp_path: Path) -> None:
    page = opened()
    title = page.title()
    open_tab(page, "Time line")
    page.click("#timeline-named input")
    page.get_by_role("option", name="<img").click()
    page.wait_for_selector("#timeline-clip video")
    assert "<img src=x onerror=document.title='hit'>.mp4" in page.inner_text("#timeline-clip")
    ask(page, "{{constructor}} ${1+1}, <script>document.title='hit'</script>", "timeline")
    page.wait_for_selector("#timeline-found .plots")
    assert "<script>document.title='hit'</script>" in page.inner_text("#timeline-found")
    assert "{{constructor}} ${1+1}" in page.inner_text("#timeline-found")
    for outside in ("../../etc/passwd", "/etc/passwd", "no such.mp4"):
        page.fill("#timeline-named input", outside)
        page.keyboard.press("Enter")
        page.wait_for_selector("#timeline-clip [role=alert]")
        assert "There is no file" in page.inner_text("#timeline-clip")
        page.fill("#timeline-named input", "")
    assert page.title() == title


def test_what_is_no_video_too_large_or_too_long_is_one_sentence(opened: Opened, tmp_path: Path) -> None:
    page = opened()
    (tmp_path / "text.mp4").write_text("no video at all")
    choose(page, tmp_path / "text.mp4")
    page.wait_for_selector("#recognize-clip [role=alert]")
    told = page.inner_text("#recognize-clip")
    assert told.startswith("Text.mp4: ")
    assert "claver-app-" not in told
    (tmp_path / "large.mp4").write_bytes(bytes(LIMITS.upload_bytes + 1))
    choose(page, tmp_path / "large.mp4")
    page.get_by_text("large").first.wait_for()
    assert "1" in page.inner_text(".toast-wrap")


def test_videos_that_came_later_can_be_named(opened: Opened, videos: Path, tmp_path: Path) -> None:
    with served(tmp_path) as growing:
        (tmp_path / "later.mp4").write_bytes((videos / "clip.mp4").read_bytes())
        page = opened(growing.address)
        open_tab(page, "Time line")
        page.click("#timeline-named input")
        page.get_by_role("option", name="later.mp4").click()
        page.wait_for_selector("#timeline-clip video")
        assert "later.mp4" in page.inner_text("#timeline-clip")


def test_two_users_at_once_have_answers_of_their_own(opened: Opened, server: Server, videos: Path) -> None:
    pages = [opened(), opened()]
    for page, name in zip(pages, ("clip.mp4", "other.mp4"), strict=True):
        take(page, videos / name)
    for page, words in zip(pages, ("jumps, falls", "turns, rests"), strict=True):
        ask(page, words)
    names = []
    for page in pages:
        page.wait_for_selector("#recognize-answer .cl-said")
        names.append(sorted(page.locator("#recognize-answer .cl-name").all_inner_texts()))
    assert names == [["falls", "jumps", "none of these"], ["none of these", "rests", "turns"]]
    addresses = [page.get_attribute("#recognize-clip video", "src") for page in pages]
    assert addresses[0] != addresses[1]


def test_files_are_deleted_when_the_page_is_closed(opened: Opened, server: Server, videos: Path) -> None:
    page = opened()
    take(page, videos / "clip.mp4")
    address = server.address + page.get_attribute("#recognize-clip video", "src")
    key = address.rpartition("/")[2]
    (folder,) = [one.folder for one in everybody(server) if key in one.served]
    assert stored_bytes(folder) > 0
    again = page.context.new_page()
    assert again.request.get(address).status == 200
    page.close()
    until(lambda: not folder.exists(), 30)
    assert again.request.get(address).status == 404


def test_stop_ends_the_work(opened: Opened, server: Server, videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = WindowEncoder._windows

    def slow(self: WindowEncoder, *given: Any) -> Any:
        time.sleep(0.5)
        return own(self, *given)

    monkeypatch.setattr(WindowEncoder, "_windows", slow)
    monkeypatch.setattr(WindowEncoder, "__init__", _small_batches(WindowEncoder.__init__))
    page = opened()
    open_tab(page, "Time line")
    take(page, videos / "clip.mp4", "timeline")
    page.locator("#timeline-fps input[type=number]").fill("16")
    ask(page, "jumps, falls", "timeline")
    page.get_by_text("seconds of video").wait_for()
    assert float(page.get_attribute("#timeline-found progress", "value")) < 1
    page.click("#timeline-stop")
    page.get_by_text("Stopped.").wait_for()
    until(lambda: all(visitor.job is None for visitor in everybody(server)))
    monkeypatch.undo()
    ask(page, "jumps, falls", "timeline")
    page.wait_for_selector("#timeline-found .plots")


def _small_batches(init: Callable[..., None]) -> Callable[..., None]:
    def small(self: WindowEncoder, *given: Any, **settings: Any) -> None:
        init(self, *given, **settings | {"batch_size": 1})

    return small


@pytest.mark.slow
def test_the_camera_is_answered_live(opened: Opened, server: Server, tmp_path: Path) -> None:
    page = opened()
    open_tab(page, "Live")
    page.fill("#live-words textarea", "jumps, falls")
    page.locator("#live-camera button:visible").first.click()
    page.get_by_label("capture photo").click()
    page.wait_for_selector("#live-answer .cl-said")
    names = page.locator("#live-answer .cl-name").all_inner_texts()
    assert sorted(names) == ["falls", "jumps", "none of these"]
    page.get_by_text("From 4 frames").wait_for()  # the window of the model
    shoot(page, tmp_path, "live")
    files = [path for path in server.folder.rglob("*") if path.suffix in (".jpg", ".jpeg", ".webp", ".png")]  # type: ignore[attr-defined]
    assert files == []  # frames never touch the disk


@pytest.mark.slow
def test_a_clip_of_the_camera_is_recognised(opened: Opened) -> None:
    page = opened()
    page.get_by_text("Or record with the camera").click()
    page.locator("#recognize-camera button:visible").first.click()
    page.locator("#recognize-camera .capture-button, #recognize-camera button[aria-label*=record]").first.click()
    page.wait_for_timeout(1500)
    page.locator("#recognize-camera .capture-button, #recognize-camera button[aria-label*=record]").first.click()
    page.wait_for_selector("#recognize-clip video")
    ask(page, "jumps, falls")
    page.wait_for_selector("#recognize-answer .cl-said")
    names = page.locator("#recognize-answer .cl-name").all_inner_texts()
    assert sorted(names) == ["falls", "jumps", "none of these"]


def test_on_a_phone_in_the_dark_and_by_keyboard(opened: Opened, videos: Path, tmp_path: Path) -> None:
    page = opened(viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True)
    take(page, videos / "clip.mp4")
    page.focus("#recognize-words textarea")
    page.keyboard.type("jumps, falls")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#recognize-answer .cl-said")
    page.click("#recognize-why-go")
    page.wait_for_selector("#recognize-why .film")
    shoot(page, tmp_path, "phone")
    dark = "getComputedStyle(document.querySelector('.cl-answer')).backgroundColor.match(/\\d+/g).map(Number)"
    assert max(page.evaluate(dark)) < 80
    assert contrast_of_chosen_tab(page) > 4.5  # WCAG 2, level AA
    page.click("[data-theme=toggle]")
    assert min(page.evaluate(dark)) > 200
    assert contrast_of_chosen_tab(page) > 4.5
    page.click("#claver-about summary")
    assert "cannot" in page.inner_text("#claver-about")
    assert "Do not decide about people by it." in page.inner_text("#claver-about")


@pytest.mark.slow
def test_moments_are_found_play_in_place_and_say_why(
    opened: Opened, server: Server, videos: Path, tmp_path: Path
) -> None:
    with served(videos, index=StandIn(videos)) as searching:
        page = opened(searching.address)
        open_tab(page, "Search")
        page.fill("#search-query textarea", "someone <b>enters</b>")
        page.click("#search-go")
        page.wait_for_selector("#search-found .cl-hit")
        assert page.locator("#search-found .cl-hit").count() == 2
        assert "2 moments, best first." in page.inner_text("#search-found")
        assert "Its file is not open here." in page.locator(".cl-hit").nth(1).inner_text()
        video = page.locator("#search-found video").first
        shown = page.evaluate(_POSTER_SIZE, video.get_attribute("poster"))
        assert shown[1] == 160  # pixels of height: a picture came, before anything plays
        video.evaluate("video => { video.muted = true; return video.play(); }")
        assert video.evaluate("video => video.duration") == pytest.approx(3, abs=0.2)  # a second before and after
        page.click("#search-why-go")
        page.wait_for_selector("#search-why .film")
        assert "<b>enters</b>" in page.inner_text("#search-why")
        shoot(page, tmp_path, "search")
        page.fill("#search-query textarea", "nothing")
        page.click("#search-go")
        page.get_by_text("No moment fits").wait_for()
