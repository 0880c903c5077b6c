"""Video: exact and fast reading of selected frames, sampling in time, and preprocessing for the model."""

from __future__ import annotations

from claver.video.damage import Damage
from claver.video.iterating import FrameIterator, TimedFrame
from claver.video.live import iterate_stream
from claver.video.reader import DamagedVideoError, VideoInfo, VideoReader
from claver.video.sampling import clip_indices, dense_indices, indices_at, sparse_indices, view_indices
from claver.video.source import Source
from claver.video.transforms import Preprocess, center_crop, normalize, resize_short_side, three_crops
from claver.video.views import SampledFrames, VideoLike, VideoViews, load_views, read_video, read_views, sample_frames

__all__ = [
    "Damage",
    "DamagedVideoError",
    "FrameIterator",
    "Preprocess",
    "SampledFrames",
    "Source",
    "TimedFrame",
    "VideoInfo",
    "VideoLike",
    "VideoReader",
    "VideoViews",
    "center_crop",
    "clip_indices",
    "dense_indices",
    "indices_at",
    "iterate_stream",
    "load_views",
    "normalize",
    "read_video",
    "read_views",
    "resize_short_side",
    "sample_frames",
    "sparse_indices",
    "three_crops",
    "view_indices",
]
