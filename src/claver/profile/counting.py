"""Multiply-adds counted where they happen: every operator that a forward pass runs comes by here, whoever called it.

The pass may be a real one, or one of fake tensors, which have shapes, types and a device but no numbers: then the
largest size is counted in seconds, by the very operators that a CPU would have run.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from claver.models import Claver, ClaverConfig
from claver.models.shapes import uninitialized
from claver.models.text.clip import ClipText

Part = Literal["image", "temporal", "readout", "text"]
Kind = Literal["embeddings", "projections", "scores", "mlp", "norms", "readout"]
PARTS: tuple[Part, ...] = ("image", "temporal", "readout", "text")
KINDS: tuple[Kind, ...] = ("embeddings", "projections", "scores", "mlp", "norms", "readout")

_aten = torch.ops.aten
_CPU_FLASH = _aten._scaled_dot_product_flash_attention_for_cpu
"""The kernel of all our attention on a CPU, which torch has no formula for."""
_CPU_LINEAR = torch.ops.mkldnn._linear_pointwise
"""Likewise of our linear layers."""
_NO_PRODUCT = {_aten.native_layer_norm, _aten.cat, _aten.stack, _aten.copy_, _aten.equal}
"""Take several floating-point tensors, are not marked elementwise, and still multiply no matrices."""


@dataclass(frozen=True)
class Counts:
    """Numbers of things (multiply-adds or parameters) by part of the model and kind of work.

    Attributes:
        of: number for each (part, kind) that has any.
        uncounted: operators that may multiply matrices and have no formula, with how often they ran; empty is good.
    """

    of: dict[tuple[Part, Kind], int]
    uncounted: dict[str, int]

    def total(self, part: Part | None = None, kind: Kind | None = None) -> int:
        """Their sum, of one part or kind if given."""
        return sum(number for (p, k), number in self.of.items() if part in (None, p) and kind in (None, k))

    def __add__(self, other: Counts) -> Counts:
        of, uncounted = Counter(self.of), Counter(self.uncounted)
        of.update(other.of)
        uncounted.update(other.uncounted)
        return Counts(dict(of), dict(uncounted))


def fake_model(config: ClaverConfig) -> Claver:
    """A model of fake tensors: it runs, and computes shapes alone."""
    # Masks and plans that a forward pass makes stay real: they are kept, and a real pass may want them later.
    with FakeTensorMode(allow_non_fake_inputs=True), uninitialized():
        return Claver(config).eval()


def random_video(model: Claver, views: int, frames: int) -> Tensor:
    """Pixels for a model, [V, T, 3, h, w]: fake ones for a fake model."""
    size, like = model.config.image.size, model.logit_scale
    return torch.rand_like(like.new_empty(views, frames, 3, size, size))


def plain_texts(model: Claver, texts: int, tokens: int) -> Tensor:
    """Token ids [texts, tokens] of equally long texts; they are real even for a fake model, which is to read them.

    For a text tower that looks at all of a row they have the length of its context.
    """
    tower, eot = model.text, model.config.text.eot
    filler = next(value for value in range(3) if value not in (eot, tower.pad))
    ids = torch.full((texts, tower.context if tower.whole else tokens), filler)
    ids[:, -1] = eot if isinstance(tower, ClipText) else filler
    return ids


def parameters(model: Claver) -> Counts:
    """Every parameter of the model once."""
    of: Counter[tuple[Part, Kind]] = Counter()
    for name, parameter in model.named_parameters():
        of[_part_of(name), _kind_of_parameter(name)] += parameter.numel()
    return Counts(dict(of), {})


def count(model: Claver, run: Callable[[], Any], *, outside: Part = "readout") -> Counts:
    """The multiply-adds of whatever `run` does with the model.

    Matrix products, convolutions and attention are counted, by torch's own formulas; elementwise work (norms,
    activations, softmax) is not, as everywhere. Attention counts every pair of query and key that its kernel is given,
    hidden by a causal rule or not.

    Args:
        model: its modules' names say which part and kind an operator belongs to.
        run: called once, without gradients.
        outside: the part of what is called beside all modules.
    """
    with _Listener(model, outside) as heard, torch.no_grad():
        run()
    return Counts(dict(heard.macs), dict(heard.uncounted))


class _Listener(TorchDispatchMode):
    def __init__(self, model: Claver, outside: Part) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.model = model
        self.where: list[str] = [outside]
        self.macs: defaultdict[tuple[Part, Kind], int] = defaultdict(int)
        self.uncounted: Counter[str] = Counter()

    def __enter__(self) -> _Listener:
        self._hooks = [hook for name, module in self.model.named_modules() for hook in self._follow(name, module)]
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *error: Any) -> None:
        for hook in self._hooks:
            hook.remove()
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def _follow(self, name: str, module: torch.nn.Module) -> Iterator[Any]:
        if name:
            yield module.register_forward_pre_hook(lambda *_: self.where.append(name))
            yield module.register_forward_hook(lambda *_: self._leave(), always_call=True)

    def _leave(self) -> None:
        self.where.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        macs = _macs(func, args, kwargs or {}, out)
        if macs:
            place = self.where[-1]
            self.macs[_part_of(place), _kind_of_work(place, func)] += macs
        elif macs is None:
            self.uncounted[str(func)] += 1
        return out


def _macs(func: Any, args: Sequence[Any], kwargs: dict[str, Any], out: Any) -> int | None:
    """Multiply-adds of one call; None if it may have some that we do not know."""
    packet = getattr(func, "overloadpacket", func)
    if packet is _CPU_FLASH:
        return int(sdpa_flop_count(*(x.shape for x in args[:3]))) // 2
    if packet is _CPU_LINEAR:  # [..., in] by [out, in]
        return out.numel() * int(args[0].shape[-1])
    if packet in flop_registry:
        return int(flop_registry[packet](*args, **kwargs, out_val=out)) // 2
    return 0 if _multiplies_nothing(func, packet, args, kwargs) else None


def _multiplies_nothing(func: Any, packet: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """A product needs two factors, and is no elementwise one."""
    factors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor) and x.is_floating_point()]
    return len(factors) < 2 or packet in _NO_PRODUCT or _elementwise(func, packet)


def _elementwise(func: Any, packet: Any) -> bool:
    """Whether torch marks it so; of an in-place or `out` form the mark is at the plain one."""
    if torch.Tag.pointwise in getattr(func, "tags", ()):
        return True
    plain = getattr(_aten, packet.__name__.removesuffix("_"), None)
    return plain is not None and any(torch.Tag.pointwise in getattr(plain, o).tags for o in plain.overloads())


def _part_of(name: str) -> Part:
    first = name.split(".")[0]
    return first if first in PARTS else "readout"


def _kind_of_work(place: str, func: Any) -> Kind:
    words = place.split(".")
    if not _in_block(words):
        return "embeddings" if place.startswith("image") else "readout"
    if _kind_of_module(words) == "mlp":
        return "mlp"
    linear = getattr(func, "overloadpacket", func) in (_aten.mm, _aten.addmm, _CPU_LINEAR)
    return "projections" if linear else "scores"


def _in_block(words: Sequence[str]) -> bool:
    """Whether a module lies in a numbered block, ours or another library's, or in a head that pools as one."""
    return any(word.isdecimal() for word in words) or words[:2] == ["image", "pool"]


def _kind_of_module(words: Sequence[str]) -> Kind | None:
    """What a part of a block does, by the names that we and transformers have for it."""
    if any("norm" in word.lower() or word.startswith("layer_scale") for word in words):
        return "norms"
    if not {"qkv", "out", "attention", "self_attn"}.isdisjoint(words):
        return "projections"
    return None if {"up", "down", "mlp", "intermediate", "output"}.isdisjoint(words) else "mlp"


def _kind_of_parameter(name: str) -> Kind:
    words = name.split(".")
    kind = _kind_of_module(words)
    if kind == "norms" or (kind is not None and _in_block(words)):
        return kind
    return "readout" if {"projection", "logit_scale", "logit_bias"} & set(words[:2]) else "embeddings"
