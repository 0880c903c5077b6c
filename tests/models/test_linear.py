"""Linear layers by oneDNN against PyTorch's own, values and gradients."""

from typing import Any, cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from claver.models import ClaverConfig, ImageConfig, TemporalConfig
from claver.models import linear as subject
from claver.models.block import Block, quick_gelu
from claver.models.config import Temporal
from claver.models.linear import Linear, add_linear, linear, runs_on_onednn
from claver.models.temporal import TemporalTower

pytestmark = pytest.mark.skipif(not subject._types(), reason="this PyTorch has no oneDNN")

HALF = pytest.param(torch.bfloat16, marks=pytest.mark.skipif(len(subject._types()) < 2, reason="no bfloat16 here"))


def of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_types", lambda: ())


@settings(max_examples=40, deadline=None)
@given(
    lead=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    inner=st.integers(1, 40),
    outer=st.integers(1, 40),
    bias=st.booleans(),
    contiguous=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_values_and_gradients_are_those_of_double_precision(
    lead: list[int], inner: int, outer: int, bias: bool, contiguous: bool, seed: int
) -> None:
    rng = torch.Generator().manual_seed(seed)
    x = (
        torch.randn(*lead, inner, generator=rng)
        if contiguous
        else torch.randn(inner, *lead, generator=rng).movedim(0, -1)
    )
    tensors = [x, torch.randn(outer, inner, generator=rng), torch.randn(outer, generator=rng)][: 3 if bias else 2]
    exact = [value.double().requires_grad_() for value in tensors]
    ours = [value.detach().requires_grad_() for value in tensors]
    assert runs_on_onednn(ours[0], ours[1])
    expected = nn.functional.linear(*exact)
    out = linear(ours[0], ours[1], ours[2] if bias else None)
    grad = torch.randn(out.shape, generator=rng)
    (expected * grad.double()).sum().backward()
    (out * grad).sum().backward()
    torch.testing.assert_close(out.double(), expected, rtol=1e-5, atol=1e-4)
    for one, other in zip(ours, exact, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(one.grad.double(), other.grad, rtol=1e-5, atol=1e-4)


class Weights(TorchDispatchMode):
    """Strides of the weights that oneDNN is given, and how many it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[torch.Size, tuple[int, ...]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        packet = func.overloadpacket
        if packet is torch.ops.mkldnn._linear_pointwise:
            weight = args[2] if func._overloadname == "binary" else args[1]
            self.seen.append((weight.shape, weight.stride()))
        return func(*args, **(kwargs or {}))

    def with_gaps(self) -> list[tuple[torch.Size, tuple[int, ...]]]:
        return [(shape, stride) for shape, stride in self.seen if sorted(stride) != [1, shape[stride.index(1)]]]


@pytest.mark.parametrize("kind", ["pipeline", "joint", "kmt", "kmct"])
def test_onednn_gets_no_weight_with_gaps_for_which_it_has_no_kernel(kind: str) -> None:
    # The last layer makes summaries alone. They lie apart among a clip's tokens, and are what its rows are multiplied
    # with in the backward pass: 1,280 by 128 by 1,280 numbers took 4.4 s instead of 2 ms.
    torch.manual_seed(0)
    config = ClaverConfig(
        ImageConfig(32, 16, 64, 1, 1), temporal=TemporalConfig(cast("Temporal", kind), 2, 4), embedding=32
    )
    tower = TemporalTower(config)
    tower.initialize("random", 1.0)
    with Weights() as weights:
        tower(torch.randn(3, 4, 5, 64, requires_grad=True)).square().sum().backward()
    assert len(weights.seen) > 10
    assert weights.with_gaps() == []


def test_a_weight_with_gaps_gives_what_the_same_without_gaps_gives() -> None:
    torch.manual_seed(0)
    layer, x, residual = Linear(12, 8), torch.randn(3, 12), torch.randn(3, 8)
    wanted = linear(x, layer.weight, layer.bias)
    layer.weight = nn.Parameter(torch.cat([layer.weight, torch.zeros(8, 5)], dim=1)[:, :12])
    assert not layer.weight.is_contiguous()
    with Weights() as weights, torch.no_grad():
        assert linear(x, layer.weight, layer.bias).equal(wanted)
        torch.testing.assert_close(add_linear(layer, x, residual), residual + wanted)
    assert len(weights.seen) == 2
    assert weights.with_gaps() == []


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu", "gelu_tanh"])
@pytest.mark.parametrize("dtype", [torch.float32, HALF])
def test_block_computed_in_fused_products_is_the_block(
    activation: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    block = Block(64, 4, activation=activation)  # type: ignore[arg-type]
    for norm in (block.norm1, block.norm2):
        nn.init.normal_(norm.weight, 1, 0.5)
        nn.init.normal_(norm.bias)
    for layer in (block.qkv, block.out, block.up, block.down):
        nn.init.normal_(layer.weight, std=0.3)
        nn.init.normal_(layer.bias)
    x = torch.randn(2, 5, 64)

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return v

    ours = block.to(dtype)
    fused: list[str] = []
    monkeypatch.setattr(Block, "_fused_mlp", spy(Block._fused_mlp, fused))
    with torch.no_grad():
        got = ours(x.to(dtype), attend)
        of_torch(monkeypatch)
        expected = ours.double()(x.to(dtype).double(), attend)
    assert fused == ["called"]
    near = 1e-4 if dtype == torch.float32 else 0.02 * float(expected.abs().max())
    assert float((got.double() - expected).abs().max()) < near


def spy(function: object, calls: list[str]) -> object:
    def called(*arguments: object) -> object:
        calls.append("called")
        return function(*arguments)  # type: ignore[operator]

    return called


@pytest.mark.parametrize("name", ["out.bias", "norm2.weight", "norm2.bias", "up.bias", "down.bias", "down.weight"])
def test_whatever_learns_alone_in_a_frozen_block_gets_its_gradient(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    block, x = Block(16, 2).requires_grad_(False), torch.randn(2, 3, 16)
    block.get_parameter(name).requires_grad_()

    def gradient() -> torch.Tensor:
        block.zero_grad()
        block(x, lambda q, k, v: v).square().sum().backward()
        found = block.get_parameter(name).grad
        assert found is not None
        return found.clone()

    ours = gradient()
    of_torch(monkeypatch)
    torch.testing.assert_close(ours, gradient(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["norm2", "up", "down", "out"])
def test_whoever_looks_on_or_takes_a_layers_place_is_called(name: str) -> None:
    block, x, calls = Block(16, 2), torch.randn(2, 3, 16), []
    layer = block.get_submodule(name)
    with torch.no_grad():
        handle = layer.register_forward_hook(lambda *_: calls.append("hook"))
        block(x, lambda q, k, v: v)
        handle.remove()
        plain = layer.forward
        layer.forward = lambda given: calls.append("patched") or plain(given)  # type: ignore[func-returns-value]
        block(x, lambda q, k, v: v)
        del layer.forward
        with torch.nn.modules.module.register_module_forward_hook(lambda module, *_: note(module, layer, calls)):
            block(x, lambda q, k, v: v)
    assert calls == ["hook", "patched", "global"]


def note(module: nn.Module, layer: nn.Module, calls: list[str]) -> None:
    if module is layer:
        calls.append("global")


def test_transforms_tracing_and_second_derivatives_are_those_of_pytorch() -> None:
    layer, x = Linear(8, 6), torch.randn(4, 8)
    torch.testing.assert_close(torch.vmap(layer)(x), layer(x))
    torch.testing.assert_close(torch.func.jacrev(layer)(x[0]), layer.weight)
    torch.testing.assert_close(torch.jit.trace(layer.eval(), x)(x), layer(x))
    (layer(x[0].requires_grad_()).sum()).backward()
    exact = x.double().requires_grad_()
    given = x.detach().clone().requires_grad_()
    for one, weight, bias in ((given, layer.weight, layer.bias), (exact, layer.weight.double(), layer.bias.double())):
        out = linear(one, weight, bias) if one is given else nn.functional.linear(one, weight, bias)
        (first,) = torch.autograd.grad(out.pow(3).sum(), one, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), one)
        if one is given:
            ours = second
    torch.testing.assert_close(ours.double(), second, rtol=1e-4, atol=1e-3)


def test_a_hooked_layer_is_called_and_its_answer_used() -> None:
    layer, x, residual = Linear(4, 4), torch.randn(2, 4), torch.randn(2, 4)
    layer.register_forward_hook(lambda module, given, out: torch.zeros_like(out))
    with torch.no_grad():
        assert torch.equal(add_linear(layer, x, residual), residual)


def test_residual_is_added_and_stays_as_it_is() -> None:
    layer, x, residual = Linear(4, 4), torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    before = residual.clone()
    with torch.no_grad():
        torch.testing.assert_close(
            add_linear(layer, x, residual), residual + nn.functional.linear(x, layer.weight, layer.bias)
        )
    assert torch.equal(residual, before)


def test_pytorch_computes_what_onednn_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = torch.randn(4, 4)
    assert not runs_on_onednn(torch.randn(2, 4).double(), weight.double())
    assert not runs_on_onednn(torch.randn(2, 4).half(), weight.half())
    assert not runs_on_onednn(torch.randn(0, 4), weight)
    assert linear(torch.randn(0, 4), weight, None).shape == (0, 4)
    assert linear(torch.randn(2, 4).double(), weight.double(), None).dtype == torch.float64
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(torch.randn(2, 4), weight, None).dtype == torch.bfloat16
    of_torch(monkeypatch)
    assert not runs_on_onednn(torch.randn(2, 4), weight)


def test_quick_gelu_is_the_silu_that_the_fused_product_takes_it_for() -> None:
    x = torch.linspace(-6, 6, 101, dtype=torch.float64)
    torch.testing.assert_close(quick_gelu(x.clone()), x * torch.sigmoid(1.702 * x))


def test_patches_by_a_linear_layer_are_the_convolution(monkeypatch: pytest.MonkeyPatch) -> None:
    from claver.models import named_config
    from claver.models.vision.clip import ClipVision

    config = named_config("B/32", "mean", 2)
    tower = ClipVision(config)
    frames = torch.randn(2, 3, 100, 70)  # not a whole number of patches
    with torch.no_grad():
        ours = tower._patches(frames)
        of_torch(monkeypatch)
        expected = tower._patches(frames)
    assert ours.shape == (2, 3 * 2, config.image.width)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
