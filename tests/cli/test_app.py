"""`claver app` as a process: it says where it is, who can come in, and ends at Ctrl-C."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from tests.cli.conftest import Claver

pytest.importorskip("gradio", reason="gradio (extra app) is not installed")


def test_bad_options_are_one_sentence(inside: Claver, model: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = inside("app", "--model", model, "--actions", "waves, bows", "--port", port)
    assert done.returncode == 1
    told = done.stderr.splitlines()[-1]
    assert re.fullmatch(rf"claver: cannot listen on 127\.0\.0\.1 port {port} \(.*\); choose another .*", told)
    done = inside("app", "--model", model, "--root", tmp_path / "none")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "there is no such folder" in done.stderr
    done = inside("app", "--model", model, "--password", " ")
    assert (done.returncode, done.stderr) == (1, "claver: --password is empty; give one, or leave it out\n")


@pytest.mark.slow
def test_it_serves_says_what_is_open_and_ends_at_ctrl_c(model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "claver", "app", "--model", str(model), "--host", "0.0.0.0", "--port", "0"]
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    environment.pop("CLAVER_PASSWORD", None)
    page = subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert page.stdout is not None
        address = re.search(r"http://\S+", page.stdout.readline())
        assert address is not None
        with urllib.request.urlopen(address[0] + "healthz", timeout=20) as answer:
            assert answer.status == 200
        assert len(list(tmp_path.glob("claver-app-*"))) == 1
        page.send_signal(signal.SIGINT)
        _, told = page.communicate(timeout=30)
    finally:
        page.kill()
    assert page.returncode == 130
    assert "EVERYBODY, without a password, who reaches this machine can recognise videos" in told
    deadline = time.monotonic() + 5
    while list(tmp_path.glob("claver-app-*")):
        assert time.monotonic() < deadline
