"""A process that sends a rendered clip in real time: `python streaming_server.py URL SECONDS [FRAMES A SECOND]`."""

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlparse

import av
import numpy as np


def send(target: Any, seconds: float, fps: int) -> None:
    with av.open(target, "w", format="mpegts") as container:
        options = {"preset": "ultrafast", "tune": "zerolatency", "g": "4"}
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        began = time.monotonic()
        for number in range(round(seconds * fps)):
            time.sleep(max(0.0, began + number / fps - time.monotonic()))
            picture = np.full((48, 64, 3), 16 * (number % 16), dtype=np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")):
                container.mux(packet)


def serve(url: str, seconds: float, fps: int) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            send(self.wfile, seconds, fps)

    ThreadingHTTPServer(("127.0.0.1", urlparse(url).port or 0), Handler).serve_forever()


if __name__ == "__main__":
    url, seconds, fps = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 10
    (serve if url.startswith("http") else send)(url, seconds, fps)
