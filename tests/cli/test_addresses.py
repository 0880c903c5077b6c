"""Videos at addresses on the command line: opened where a user gives one, and by no list."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Claver
from tests.video.test_remote import Server
from tests.video.test_remote import server as _server
from tests.videos import write_video

server = _server


@pytest.fixture
def address(server: Server, tmp_path: Path) -> str:
    write_video(tmp_path / "clip.mp4", frames=30)
    server.trouble = 0.3
    return f"{server.address}/clip.mp4"


def test_commands_take_addresses(inside: Claver, model: Path, tmp_path: Path, address: str) -> None:
    options = ["--model", model, "--actions", "waving,bowing"]
    done = inside("recognize", address, tmp_path / "clip.mp4", *options, "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    far, near = map(json.loads, done.stdout.splitlines())
    assert (far.pop("path"), near.pop("path")) == (address, str(tmp_path / "clip.mp4"))
    assert far == near
    for many in ([address], [address, tmp_path / "clip.mp4"]):
        output = tmp_path / f"{len(many)}.jsonl"
        done = inside("timeline", *many, *options, "--fps", 10, "--output", output)
        assert done.returncode == 0, done.stderr
        assert json.loads(output.read_text().splitlines()[0])["path"] == address
    done = inside("explain", address, *options, "--action", "waving", "--output", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    assert "clip.mp4" in inside("recognize", address, *options, "--dry-run").stdout
    assert "no such file" not in inside("recognize", address, *options, "--dry-run").stdout


def test_a_list_of_clips_opens_none(inside: Claver, model: Path, tmp_path: Path, server: Server, address: str) -> None:
    (tmp_path / "list.csv").write_text(f"path,label\n{address},waving\n")
    inside("data", "check", tmp_path / "list.csv")
    inside("evaluate", tmp_path / "list.csv", "--model", model, "--actions", "waving,bowing")
    assert server.asked == 0
