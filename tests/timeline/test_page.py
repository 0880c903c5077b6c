"""The page of a time line: whole and escaped, and in a real browser a click goes to its place in the video."""

import re
import subprocess
import threading
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from tests.browser import browse, opening
from tests.timeline.small import EVIL, track

from claver.terminal import shown
from claver.timeline.writing.page import page
from claver.video import read_video
from claver.video.writing import write_clip


class Elements(HTMLParser):
    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_the_page_is_whole_and_escaped(tmp_path: Path) -> None:
    markup = page(track(), tmp_path / "page.html")
    elements = Elements(markup)
    assert not elements.open
    assert "b" not in {name for name, _ in elements.found}
    assert not re.search(r"https?:|@import|url\(", re.sub(r"base64,[^\"]*", "", markup))
    assert [one["aria-label"] for one in elements.all("svg")] == [
        "Curve of bowing, highest 2.75",
        f"Curve of {shown(EVIL)}, highest 2.00",
        "Curve of never, highest 0.00",
    ]
    times = [button["data-time"] for button in elements.all("button")]
    assert sorted(times, key=str) == ["0.000"] * 2 + ["1.250"] * 2 + ["3.000"] * 2
    assert len(elements.all("img")) == 6
    assert all(str(image["src"]).startswith("data:image/png;base64,") for image in elements.all("img"))
    (video,) = elements.all("video")
    assert "src" not in video  # there is no such file


def test_a_long_video_of_many_actions_stays_small() -> None:
    windows, actions = 20_000, 400
    curves = np.random.default_rng(0).normal(size=(windows, actions))
    starts = np.arange(windows, dtype=np.float64)
    names = tuple(f"action {number}" for number in range(actions))
    long = track(actions=names, curves=curves, starts=starts, stops=starts + 2, segments=(), duration=20_001.0)
    markup = page(long)
    assert len(markup) < 400_000
    assert "394 more actions" in markup
    assert "No action reaches the threshold." in markup


def heard(chromium: str, address: Path, pattern: str) -> str:
    """What the page says on the console, by the browser's own clock: in virtual time no video plays."""
    started = opening(chromium, address, "--enable-logging=stderr", "--remote-debugging-port=0")
    said = []
    with subprocess.Popen(**started, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as browser:
        assert browser.stderr is not None
        ending = threading.Timer(90, browser.kill)
        ending.start()
        try:
            for line in browser.stderr:
                said.append(line)
                if found := re.search(pattern, line):
                    return found[1]
        finally:
            ending.cancel()
            browser.terminate()
    raise AssertionError("".join(said))


DRIVER = """
<script>
const answers = [];
const settled = () => new Promise((done) => video.addEventListener("seeked", done, { once: true }));
(async () => {
  if (video.readyState === 0) { await new Promise((done) => video.addEventListener("loadedmetadata", done)); }
  for (const button of document.querySelectorAll("button[data-time='1.250'], button[data-time='3.000']")) {
    const done = settled(); button.click(); await done; answers.push(video.currentTime.toFixed(2));
  }
  const plot = document.querySelector(".plot svg").parentElement, box = plot.getBoundingClientRect();
  const done = settled();
  plot.dispatchEvent(new MouseEvent("click", { clientX: box.left + box.width * 0.75, clientY: box.top + 5 }));
  await done; answers.push(video.currentTime.toFixed(2));
  console.log("went to " + answers.join(" ") + ".");
})();
</script>
"""


def test_a_click_goes_there_in_the_video(chromium: str, tmp_path: Path) -> None:
    """The user's own file, beside the page, played by a browser that may load nothing else."""
    clip = write_clip(tmp_path / "my clip #1.mp4", np.zeros((60, 48, 64, 3), np.uint8), fps=10)
    path = tmp_path / "page.html"
    path.write_text(page(track(clip), path).replace("</body>", f"{DRIVER}</body>"), encoding="utf-8")
    *buttons, plot = heard(chromium, path, r"went to ([\d. ]+)\.").split()
    assert sorted(buttons) == ["1.25", "1.25", "3.00", "3.00"]
    assert float(plot) == pytest.approx(4.5, abs=0.05)


def test_a_browser_draws_it(chromium: str, tmp_path: Path) -> None:
    path, shot = tmp_path / "page.html", tmp_path / "shot.png"
    path.write_text(page(track(), path), encoding="utf-8")
    browse(chromium, path, "--hide-scrollbars", "--window-size=1200,1000", f"--screenshot={shot}")
    pixels = read_video(shot)[0].astype(int)
    accent = np.abs(pixels - [0x7A, 0x1F, 0x7D]).sum(2) < 12
    fill = np.abs(pixels - [0xB9, 0xA3, 0xC4]).sum(2) < 12
    assert accent.sum() > 2000  # segments
    assert fill.sum() > 5000  # curves
