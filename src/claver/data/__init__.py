"""Datasets: manifests, benchmark layouts and splits, shards, loading.

The names below are imported when first used: reading a list must not wait for torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from claver.lazy import lazy_names
from claver.moved import renamed

if TYPE_CHECKING:
    from claver.data.classes import DATASETS, K600_DRAWS, dataset_classes
    from claver.data.clips import CenterCrop, ClipDecoder, Clips
    from claver.data.layouts.registry import LAYOUTS, detect_layout, index_folder
    from claver.data.loading import Batch, ClipLoader, read_in_order
    from claver.data.manifest import Manifest, Sample, overlap
    from claver.data.manifest_file import read_manifest, write_manifest
    from claver.data.opening import open_clips, open_shards
    from claver.data.shards import verify_shards, write_shards
    from claver.data.split import few_shot, groups_by, k600_draw, train_test
    from claver.data.stream import ClipStream

_HOME = {
    "DATASETS": "classes",
    "K600_DRAWS": "classes",
    "LAYOUTS": "layouts.registry",
    "Batch": "loading",
    "CenterCrop": "clips",
    "ClipLoader": "loading",
    "ClipStream": "stream",
    "Clips": "clips",
    "Manifest": "manifest",
    "ClipDecoder": "clips",
    "Sample": "manifest",
    "dataset_classes": "classes",
    "detect_layout": "layouts.registry",
    "few_shot": "split",
    "groups_by": "split",
    "index_folder": "layouts.registry",
    "k600_draw": "split",
    "open_clips": "opening",
    "open_shards": "opening",
    "overlap": "manifest",
    "read_in_order": "loading",
    "read_manifest": "manifest_file",
    "train_test": "split",
    "verify_shards": "shards",
    "write_manifest": "manifest_file",
    "write_shards": "shards",
}

__all__ = [
    "DATASETS",
    "K600_DRAWS",
    "LAYOUTS",
    "Batch",
    "CenterCrop",
    "ClipDecoder",
    "ClipLoader",
    "ClipStream",
    "Clips",
    "Manifest",
    "Sample",
    "dataset_classes",
    "detect_layout",
    "few_shot",
    "groups_by",
    "index_folder",
    "k600_draw",
    "open_clips",
    "open_shards",
    "overlap",
    "read_in_order",
    "read_manifest",
    "train_test",
    "verify_shards",
    "write_manifest",
    "write_shards",
]

__getattr__ = lazy_names(__name__, _HOME, renamed)
