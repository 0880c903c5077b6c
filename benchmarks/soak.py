"""A live stream for a long time: `python -m benchmarks.soak --minutes 10`, memory and latency minute by minute.

Another process sends rendered frames in real time as MPEG-TS over TCP, is killed once in the middle and started again;
a model of small size answers after every frame. Memory must stay flat and no answer may come late.
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from claver.models import Claver

SENDER = """
import sys, time
import av
import numpy as np

url, seconds, fps = sys.argv[1], float(sys.argv[2]), 25
rng, began = np.random.default_rng(0), time.monotonic()
clip = [rng.integers(0, 256, (240, 320, 3), dtype=np.uint8) for _ in range(fps)]
with av.open(url, "w", format="mpegts") as container:
    options = {"preset": "ultrafast", "tune": "zerolatency", "g": "25"}
    stream = container.add_stream("libx264", rate=fps, options=options)
    stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
    for number in range(round(seconds * fps)):
        time.sleep(max(0.0, began + number / fps - time.monotonic()))
        for packet in stream.encode(av.VideoFrame.from_ndarray(clip[number % fps], "rgb24")):
            container.mux(packet)
"""


def main(arguments: Sequence[str] | None = None) -> bool:
    """Run; whether memory stayed flat."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    minutes = parser.parse_args(arguments).minutes
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "sender.py"
        script.write_text(SENDER, encoding="utf-8")
        return _watch(script, 60 * minutes)


def _watch(script: Path, seconds: float) -> bool:
    from claver.inference.live import LiveRecognizer

    console, port = Console(), _free_port()
    sender = _send(script, port, seconds)
    live = LiveRecognizer(_model(), ["waves", "claps", "sits down"], fps=8, cache=False, unknown=False)
    began, minute, killed = time.monotonic(), 0, False
    latencies: list[float] = []
    memory: list[float] = []
    moments = live.watch(f"tcp://127.0.0.1:{port}")
    for answers, moment in enumerate(moments, start=1):
        latencies.append(moment.latency)
        now = time.monotonic() - began
        if now > seconds / 2 and not killed:
            killed = True
            sender.kill()
            sender.wait()
            sender = _send(script, port, seconds)
        if now >= 60 * (minute + 1) or now >= seconds:
            minute += 1
            memory.append(_resident())
            told = f"{1000 * statistics.median(latencies):.0f} ms, at most {1000 * max(latencies):.0f} ms"
            console.print(f"minute {minute}: {memory[-1]:.0f} MiB, {answers} answers, {moment.dropped} dropped, {told}")
            latencies.clear()
        if now >= seconds:
            break
    moments.close()
    sender.kill()
    sender.wait()
    growth = memory[-1] - memory[min(1, len(memory) - 1)]
    console.print(f"memory after the second minute grew by {growth:.1f} MiB; at most {_peak():.0f} MiB")
    return growth < 20


def _model() -> Claver:
    from benchmarks.encoder import random_model
    from claver.models.tokenizer import packaged_clip_tokenizer

    model = random_model("B/32", "kmct", quick=True)
    model.tokenizer = packaged_clip_tokenizer(model.config.text.context)
    return model


def _send(script: Path, port: int, seconds: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(script), f"tcp://127.0.0.1:{port}?listen=1", str(2 * seconds)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    time.sleep(3)
    return process


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _resident() -> float:
    """MiB of this process now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
