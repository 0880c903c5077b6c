"""The exported video encoder on onnxruntime, in float32 and int8, against ours on PyTorch with the same weights."""

from __future__ import annotations

import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

import torch

from benchmarks.encoder import FRAMES, random_model
from benchmarks.timing import Row, Settings, assert_alike, assert_same, compare, missing
from claver.export.attention import is_sliced
from claver.export.graphs import frozen
from claver.export.programs import quantize, video_graph, write_graph
from claver.models import Claver
from claver.models.exported.session import Session
from claver.video.transforms import normalize

AREA = "export"


@torch.no_grad()
def rows(settings: Settings) -> list[Row]:
    if find_spec("onnxruntime") is None or find_spec("onnxscript") is None:
        return [missing(AREA, "onnxruntime", "onnxruntime and onnxscript (extra export) are not installed")]
    sizes = ("B/32",) if settings.quick else ("B/32", "B/16")
    return [row for size in sizes for row in _rows(size, settings)]


def _rows(size: str, settings: Settings) -> list[Row]:
    """Both take bytes, and are timed to the frame embeddings."""
    model = random_model(size, "kmct", quick=settings.quick)
    pixels = torch.randint(0, 256, (1, FRAMES, 3, 224, 224), dtype=torch.uint8)
    with tempfile.TemporaryDirectory() as folder:
        plain, small = _exported(model, Path(folder))
        fp32, int8 = Session(plain), Session(small)
        sizes = [f"{path.stat().st_size / 1e6:.0f} MB" for path in (plain, small)]
        expected = model.encode_video(normalize(pixels))
        assert_same(fp32(pixels)[0], expected)
        assert_alike(int8(pixels)[0], expected, cosine=0.95)
        works = {"fp32": lambda: fp32(pixels), "int8": lambda: int8(pixels)}
        usual = lambda: model.encode_video(normalize(pixels))  # noqa: E731
        found = compare(AREA, "ours on PyTorch, fp32", usual, works, settings)
    name = f"onnxruntime, {size}, KMCTA, {FRAMES} frames"
    return [row.labelled(f"{name}, {row.what}", note=size) for row, size in zip(found, sizes, strict=True)]


def _exported(model: Claver, folder: Path) -> tuple[Path, Path]:
    """The graph for clips, and the same with weights in int8."""
    sliced = is_sliced(model.temporal.mask, FRAMES, model.config.image.tokens)
    with frozen(model):
        graph = video_graph(model, FRAMES, takes_bytes=True, sliced=sliced)
        plain = folder / write_graph(graph, folder, "onnx", "fp32")
    small = Path(shutil.copy(plain, folder / "int8.onnx"))
    quantize(small)
    return plain, small
