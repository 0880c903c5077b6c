"""The calls of PyAV. Whatever it raises on odd files besides FFmpeg's own errors becomes one of those here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from claver.errors import VideoError
from claver.video.interrupts import interruptible


def demux(container: Any, stream: Any, beside: Callable[[Any], None] | None = None) -> Iterator[Any]:
    """The packets of `stream` that hold data; those of other tracks go to `beside`, if it is given.

    Raises `av.FFmpegError`, or `VideoError` when the disk fails.
    """
    packets = container.demux(stream) if beside is None else container.demux()
    while True:
        try:
            with interruptible:
                packet = next(packets)
        except (StopIteration, IndexError):  # at the end PyAV looks for the streams that have appeared meanwhile
            return
        except (av.FFmpegError, VideoError, MemoryError):
            raise
        except Exception as error:
            raise _as_ffmpeg(error) from error
        if packet.size == 0:
            continue
        if beside is None or packet.stream_index == stream.index:
            yield packet
        else:
            beside(packet)


def decode(context: Any, packet: Any) -> list[Any]:
    """The frames that come out when `packet` goes in, None at the end. Raises `av.FFmpegError`."""
    try:
        return list(context.decode(packet))
    except (av.FFmpegError, VideoError, MemoryError):
        raise
    except Exception as error:
        raise _as_ffmpeg(error) from error


def to_rgb(frame: Any, width: int, height: int) -> npt.NDArray[np.uint8]:
    """The picture of a frame, `uint8 [height, width, 3]`. Raises `av.FFmpegError`."""
    try:
        # By itself swscale starts a thread per core for each picture, which takes longer than the conversion.
        return np.asarray(frame.to_ndarray(format="rgb24", width=width, height=height, threads=1))
    except (av.FFmpegError, VideoError, MemoryError):
        raise
    except Exception as error:
        raise _as_ffmpeg(error) from error


def _as_ffmpeg(error: Exception) -> av.FFmpegError:
    return av.InvalidDataError(1094995529, f"{type(error).__name__}: {error}")
