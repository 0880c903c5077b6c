"""From modules to files: `torch.export`, then its own archive or ONNX, in the precision that was asked for."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule

from claver.errors import ClaverError
from claver.export.graphs import StepGraph, TextGraph, VideoGraph
from claver.models import Claver
from claver.models.exported.manifest import OPSET, STEP, SUFFIX, TEXT, VIDEO, Form, Precision

_LARGEST_PROTOBUF = 2**31 - 2**24
"""Bytes of weights above which they lie beside the graph: a file of protobuf holds less than 2 GiB."""


@dataclass(frozen=True)
class Graph:
    """A module, and what a file of it is to say.

    Attributes:
        name: which of the graphs it is.
        module: what computes it.
        inputs: an example of each input, by name, with at least two of what is any number.
        axes: for each input, which of its axes have any length, and what that is called.
        outputs: names of what comes out.
    """

    name: str
    module: nn.Module
    inputs: Mapping[str, Tensor]
    axes: Mapping[str, Mapping[int, str]]
    outputs: tuple[str, ...]

    def describe(self, file: str) -> dict[str, Any]:
        """As the manifest has it: shapes with names for what is any number."""
        inputs = {name: self._described(name, value) for name, value in self.inputs.items()}
        return {"file": file, "inputs": inputs, "outputs": list(self.outputs)}

    def _described(self, name: str, value: Tensor) -> dict[str, Any]:
        shape = [self.axes[name].get(axis, length) for axis, length in enumerate(value.shape)]
        return {"type": str(value.dtype).removeprefix("torch."), "shape": shape}


def video_graph(model: Claver, frames: int, *, takes_bytes: bool, sliced: bool) -> Graph:
    """Clips to embeddings; any number of frames where attention is not sliced."""
    module = VideoGraph(model, takes_bytes=takes_bytes, sliced=sliced)
    axes = {0: "batch"} if sliced else {0: "batch", 1: "frames"}
    example = _pixels(model, (2, frames if sliced else max(frames, 2)), takes_bytes=takes_bytes)
    outputs = ("frame_embeddings", "video_embedding")
    return Graph(VIDEO, module, {"pixels": example}, {"pixels": axes}, outputs)


def text_graph(model: Claver) -> Graph:
    """Token ids to embeddings; rows of any length but where all places of a row are read."""
    axes = {0: "texts"} if model.text.whole else {0: "texts", 1: "length"}
    length = model.text.context
    ids = torch.full((2, length), 1 if model.text.pad != 1 else 2)
    ids[:, -1] = model.config.text.eot
    return Graph(TEXT, TextGraph(model), {"ids": ids}, {"ids": axes}, ("text_embeddings",))


def step_graph(model: Claver, window: int, *, takes_bytes: bool) -> Graph:
    """The next frame of streams; any number of them, and of clips in progress."""
    module = StepGraph(model, window, takes_bytes=takes_bytes)
    pixels, caches = _pixels(model, (2,), takes_bytes=takes_bytes), module.cache_shape(2, 2)
    inputs = {"pixels": pixels, "seen": torch.tensor([0, window - 1])}
    inputs |= {"keys": torch.zeros(caches), "values": torch.zeros(caches)}
    caches_axes = {1: "clips", 2: "streams"}
    axes = {"pixels": {0: "streams"}, "seen": {0: "clips"}, "keys": caches_axes, "values": caches_axes}
    return Graph(STEP, module, inputs, axes, ("frame_embeddings", "new_keys", "new_values"))


def _pixels(model: Claver, leading: tuple[int, ...], *, takes_bytes: bool) -> Tensor:
    size = model.config.preprocess.size
    return torch.zeros(*leading, 3, size, size, dtype=torch.uint8 if takes_bytes else torch.float32)


def write_graph(graph: Graph, folder: Path, form: Form, precision: Precision) -> str:
    """Write a graph into a folder; the name of its file.

    Raises:
        ClaverError: the model has something that cannot be exported.
    """
    path = folder / f"{graph.name}{SUFFIX[form]}"
    module = copy.deepcopy(graph.module).half() if precision == "fp16" else graph.module
    try:
        with quiet(), torch.no_grad():
            program = _traced(graph, module)
            if form == "torch":
                torch.export.save(program, path)
            else:
                _write_onnx(program, graph, path)
    except ClaverError:
        raise
    except Exception as error:  # of the tracer or the converter, which raise all kinds
        told = " ".join(str(error).split())[:300]
        raise ClaverError(f"the {graph.name} graph cannot be exported: {type(error).__name__}: {told}") from error
    if precision == "int8":
        quantize(path)
    return path.name


def _traced(graph: Graph, module: nn.Module) -> ExportedProgram:
    names = sorted({name for axes in graph.axes.values() for name in axes.values()})
    dims = {name: Dim(name, **_range(graph, name)) for name in names}
    shapes = tuple({axis: dims[name] for axis, name in graph.axes[key].items()} for key in graph.inputs)
    program = torch.export.export(module, tuple(graph.inputs.values()), dynamic_shapes=shapes, strict=False)
    program.example_inputs = None  # of no use to anybody, and pickled
    parts = [part for part in program.graph_module.modules() if isinstance(part, GraphModule)]
    for node in [node for part in parts for node in part.graph.nodes]:
        node.meta.pop("stack_trace", None)  # with paths of this machine
    return program


def _range(graph: Graph, name: str) -> dict[str, int]:
    return {"max": graph.inputs["ids"].shape[1]} if name == "length" else {}


def _write_onnx(program: ExportedProgram, graph: Graph, path: Path) -> None:
    made = torch.onnx.export(
        program,
        dynamo=True,
        opset_version=OPSET,
        input_names=list(graph.inputs),
        output_names=list(graph.outputs),
        verbose=False,
    )
    assert made is not None
    for node in made.model.graph.all_nodes():
        node.metadata_props.clear()
    weights = sum(value.nbytes for value in program.state_dict.values())
    made.save(path, external_data=weights > _LARGEST_PROTOBUF)


def quantize(path: Path) -> None:
    """Store the weights of a graph's matrix products as int8, one scale per output, in place."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    made = path.with_suffix(".int8")
    with quiet():
        quantize_dynamic(
            path, made, op_types_to_quantize=["MatMul", "Gemm"], per_channel=True, weight_type=QuantType.QInt8
        )
    made.replace(path)
    path.with_name(f"{path.name}.data").unlink(missing_ok=True)  # weights that lay beside the graph are in it now


@contextmanager
def quiet() -> Iterator[None]:
    """Within it the exporters' own remarks, which are for their developers, go nowhere."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
