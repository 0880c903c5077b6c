"""Compiled towers give what plain ones do, for few compilations, and plain ones run where nothing can be compiled."""

from __future__ import annotations

import copy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import claver
from claver.log import warn_once
from claver.models import Claver, compiling
from claver.models.compiling import CompiledTowers, compile_towers
from tests.models import random_family as families
from tests.tiny import tiny_model


def clips(count: int, frames: int = 4) -> torch.Tensor:
    return torch.randn(count, frames, 3, 32, 32, generator=torch.Generator().manual_seed(count))


@torch.inference_mode()
def assert_alike(towers: CompiledTowers, model: Claver, video: torch.Tensor, batch_size: int = 8) -> None:
    torch.testing.assert_close(towers.encode_video(video, batch_size), model.encode_video(video), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["kmt", "kmct", "mean"])
def test_they_are_exact_and_the_model_stays_as_it_is(kind) -> None:  # type: ignore[no-untyped-def]
    model = tiny_model(kind)
    towers = CompiledTowers(model, "aot_eager")
    assert_alike(towers, model, clips(3))
    assert_alike(towers, model, clips(2))
    assert not towers.given_up
    assert "attention" not in vars(model.temporal)
    assert model.image._compiled_call_impl is None
    with torch.no_grad():
        before = model.encode_video(clips(3))
        model.image.patch.weight.mul_(torch.linspace(0.2, 3, model.image.patch.weight[0].numel()).view(3, 8, -1))
        assert not torch.allclose(model.encode_video(clips(3)), before, atol=1e-2)
    assert_alike(towers, model, clips(3))  # the weights are the same ones
    for part in ("image", "readout", "temporal"):
        setattr(model, part, copy.deepcopy(getattr(tiny_model(kind, seed=9), part)))
        assert_alike(towers, model, clips(3))


def counted(monkeypatch: pytest.MonkeyPatch, model: Claver) -> tuple[CompiledTowers, list[int]]:
    """Towers whose runs are noted in place of compiled."""
    sizes: list[int] = []
    monkeypatch.setattr(compiling, "compile_towers", lambda *given, **settings: None)
    towers = CompiledTowers(model, "eager")
    run = towers._run
    monkeypatch.setattr(towers, "_run", lambda video: (sizes.append(len(video)), run(video))[1])
    return towers, sizes


def test_an_odd_last_batch_is_filled_up_but_never_beyond_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("kmt")
    towers, sizes = counted(monkeypatch, model)
    for count, batch_size in ((6, 8), (4, 8), (6, 8), (1, 1), (7, 8), (5, 8), (3, 5)):
        assert_alike(towers, model, clips(count), batch_size)
    assert sizes == [6, 6, 6, 1, 7, 6, 3]
    assert_alike(towers, model, clips(2, frames=3))
    assert sizes[-1] == 2, "of another number of frames nothing was compiled"


def test_compilation_is_once_per_shape() -> None:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model = tiny_model("kmct")
    towers = CompiledTowers(model, "eager")
    towers.encode_video(clips(4), 4)
    made = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert 0 < made < 30
    for count in (4, 3, 1, 4):
        towers.encode_video(clips(count), 4)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == made


def test_more_shapes_than_the_compiler_keeps_by_itself_are_compiled_all() -> None:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model, made = tiny_model("mean"), []
    towers = CompiledTowers(model, "eager")
    for count in range(1, 11):
        assert_alike(towers, model, clips(count), count)
        made.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    assert len(set(made)) == len(made)


REAL = """
from tests.models.test_compiling import assert_alike, clips
from tests.tiny import tiny_model

from claver.models.compiling import CompiledTowers

model = tiny_model("kmct", layers=1)
towers = CompiledTowers(model)
assert_alike(towers, model, clips(2))
assert_alike(towers, model, clips(1))
assert not towers.given_up
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
def test_the_real_compiler_is_exact() -> None:
    """In a process of its own: the compiler wants setuptools before anybody has imported Python's own distutils."""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", REAL], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_a_compiler_the_plain_towers_run_and_it_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from torch._inductor import cpp_builder, exc

    def none() -> str:
        raise exc.InvalidCxxCompiler

    warn_once.cache_clear()
    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none)
    model = tiny_model("kmt")
    for _ in range(2):
        towers = CompiledTowers(model)
        assert towers.given_up
        assert_alike(towers, model, clips(2))
    said = ["the towers are not compiled, which is slower: there is no C++ compiler"]
    assert [record.message for record in caplog.records] == said


def test_a_compiler_that_fails_is_said_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    def broken(graph: object, inputs: object) -> object:
        raise RuntimeError("no such header\nline of a long listing")

    warn_once.cache_clear()
    torch._dynamo.reset()
    model = tiny_model("kmt")
    towers = CompiledTowers(model, broken)  # type: ignore[arg-type]
    assert_alike(towers, model, clips(2))
    assert towers.given_up
    (said,) = (record.message for record in caplog.records if record.name == "claver")
    assert said.startswith("the towers are not compiled, which is slower: ")
    assert "no such header line of a long listing" in said
    with pytest.raises(RuntimeError):  # what is wrong with what is given is no fault of the compiler's
        towers.encode_video(clips(2)[:, :, :2], 2)


def test_without_triton_a_card_has_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.utils._triton.has_triton", lambda: False)
    assert compiling.missing_compiler(torch.device("cuda")) == "triton is not there, or not for this card"
    assert compiling.missing_compiler(torch.device("mps")) is None


def test_one_view_on_a_card_is_recorded() -> None:
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    modes = [compiling.mode_for(device, views) for device, views in ((cuda, 1), (cuda, 2), (cpu, 1))]
    assert modes == ["reduce-overhead", None, None]


@pytest.mark.parametrize("family", ["siglip2", "dinov2"])
def test_towers_of_transformers_are_compiled_too(family: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    families.saved(family, tmp_path / family)
    more = {}
    if family == "dinov2":
        families.sentence_encoder(tmp_path / "words")
        more = {"text": tmp_path / "words"}
    model = claver.load(tmp_path / family, temporal="kmct", frames=3, **more)
    model.temporal.initialize("random")
    towers = CompiledTowers(model, "aot_eager")
    assert_alike(towers, model, clips(2, frames=3))
    assert not towers.given_up


def test_in_place_for_training_gradients_are_the_same() -> None:
    gradients = []
    for compiled in (False, True):
        model = tiny_model("kmct", layers=1)
        if compiled:
            compile_towers(model, "aot_eager")
        model.encode_video(clips(2)).square().sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-5, msg=name)
