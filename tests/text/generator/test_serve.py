"""Against a server that others wrote: `transformers serve`, on a free loopback port, with a model of random weights."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.text.generator.babbling import babbling_model
from tests.text.generator.test_run import ACTIONS, bank

from claver.text import read_prompts
from claver.text.generator import Endpoint, Generation, Sampling, load_forms
from claver.text.generator.server import ServerModel

pytest.importorskip("uvicorn", reason="transformers serve needs transformers[serving]")
pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address and model."""
    place = tmp_path_factory.mktemp("served")
    folder, port = babbling_model(place / "babbling"), free_port()
    start = "from transformers.cli.transformers import main; main()"
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    offline = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(place / "hub"), "OMP_NUM_THREADS": "1"}
    with (place / "log").open("wb") as log:
        command = [sys.executable, "-c", start, "serve", str(folder), *options]
        process = subprocess.Popen(command, env=offline, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 90
        while not healthy(f"http://127.0.0.1:{port}/health"):
            assert process.poll() is None, (place / "log").read_text()
            assert time.monotonic() < deadline, (place / "log").read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1", folder
    finally:
        process.terminate()
        process.wait(20)


async def generated(url: str, folder: Path, path: Path, endpoint: Endpoint, *, validate: bool) -> Generation:
    model = ServerModel(str(folder), base_url=url, endpoint=endpoint, sampling=Sampling(max_tokens=16), concurrency=2)
    forms = {"body": load_forms()["body"]}
    run = Generation(model, forms, bank(path), samples=1, attempts=2, validate=validate)  # type: ignore[arg-type]
    await run.run()
    return run


@pytest.mark.parametrize("endpoint", ["chat", "completion"])
def test_random_weights_are_refused_and_kept_only_if_told(
    served: tuple[str, Path], tmp_path: Path, endpoint: Endpoint
) -> None:
    import asyncio

    refused = asyncio.run(generated(*served, tmp_path / "refused.jsonl", endpoint, validate=True))
    assert [(shortage.action, shortage.have) for shortage in refused.shortages] == [(action, 0) for action in ACTIONS]
    assert refused.tokens.uncounted == 0
    assert refused.tokens.read > 6 * 500  # letters of the requests: three actions, asked twice
    assert 6 <= refused.tokens.written <= 6 * 16
    kept = asyncio.run(generated(*served, tmp_path / "kept.jsonl", endpoint, validate=False))
    texts = [prompt.text for prompt in read_prompts(tmp_path / "kept.jsonl")] if kept.file.prompts else []
    assert len(texts) + len(kept.shortages) == len(ACTIONS)
    assert len(texts) >= 1
