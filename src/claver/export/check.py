"""Running what was exported against the model, before anything is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from claver.attention.kv_cache import KeyValueCache
from claver.errors import ClaverError
from claver.export.programs import Graph, quiet
from claver.models import Claver, video_embedding
from claver.models.exported.manifest import STEP, SUFFIX, TEXT, VIDEO, Form
from claver.models.exported.session import Session
from claver.video.transforms import normalize

MOST = 1e-4
"""How much any entry of a unit embedding may differ in float32."""
_TOP = 5
_BATCHES = (1, 3)
_SHORT = 5
"""Tokens of the shorter rows of texts."""
Run = Callable[..., Sequence[Tensor]]
Pair = tuple[str, str, Tensor, Tensor]
"""An output's name, for what it was computed, what the graph gave, and what the model gives."""


@dataclass
class Checked:
    """What was found.

    Attributes:
        worst: for each output the largest difference of an entry of unit vectors.
        same_top: whether the best five actions were the same for every clip.
        ran: for each graph the shapes of its first input that it was run on.
    """

    worst: dict[str, float] = field(default_factory=dict)
    same_top: bool = True
    ran: dict[str, list[str]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As the manifest has it."""
        return {"largest_difference": self.worst, "same_top_5": self.same_top, "ran_on": self.ran}


def check_graphs(
    model: Claver, graphs: Sequence[Graph], folder: Path, form: Form, prototypes_CE: Tensor, *, strict: bool
) -> Checked:
    """Compare every embedding of every graph with the model's, on two batch sizes and, where they may vary, lengths.

    Args:
        model: what was exported.
        graphs: its graphs.
        folder: where their files are.
        form: of the files.
        prototypes_CE: of the actions that the best five are of.
        strict: whether a difference is an error; else it is told.

    Raises:
        ClaverError: an output differs; it is named.
    """
    found = Checked()
    for graph in graphs:
        run = runner(folder / f"{graph.name}{SUFFIX[form]}", form)
        for name, where, made, wanted in _PAIRS[graph.name](model, graph, run):
            _compare(found, f"{graph.name}.{name}", where, made, wanted, strict=strict)
            if name == "video_embedding" and not same_top(made, wanted, prototypes_CE):
                found.same_top = False
                if strict:
                    raise ClaverError(
                        f"output {graph.name}.{name} ranks other actions first than the model for {where}"
                    )
    return found


def _compare(found: Checked, output: str, where: str, made: Tensor, wanted: Tensor, *, strict: bool) -> None:
    far = float("inf") if made.shape != wanted.shape else difference(made, wanted)
    if far == float("inf"):
        raise ClaverError(
            f"output {output} has values that are no numbers, or another shape, for {where}; fp16 cannot hold this "
            "model's values if that was asked for: export it in fp32"
        )
    found.worst[output] = max(found.worst.get(output, 0.0), far)
    ran = found.ran.setdefault(output.partition(".")[0], [])
    ran += [where] if where not in ran else []
    if strict and not far <= MOST:
        raise ClaverError(f"output {output} is off by {far:.2g} for {where}; at most {MOST:g} is allowed")


def difference(made: Tensor, wanted: Tensor) -> float:
    """The largest difference of an entry of unit vectors; infinite where something is no number."""
    far = (F.normalize(made.float(), dim=-1) - F.normalize(wanted.float(), dim=-1)).abs().max()
    return float(far) if bool(far.isfinite()) else float("inf")


def same_top(made_BE: Tensor, wanted_BE: Tensor, prototypes_CE: Tensor) -> bool:
    """Whether the best five actions are the same in the same order, but for actions that `MOST` cannot tell apart."""
    scores, own = (F.normalize(x.float(), dim=-1) @ prototypes_CE.T for x in (made_BE, wanted_BE))
    count = min(_TOP, len(prototypes_CE))
    best, ranked = own.topk(count).values, own.gather(1, scores.topk(count).indices)
    return bool(((best - ranked).abs() <= 2 * MOST).all())


def runner(path: Path, form: Form) -> Run:
    """A file as a function of tensors."""
    if form == "onnx":
        return Session(path)
    with quiet():
        module: Any = torch.export.load(path).module()

    def run(*inputs: Tensor) -> Sequence[Tensor]:
        with torch.inference_mode():
            made = module(*inputs)
        return [made] if isinstance(made, Tensor) else list(made)

    return run


@torch.inference_mode()
def _video_pairs(model: Claver, graph: Graph, run: Run) -> Iterator[Pair]:
    example = graph.inputs["pixels"]
    frames = example.shape[1]
    lengths = [frames] if graph.axes["pixels"].get(1) is None else [frames, max(1, frames // 2)]
    for batch, length in [(batch, length) for batch in _BATCHES for length in lengths]:
        pixels = _random_pixels(model, (batch, length, *example.shape[2:]), seed=batch)
        given = _given(model, pixels, example)
        own = model.encode_video(_normalized(model, pixels)).float()
        wanted = own, video_embedding(own, model.config.aggregate)
        for name, made, expected in zip(graph.outputs, run(given), wanted, strict=True):
            yield name, f"pixels {list(given.shape)}", made, expected


@torch.inference_mode()
def _text_pairs(model: Claver, graph: Graph, run: Run) -> Iterator[Pair]:
    context = model.text.context
    lengths = [context] if model.text.whole else [context, min(context, _SHORT)]
    for rows, length in [(rows, length) for rows in _BATCHES for length in lengths]:
        ids = _random_ids(model, rows, length)
        yield graph.outputs[0], f"ids {list(ids.shape)}", run(ids)[0], model.text(ids).float()


@torch.inference_mode()
def _step_pairs(model: Claver, graph: Graph, run: Run) -> Iterator[Pair]:
    """Two clips of every stream, of which the second begins a frame later; then one of one."""
    example, shape = graph.inputs["pixels"], list(graph.inputs["keys"].shape)
    window = shape[3]
    for clips, streams in ((2, 3), (1, 1)):
        pixels = _random_pixels(model, (streams, window, *example.shape[1:]), seed=streams)
        wanted = [_stepwise(model, pixels[:, late:], window) for late in range(min(clips, window))]
        keys, values = (torch.full((shape[0], clips, streams, *shape[3:]), 7.0) for _ in range(2))
        for frame in range(window):
            seen = torch.tensor([max(0, frame - late) for late in range(clips)])
            made, keys, values = run(_given(model, pixels[:, frame], example), seen, keys, values)
            for late in range(min(clips, frame + 1, window)):
                where = f"pixels [{streams}, …], {clips} clips"
                yield graph.outputs[0], where, made[late], wanted[late][:, frame - late]


def _stepwise(model: Claver, pixels: Tensor, window: int) -> Tensor:
    """Frame embeddings of clips that are to have so many frames, in the model's own steps."""
    tokens, cache = model.image_tokens(_normalized(model, pixels)), KeyValueCache(window)
    return model.readout(model.temporal.step(tokens, cache)).float()


def _normalized(model: Claver, pixels: Tensor) -> Tensor:
    return normalize(pixels, model.config.preprocess.mean, model.config.preprocess.std)


def _given(model: Claver, pixels: Tensor, example: Tensor) -> Tensor:
    return pixels if example.dtype == torch.uint8 else _normalized(model, pixels)


def _random_pixels(model: Claver, shape: tuple[int, ...], seed: int) -> Tensor:
    """Bytes in coarse squares, which differ more between frames than noise of single pixels does for a tower."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 256, (*shape[:-2], 4, 4), dtype=torch.uint8, generator=generator)
    rows = (torch.arange(shape[-2]) * 4 // shape[-2], torch.arange(shape[-1]) * 4 // shape[-1])
    return coarse[..., rows[0], :][..., rows[1]]


def _random_ids(model: Claver, rows: int, length: int) -> Tensor:
    """Rows of tokens that end somewhere, with what a row has behind its end."""
    text, generator = model.config.text, torch.Generator().manual_seed(rows)
    ids = torch.randint(0, text.vocabulary, (rows, length), generator=generator)
    if model.text.whole:
        return ids
    ends = torch.randint(1, length, (rows,), generator=generator)
    if text.tower == "clip":
        ids[ids == text.eot] -= 1
        ids[torch.arange(rows), ends] = text.eot
        return ids
    ids[ids == model.text.pad] += 1
    return ids.clamp(max=text.vocabulary - 1).masked_fill(torch.arange(length) > ends[:, None], model.text.pad)


_PAIRS: dict[str, Callable[[Claver, Graph, Run], Iterator[Pair]]] = {
    VIDEO: _video_pairs,
    TEXT: _text_pairs,
    STEP: _step_pairs,
}
