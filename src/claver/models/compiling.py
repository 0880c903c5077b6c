"""Image and temporal tower by `torch.compile`: in place for training, beside the model for recognising."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from claver.attention import kronecker_attention
from claver.log import logger, warn_once
from claver.models.claver import Claver
from claver.models.linear import has_onednn

_VARIANTS = 64
"""Variants of one function that the compiler keeps: its own 8 are few for blocks of several models and batches."""


def compile_towers(
    model: Claver, backend: str = "inductor", *, mode: str | None = None, dynamic: bool | None = None
) -> None:
    """Compile image and temporal tower in place, on their first use.

    The text tower, whose every batch has another length, stays as it is: it would be compiled again and again. So does
    attention under a mask, which is made of kernels already: the compiler would go through the making of its plan,
    which takes long and gives nothing.

    Args:
        model: the model.
        backend: of `torch.compile`.
        mode: likewise.
        dynamic: likewise; False compiles every shape by itself.
    """
    if backend == "inductor" and has_onednn(model.device, model.dtype):
        warn_once("compiled towers were slower than plain ones on the CPU where both were measured")
    model.temporal.attention = torch.compiler.disable(kronecker_attention)
    for tower in (model.image, model.temporal):
        tower.compile(backend=backend, mode=mode, dynamic=dynamic)


def missing_compiler(device: torch.device) -> str | None:
    """Why nothing can be compiled for a device; None where that is not known before it is tried."""
    if device.type == "cuda":
        from torch.utils._triton import has_triton

        return None if has_triton() else "triton is not there, or not for this card"
    if device.type == "cpu":
        from torch._inductor.cpp_builder import get_cpp_compiler
        from torch._inductor.exc import InvalidCxxCompiler

        try:
            get_cpp_compiler()
        except InvalidCxxCompiler:
            return "there is no C++ compiler"
    return None


def mode_for(device: torch.device, views: int) -> str | None:
    """The mode in which so many views are compiled: one alone keeps a GPU waiting for its orders, so it is recorded."""
    return "reduce-overhead" if device.type == "cuda" and views == 1 else None


class CompiledTowers:
    """`encode_video` of a model by compiled towers of the same weights; the model itself stays as it is.

    Each shape is compiled when it first comes; an odd last batch is filled up to one that was compiled. Where nothing
    can be compiled it is said once, and the model's own towers are used.

    Attributes:
        given_up: whether the model's own towers are used.
    """

    def __init__(self, model: Claver, backend: str = "inductor") -> None:
        """Look for a compiler; nothing is compiled yet.

        Args:
            model: the model, on the device where it will run.
            backend: of `torch.compile`.
        """
        self._model, self._backend = model, backend
        self._twins: dict[str | None, Claver] = {}
        self._parts: tuple[object, ...] = ()
        self._sizes: dict[torch.Size, set[int]] = {}
        why = missing_compiler(model.device) if backend == "inductor" else None
        self.given_up = why is not None
        if why is not None:
            _say_plain(why)

    @torch.inference_mode()
    def encode_video(self, video: Tensor, batch_size: int) -> Tensor:
        """As of the model: clips [B, T, 3, h, w] to frame embeddings [B, T, E].

        Args:
            video: normalised pixels.
            batch_size: so many clips at most a smaller batch is filled up to, with copies of its last.
        """
        if self.given_up or not len(video):
            return self._model.encode_video(video)
        known = self._sizes.setdefault(video.shape[1:], set())
        size = min((size for size in known if len(video) <= size <= batch_size), default=len(video))
        if size not in known:
            logger.info(f"compiling for {size} views of {video.shape[1]} frames")
        filled = torch.cat([video, video[-1:].expand(size - len(video), *video.shape[1:])])
        try:
            frames = self._run(filled)
        except Exception as error:  # of the compiler, or of the system's own: the plain towers then say what is wrong
            self.given_up = True
            _say_plain(str(error) or type(error).__name__)
            return self._model.encode_video(video)
        known.add(size)
        return frames[: len(video)]

    def _run(self, video: Tensor) -> Tensor:
        parts = self._model.image, self._model.temporal, self._model.readout
        if any(now is not then for now, then in zip(parts, self._parts, strict=False)):
            self._twins.clear()  # a part of the model was replaced
        self._parts = parts
        mode = mode_for(self._model.device, len(video)) if self._backend == "inductor" else None
        if mode not in self._twins:
            self._twins[mode] = _twin(self._model)
            compile_towers(self._twins[mode], self._backend, mode=mode, dynamic=False)
        with _many_variants():
            if mode is None:
                return self._twins[mode].encode_video(video)
            torch.compiler.cudagraph_mark_step_begin()
            return self._twins[mode].encode_video(video).clone()  # the next run would write over it


def _twin(model: Claver) -> Claver:
    """The same model, of the same weights, whose image and temporal tower can be changed without changing its own."""
    twin = copy.copy(model)
    twin._modules = dict(model._modules)
    for name in ("image", "temporal"):
        twin._modules[name] = copy.copy(model.get_submodule(name))
    return twin


@contextmanager
def _many_variants() -> Iterator[None]:
    import torch._dynamo

    with torch._dynamo.config.patch(recompile_limit=_VARIANTS):
        yield


def _say_plain(why: str) -> None:
    warn_once(f"the towers are not compiled, which is slower: {' '.join(why.split())[:160]}")
