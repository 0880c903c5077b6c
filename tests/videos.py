"""Small real video files for tests."""

import struct
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np


def write_video(path: Path, *, frames: int = 12, height: int = 48, width: int = 64, seed: int = 0) -> Path:
    """A bright square that wanders over a dark picture, as MPEG-4."""
    generator = np.random.default_rng(seed)
    background = generator.integers(0, 90, (height, width, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            picture = background.copy()
            left = (7 * seed + 3 * index) % (width - 12)
            picture[10:22, left : left + 12] = 230
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def write_big_gif(path: Path, *, frames: int, height: int, width: int) -> Path:
    """A white GIF of few bytes and huge frames, each of which changes a single pixel."""
    header = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(3) + b"\xff" * 3
    picture = (
        b"\x21\xf9\x04\x04\x0a\x00\x00\x00" + b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    )
    path.write_bytes(header + picture * frames + b"\x3b")
    return path


def write_ffv1(path: Path, torn: Iterable[int] = (), *, frames: int = 8) -> Path:
    """Pictures of noise as FFV1 in Matroska, each a key frame with a checksum, which is wrong in frames `torn`."""
    rng, wrong = np.random.default_rng(0), set(torn)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10, options={"level": "3", "slicecrc": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size = 1
        for number in range(frames):
            picture = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")):
                if number in wrong:
                    data = bytearray(bytes(packet))
                    data[len(data) // 2] ^= 255
                    whole, packet = packet, av.Packet(bytes(data))
                    packet.pts, packet.dts, packet.time_base = whole.pts, whole.dts, whole.time_base
                    packet.stream, packet.is_keyframe = stream, whole.is_keyframe
                container.mux(packet)
    return path
