"""`export_model`: a model as graphs that run without its weights, checked before they are kept."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from claver.errors import ClaverError
from claver.export.attention import is_sliced
from claver.export.check import Checked, check_graphs
from claver.export.graphs import frozen, require_streamable
from claver.export.loss import ClipLoss, loss_on
from claver.export.programs import Graph, step_graph, text_graph, video_graph, write_graph
from claver.files import only_writer, replacing_folder
from claver.inference.open_set import background_texts
from claver.inference.recognizer import Recognizer
from claver.models import Claver
from claver.models.checkpoint.folder import TOKENIZER
from claver.models.exported.bank import ExportedBank
from claver.models.exported.manifest import BANK, OPSET, STEP, FileRecord, Form, Manifest, Precision, TextRule
from claver.models.exported.model import ExportedModel
from claver.text.encoding import Progress
from claver.text.text_bank import TextBank
from claver.video.views import VideoLike

Pixels = Literal["uint8", "float"]


@dataclass(frozen=True)
class ExportReport:
    """What was written, and what was measured of it.

    Attributes:
        folder: where it is.
        manifest: what it says of itself.
        checked: differences from the model.
        loss: on the clips that were given; None if there were none.
    """

    folder: Path
    manifest: Manifest
    checked: Checked
    loss: ClipLoss | None

    def __str__(self) -> str:
        size = sum(record.bytes for record in self.manifest.files.values())
        frames = self.manifest.config.temporal.frames
        count = f"{frames} frames" if self.manifest.fixed_frames else f"any number of frames, {frames} by default"
        worst = max(self.checked.worst.values())
        lines = [
            f"{self.folder}: {', '.join(self.manifest.graphs)} ({self.manifest.form}, {self.manifest.precision}), "
            f"{size / 1e6:.1f} MB; clips of {count}",
            f"largest difference of a unit embedding {worst:.1e}, "
            f"best five actions {'the same' if self.checked.same_top else 'not the same'} on random frames",
        ]
        return "\n".join([*lines, *([] if self.loss is None else [str(self.loss)])])


def export_model(
    recognizer: Recognizer,
    output: str | Path,
    *,
    form: Form = "onnx",
    precision: Precision = "fp32",
    streaming: bool = False,
    pixels: Pixels = "uint8",
    clips: Sequence[VideoLike] = (),
    progress: Progress = lambda done, total: None,
) -> ExportReport:
    """Write a recogniser's model as graphs, with its actions; nothing is kept if a graph differs from the model.

        >>> recognizer = claver.Recognizer(model, ["waves", "claps", "sits down"])
        >>> print(export_model(recognizer, "exported"))

    Args:
        recognizer: the model, the number of frames, the pixels' preparation, and the actions whose texts go along.
        output: the folder to write, new or empty.
        form: `onnx`, which `claver recognize` and `claver watch` run too, or `torch`: archives of `torch.export`.
        precision: what weights are stored in; `int8`, of ONNX alone, rounds those of matrix products.
        streaming: whether a graph for the next frame of a stream is written too; of temporal kind `kmct`.
        pixels: what goes in: `uint8`, which the graph normalises, or `float`, normalised already.
        clips: videos on which the export is compared with the model, beyond random frames.
        progress: called with the number of texts about other actions encoded so far, and of all.

    Raises:
        ClaverError: settings that cannot be, a folder that holds something, or a graph that differs from the model.
    """
    output, model = Path(output), recognizer.model
    check_options(form, precision, pixels)
    _check_model(model, output, streaming=streaming)
    if clips and form == "torch":
        raise ClaverError("clips are compared through onnxruntime; leave them out with the format torch")
    frames = recognizer.frames
    fixed = is_sliced(model.temporal.mask, frames, model.config.image.tokens)
    takes_bytes = pixels == "uint8"
    source = _as_prepared(recognizer)
    graphs = [video_graph(source, frames, takes_bytes=takes_bytes, sliced=fixed), text_graph(source)]
    graphs += [step_graph(source, frames, takes_bytes=takes_bytes)] if streaming else []
    bank = _bank(recognizer, progress)
    with only_writer(output), replacing_folder(output) as folder, frozen(source):
        names = {graph.name: write_graph(graph, folder, form, precision) for graph in graphs}
        strict = precision == "fp32"
        checked = check_graphs(source, graphs, folder, form, bank.prototypes, strict=strict)
        bank.save(folder / BANK)
        _write_tokenizer(source, folder)
        described = {graph.name: _described(graph, names[graph.name]) for graph in graphs}
        manifest = _manifest(recognizer, source, form, precision, takes_bytes, fixed, described, folder)
        manifest = replace(manifest, check=checked.to_dict())
        manifest.save(folder)
        loss = _loss(clips, recognizer, folder)
        if loss is not None:
            manifest = replace(manifest, check={**manifest.check, "clips": loss.to_dict()})
            manifest.save(folder)
    return ExportReport(output, manifest, checked, loss)


def check_options(form: str, precision: str, pixels: str) -> None:
    """Check what can be checked before a model is loaded.

    Raises:
        ClaverError: words that are no format, precision or kind of pixels, or a package that the format needs.
    """
    for name, value, kind in (("format", form, Form), ("precision", precision, Precision), ("pixels", pixels, Pixels)):
        if value not in get_args(kind):
            raise ClaverError(f"{name} must be one of {', '.join(get_args(kind))}, not {value!r}")
    if form == "torch" and precision == "int8":
        raise ClaverError("int8 is for the format onnx; torch has fp32 and fp16")
    needed = ("onnx", "onnxruntime", "onnxscript") if form == "onnx" else ()
    if missing := [name for name in needed if find_spec(name) is None]:
        raise ClaverError(f"exporting to ONNX needs the package {missing[0]}: pip install 'claver[export]'")


def _check_model(model: Claver, output: Path, *, streaming: bool) -> None:
    if isinstance(model, ExportedModel):
        raise ClaverError("an exported model cannot be exported again; use the model that it was exported from")
    if (model.dtype, model.device.type) != (torch.float32, "cpu"):
        raise ClaverError(f"export needs the model in float32 on the CPU, not in {model.dtype} on {model.device}")
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise ClaverError(f"{output} is there already and is no empty folder; name a new one")
    if streaming:
        require_streamable(model)


def _as_prepared(recognizer: Recognizer) -> Claver:
    """The model, with the config that the export is to have: the recogniser's pixels."""
    source = copy.copy(recognizer.model)
    source.config = replace(source.config, preprocess=recognizer.preprocess)
    return source


def _bank(recognizer: Recognizer, progress: Progress) -> ExportedBank:
    others = background_texts(recognizer.model)
    found = TextBank.encode(recognizer.model, others, progress=progress)
    texts = tuple(text for own in others.texts for text in own)
    own, embeddings = recognizer.bank.actions, recognizer.bank.embeddings
    return ExportedBank(own.names, own.texts, embeddings.float().cpu(), texts, found.embeddings.float().cpu())


def _write_tokenizer(model: Claver, folder: Path) -> None:
    if model.tokenizer is not None and model.tokenizer.json is not None:
        (folder / TOKENIZER).write_text(model.tokenizer.json, encoding="utf-8")


def _described(graph: Graph, file: str) -> dict[str, Any]:
    found = graph.describe(file)
    if graph.name == STEP:
        shape = list(graph.inputs["keys"].shape)
        found |= {"window": shape[3], "cache": shape}
    return found


def _manifest(
    recognizer: Recognizer,
    model: Claver,
    form: Form,
    precision: Precision,
    takes_bytes: bool,
    fixed: bool,
    graphs: Mapping[str, Mapping[str, Any]],
    folder: Path,
) -> Manifest:
    config = model.config.with_temporal(model.config.temporal.kind, recognizer.frames, model.config.temporal.layers)
    rule: TextRule = "whole" if model.text.whole else "end" if config.text.tower == "clip" else "padding"
    libraries = ("claver", "torch", *(("onnx", "onnxruntime", "onnxscript") if form == "onnx" else ()))
    return Manifest(
        config=config,
        form=form,
        precision=precision,
        takes_bytes=takes_bytes,
        fixed_frames=fixed,
        logit_scale=float(model.logit_scale.detach()),
        logit_bias=None if model.bias is None else float(model.bias.detach()),
        text_rule=rule,
        text_pad=model.text.pad,
        views=str(recognizer.views),
        graphs=graphs,
        files={path.name: FileRecord.of(path) for path in sorted(folder.iterdir())},
        opset=OPSET if form == "onnx" else None,
        versions={name: version(name) for name in libraries},
    )


def _loss(clips: Sequence[VideoLike], recognizer: Recognizer, folder: Path) -> ClipLoss | None:
    if not clips:
        return None
    after = Recognizer(ExportedModel(folder), views=recognizer.views, unknown=False)
    return loss_on(clips, recognizer, after)
