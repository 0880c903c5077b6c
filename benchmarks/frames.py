"""Eight sparse frames of ten seconds of H.264, against decoding everything, torchcodec and decord.

A row is ours against one library, the fastest first; only that one carries the target. All give the same frames: ours
equal to PyAV's to the last bit, the others up to the rounding of their conversion from YUV to RGB, which is noted.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import torch

from benchmarks.timing import Row, Settings, compare, missing
from claver.video import read_video, sparse_indices

AREA = "frame reading"
FRAMES, RATE = 8, 25

Picture = npt.NDArray[np.uint8]
Reader = Callable[[], Picture]


def rows(settings: Settings) -> list[Row]:
    sizes, seconds = ([(320, 180)], 2) if settings.quick else ([(640, 360), (1280, 720)], 10)
    made = []
    with tempfile.TemporaryDirectory() as folder:
        for width, height in sizes:
            for group in (250, 12):
                path = Path(folder) / f"{height}_{group}.mp4"
                write_video(path, width, height, seconds * RATE, group)
                name = f"{FRAMES} frames of {seconds} s, H.264 {width}×{height}, a key frame every {group}"
                made += _rows(path, name, seconds * RATE, settings)
    return made


def _rows(path: Path, name: str, total: int, settings: Settings) -> list[Row]:
    indices = sparse_indices(total, FRAMES)
    exact = decode_everything(path, indices)
    if not np.array_equal(read_video(path, indices), exact):
        raise AssertionError("the frames read are not those of a full decode")
    made = []
    for library, reader in readers(path, indices).items():
        note = _difference(reader(), exact)
        row = compare(AREA, library, reader, {name: lambda: read_video(path, indices)}, settings)[0]
        made.append(row.labelled(name, note=note))
    made.sort(key=lambda row: row.before)
    absent = [missing(AREA, name, f"{library} is not installed") for library in ABSENT]
    return [made[0].labelled(name, target=1.3, note=f"the fastest; {made[0].note}"), *made[1:], *absent]


def _difference(frames: Picture, exact: Picture) -> str:
    """How far another library's conversion to RGB is off; a wrong frame would be off by far more."""
    if np.array_equal(frames, exact):
        return "identical frames"
    apart = np.abs(frames.astype(int) - exact)
    if apart.mean() > 2:
        raise AssertionError(f"other frames: {apart.mean():.1f} grey levels off on average")
    return f"same frames, RGB rounded otherwise: {apart.mean():.2f} grey levels off on average, {apart.max()} at most"


def readers(path: Path, indices: npt.NDArray[np.int64]) -> dict[str, Reader]:
    """The libraries that are installed, each opening the file anew."""
    made: dict[str, Reader] = {"PyAV, decoding everything": lambda: decode_everything(path, indices)}
    if "torchcodec" not in ABSENT:
        from torchcodec.decoders import VideoDecoder

        def torchcodec() -> Picture:
            # Its default is one thread; all of them are faster, and what ours and PyAV use.
            threads = torch.get_num_threads()
            decoder = VideoDecoder(path, seek_mode="exact", dimension_order="NHWC", num_ffmpeg_threads=threads)
            frames: Picture = decoder.get_frames_at(indices.tolist()).data.numpy()
            return frames

        made["torchcodec, exact"] = torchcodec
    if "decord" not in ABSENT:
        import decord

        made["decord"] = lambda: decord.VideoReader(str(path)).get_batch(indices).asnumpy()
    return made


def decode_everything(path: Path, indices: npt.NDArray[np.int64]) -> Picture:
    """The plain way: decode all frames with PyAV's own settings (its `AUTO` threads are slower) and convert those
    that are wanted."""
    wanted, kept = set(indices.tolist()), []
    with av.open(path) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index in wanted:
                kept.append(frame.to_ndarray(format="rgb24"))
    return np.stack(kept)


def write_video(path: Path, width: int, height: int, total: int, group: int = 250) -> None:
    """A textured scene that drifts, with an object crossing it and the grain of a sensor; x264's own settings.

    Of these the distance of key frames counts most here: 250 is its own, 12 that of many cameras.
    """
    # One slice per picture, as x264 itself writes them; PyAV would have it cut them up for its threads.
    options = {"crf": "23", "bf": "3", "g": str(group), "x264-params": "sliced-threads=0:slices=1"}
    with av.open(path, "w") as container:
        stream: Any = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in _scene(width, height, total):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def _scene(width: int, height: int, total: int) -> Any:
    random = np.random.default_rng(0)
    noise = [_blur(random.standard_normal((2 * height, 2 * width, 3)), reach) * reach for reach in (2, 8, 32)]
    texture = np.sum(noise, axis=0)  # energy at all scales, as in a photograph
    texture = 128 + 40 * texture / texture.std()
    grain = 3 * random.standard_normal((2 * height, 2 * width, 1))
    for index in range(total):
        x, y = int(width * 0.5 * index / total), int(height * 0.25 * (1 + np.sin(index / 20)))
        picture = texture[y : y + height, x : x + width].copy()
        top, left = height // 3, int((width * 0.8) * (index * 1.5 / total % 1))
        picture[top : top + height // 4, left : left + width // 8] = texture[-height // 4 :, : width // 8] + 40
        down, right = random.integers(0, (height, width))
        picture += grain[down : down + height, right : right + width]
        yield picture.clip(0, 255).astype(np.uint8)


def _blur(noise: npt.NDArray[np.float64], reach: int) -> npt.NDArray[np.float64]:
    for axis in (0, 1):
        total = np.cumsum(noise, axis=axis)
        noise = (total - np.roll(total, reach, axis=axis)) / reach
    return noise


def _absent() -> list[str]:
    """A library may be there and yet lack FFmpeg's own, which it loads on import."""
    found = []
    for name in ("torchcodec.decoders", "decord"):
        try:
            __import__(name)
        except (ImportError, OSError, RuntimeError):
            found.append(name.partition(".")[0])
    return found


ABSENT = _absent()
