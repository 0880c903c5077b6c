"""What one visitor of the page may ask for."""

from __future__ import annotations

from dataclasses import dataclass

from claver.errors import VideoError
from claver.video import VideoInfo

MEGABYTE = 2**20


@dataclass(frozen=True)
class Limits:
    """Bounds of everything that a visitor can make large.

    Attributes:
        upload_bytes: of one file that is uploaded.
        seconds: length of a video.
        pixels: of one frame; a little more than 4096 × 2160.
        clips: files of one visitor that are kept, the newest.
        stored_bytes: of all files of all visitors together.
        words: actions that are compared.
        letters: of one action.
        workers: processes that decode.
        memory: bytes that such a process may take, beyond what it takes when idle.
        decode_seconds: for checking, looking at or converting a file; for a time line, of its longest pause.
        preview_seconds: length of a converted preview.
        preview_bytes: of a converted preview.
        preview_side: pixels of its longer side.
        visitors: who are remembered at a time.
        idle_seconds: after which a visitor who shows no sign of life is forgotten, with all files.
    """

    upload_bytes: int = 256 * MEGABYTE
    seconds: float = 1800.0
    pixels: int = 9_000_000
    clips: int = 6
    stored_bytes: int = 4096 * MEGABYTE
    words: int = 200
    letters: int = 200
    workers: int = 2
    memory: int = 2048 * MEGABYTE
    decode_seconds: float = 120.0
    preview_seconds: float = 600.0
    preview_bytes: int = 64 * MEGABYTE
    preview_side: int = 640
    visitors: int = 64
    idle_seconds: float = 3600.0

    def check(self, info: VideoInfo, name: str) -> None:
        """Raise `VideoError` for a video that is larger or longer than is taken."""
        if info.width * info.height > self.pixels:
            size = f"{info.width} × {info.height} pixels"
            raise VideoError(f"{name}: its frames have {size}, more than the {self.pixels:,} that are taken here.")
        if info.duration > self.seconds:
            length = f"{info.duration / 60:.1f} minutes"
            raise VideoError(f"{name}: it lasts {length}, more than the {self.seconds / 60:g} that are taken here.")
