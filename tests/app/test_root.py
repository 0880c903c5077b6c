"""Nothing outside of the open folder is found, by whatever way."""

import os
from pathlib import Path

import pytest
from tests.videos import write_video

from claver.app.root import Root
from claver.errors import ClaverError


@pytest.fixture
def root(tmp_path: Path) -> Root:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    for folder in (outside, inside / "sub", inside / ".hidden"):
        folder.mkdir(parents=True)
    write_video(outside / "secret.mp4", frames=2)
    for place in (inside / "a.mp4", inside / "sub" / "b.AVI", inside / ".hidden" / "c.mp4"):
        write_video(inside / "t.mp4", frames=2).rename(place)
    (inside / "notes.txt").write_text("no video")
    (inside / "link.mp4").symlink_to(outside / "secret.mp4")
    (inside / "folder").symlink_to(outside)
    (inside / "own.mp4").symlink_to(inside / "a.mp4")
    os.mkfifo(inside / "pipe.mp4")
    (inside / "loop.mp4").symlink_to(inside / "loop.mp4")
    return Root(inside)


def test_videos_below_the_folder_are_listed(root: Root) -> None:
    assert root.videos() == ["a.mp4", "own.mp4", "sub/b.AVI"]


@pytest.mark.parametrize(
    "given",
    [
        *("", " ", ".", "..", "../outside/secret.mp4", "link.mp4", "folder/secret.mp4", "/etc/passwd", "pipe.mp4"),
        *("sub/../../outside/secret.mp4", "loop.mp4", "no.mp4", "a\0.mp4", "a.mp4/x", "x" * 5000, "~/a.mp4"),
    ],
)
def test_what_lies_outside_is_not_there(root: Root, given: str) -> None:
    with pytest.raises(ClaverError, match=r"^there is no file .* in the folder that is open here$"):
        root.find(given)


def test_what_lies_inside_is_found(root: Root) -> None:
    assert root.find("a.mp4") == root.folder / "a.mp4"
    assert root.find(" sub/b.AVI ") == root.folder / "sub" / "b.AVI"
    assert root.find("own.mp4") == root.folder / "a.mp4"
    assert root.find(str(root.folder / "a.mp4")) == root.folder / "a.mp4"


def test_no_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ClaverError, match="there is no such folder"):
        Root(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(ClaverError, match="is no folder; name one that holds videos"):
        Root(tmp_path / "file")
