"""Image towers that a user registers, in this process or by a plugin."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

import claver
from claver import plugins
from claver.cli.main import app
from claver.errors import ClaverError
from claver.models import towers
from claver.models.blend import blend
from claver.models.config import ClaverConfig
from claver.video.transforms import Preprocess
from tests.models import random_family as families
from tests.videos import write_video

pytest.importorskip("transformers")
PIXELS = Preprocess(size=32, short_side=32, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), interpolation="bilinear")


class Net(nn.Module):
    """Patches and their mean, as a user would write it."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 16, 16)

    def forward(self, frames: Tensor) -> Tensor:
        patches = self.stem(frames).flatten(2).transpose(1, 2)
        return torch.cat([patches.mean(1, keepdim=True), patches], dim=1)


class WithReadout(claver.VisionTower):
    """A tower that says itself how it is read out: by 5 fixed directions of the joint space."""

    explainable = False

    def __init__(self, config: ClaverConfig) -> None:
        super().__init__()
        self.width = config.embedding
        self.net = Net()

    def forward(self, frames_FCHW: Tensor, *, summary_only: bool = False, run: Any = None) -> Tensor:
        tokens = self.net(frames_FCHW)
        return tokens[:, :1] if summary_only else tokens

    def grid(self, height: int, width: int) -> tuple[int, int]:
        return height // 16, width // 16

    def make_readout(self) -> nn.Module:
        return nn.Linear(64, self.width)


@pytest.fixture
def words(tmp_path: Path) -> Path:
    families.sentence_encoder(tmp_path / "words")
    return tmp_path / "words"


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Towers and plugins of one test are none of the next."""
    monkeypatch.setattr(towers, "_registered", {})
    monkeypatch.delenv(plugins.ENVIRONMENT, raising=False)


def known_weights() -> dict[str, Tensor]:
    torch.manual_seed(11)
    return Net().state_dict()


def test_a_module_of_a_few_lines_is_an_image_tower(words: Path, tmp_path: Path) -> None:
    claver.register_tower(
        "my-net", lambda config: Net(), width=64, patch=16, size=32, preprocess=PIXELS, weights=known_weights
    )
    model = claver.load("my-net", text=words, temporal="kmct", frames=3)
    torch.manual_seed(0)
    video = torch.randn(2, 3, 3, 32, 32)
    net = Net()
    net.load_state_dict(known_weights())
    tokens = net(video.flatten(0, 1)).unflatten(0, (2, 3))
    assert torch.equal(model.image_tokens(video), tokens)
    torch.testing.assert_close(model.encode_video(video), model.readout(tokens[:, :, 0]))
    assert model.config.preprocess == PIXELS
    assert (model.config.image.heads, model.config.temporal.layers) == (1, 4)
    model.save_pretrained(tmp_path / "saved")
    again = claver.load(tmp_path / "saved")
    assert torch.equal(again.encode_video(video), model.encode_video(video))
    towers._registered.clear()
    with pytest.raises(ClaverError, match="'my-net', which is not registered"):
        claver.load(tmp_path / "saved")


def test_without_weights_what_was_made_has_them(words: Path) -> None:
    def pretrained(config: ClaverConfig) -> Net:
        net = Net()
        with torch.no_grad():
            net.stem.weight.fill_(0.25)
        return net

    claver.register_tower("filled", pretrained, width=64, patch=16, size=32)
    model = claver.load("filled", text=words, temporal="mean", frames=1)
    assert bool((model.state_dict()["image.body.stem.weight"] == 0.25).all())


def test_a_tower_may_bring_a_readout_that_is_trained(words: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(4)
    readout = nn.Linear(64, 48)

    def weights() -> dict[str, Tensor]:
        inner = {f"net.{key}": value for key, value in known_weights().items()}
        return inner | {f"readout.{key}": value.detach() for key, value in readout.state_dict().items()}

    claver.register_tower("whole", WithReadout, width=64, patch=16, size=32, weights=weights)
    model = claver.load("whole", text=words, temporal="mean", frames=2)
    assert "answers mean nothing" not in caplog.text
    video = torch.randn(1, 2, 3, 32, 32)
    net = Net()
    net.load_state_dict(known_weights())
    torch.testing.assert_close(model.encode_video(video)[0], readout(net(video[0])[:, 0]))


class Normed(Net):
    """With a batch norm, which counts the batches that it has seen, and a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.register_buffer("mask", torch.tensor([0.0, float("-inf")]))

    def forward(self, frames: Tensor) -> Tensor:
        return super().forward(self.norm(frames))


def test_towers_with_counts_and_masks_are_blended(words: Path) -> None:
    claver.register_tower("normed", lambda config: Normed(), width=64, patch=16, size=32)
    start, trained = (claver.load("normed", text=words, temporal="mean", frames=1) for _ in range(2))
    counted, mean = (f"image.body.norm.{name}" for name in ("num_batches_tracked", "running_mean"))
    trained.train().encode_video(torch.randn(5, 1, 3, 32, 32) + 1)
    assert [model.state_dict()[counted].item() for model in (start, trained)] == [0, 1]
    for weight, batches in ((0.0, 0), (0.25, 0), (0.5, 1), (0.75, 1), (1.0, 1)):
        mixed = blend(start.state_dict(), trained, weight).state_dict()
        assert mixed[counted].item() == batches
        torch.testing.assert_close(mixed[mean], weight * trained.state_dict()[mean])
        assert mixed["image.body.mask"].tolist() == [0, float("-inf")]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"width": 60}, "no multiple of 64; say how many heads"),
        ({"patch": 7}, "not a multiple of the patch"),
        ({"preprocess": Preprocess()}, "takes frames of 32 pixels, but preprocess gives 224"),
        ({"name": "clip"}, "cannot be called 'clip'"),
        ({"name": ""}, "cannot be called ''"),
    ],
)
def test_sizes_that_make_no_sense_are_refused_at_once(settings: dict[str, Any], told: str) -> None:
    given: dict[str, Any] = {"name": "odd", "make": lambda config: Net(), "width": 64, "patch": 16, "size": 32}
    with pytest.raises(ClaverError, match=told):
        claver.register_tower(**(given | settings))


def test_tokens_of_another_shape_than_registered_are_refused(words: Path) -> None:
    claver.register_tower("wrong", lambda config: Net(), width=64, patch=8, size=32)
    model = claver.load("wrong", text=words, temporal="mean", frames=1)
    with pytest.raises(ClaverError, match=r"gives tokens \(1, 5, 64\); it was registered with \(1, 17, 64\)"):
        model.encode_video(torch.zeros(1, 1, 3, 32, 32))


def test_alone_it_has_no_texts(words: Path) -> None:
    claver.register_tower("my-net", lambda config: Net(), width=64, patch=16, size=32)
    with pytest.raises(ClaverError, match="my-net is an image tower without texts"):
        claver.load("my-net")


PLUGIN = """
import torch
from torch import nn
import claver

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 16, 16)

    def forward(self, frames):
        patches = self.stem(frames).flatten(2).transpose(1, 2)
        return torch.cat([patches.mean(1, keepdim=True), patches], dim=1)

claver.register_tower("plugged", lambda config: Net(), width=64, patch=16, size=32)
"""


def test_a_plugin_registers_towers_for_every_command(words: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "my_towers.py"
    plugin.write_text(PLUGIN)
    joined, clip = tmp_path / "joined", tmp_path / "clip.mp4"
    write_video(clip, seed=1)
    run = CliRunner()
    made = run.invoke(
        app,
        ["--plugin", str(plugin), "convert", "plugged", "--text", str(words), "--output", str(joined)],
        catch_exceptions=False,
    )
    assert made.exit_code == 0, made.output
    towers._registered.clear()
    os.environ.pop(plugins.ENVIRONMENT)
    with pytest.raises(ClaverError, match="'plugged', which is not registered"):
        run.invoke(app, ["recognize", str(clip), "--model", str(joined), "--actions", "a,b"], catch_exceptions=False)
    for module in [name for name in sys.modules if name.startswith("claver_plugin_")]:
        del sys.modules[module]
    named = ["--plugin", str(plugin), "recognize", str(clip), "--model", str(joined), "--actions", "door,chess"]
    answered = run.invoke(app, named, catch_exceptions=False)
    assert answered.exit_code == 0
    assert "chess" in answered.output


@pytest.mark.parametrize(
    ("content", "told"),
    [("1 / 0", "fails: ZeroDivisionError"), (None, "there is no plugin"), ("x = (", "fails: Syntax")],
)
def test_a_plugin_that_fails_is_named(content: str | None, told: str, tmp_path: Path) -> None:
    plugin = tmp_path / "bad.py"
    if content is not None:
        plugin.write_text(content)
    with pytest.raises(ClaverError, match=told):
        run_plugin(plugin)


def run_plugin(plugin: Path) -> None:
    plugins.name_plugins([plugin])
    plugins.load_plugins()


def test_recognising_with_numbers_of_a_user_s_tower(words: Path) -> None:
    claver.register_tower("my-net", lambda config: Net(), width=64, patch=16, size=32, weights=known_weights)
    model = claver.load("my-net", text=words, temporal="kmct", frames=3)
    recognizer = claver.Recognizer(model, ["door", "chess"], unknown=False, cache=False)
    frames = np.random.default_rng(0).integers(0, 255, (5, 40, 50, 3), dtype=np.uint8)
    found = recognizer(frames)
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-6)


def test_tables_of_whole_numbers_stay_what_they_are(words: Path, tmp_path: Path) -> None:
    class Indexed(Net):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("order", torch.tensor([0, 4, 3, 2, 1]))

        def forward(self, frames: Tensor) -> Tensor:
            return super().forward(frames)[:, self.order]

    claver.register_tower("indexed", lambda config: Indexed(), width=64, patch=16, size=32)
    model = claver.load("indexed", text=words, temporal="mean", frames=1)
    model.save_pretrained(tmp_path / "saved")
    again = claver.load(tmp_path / "saved")
    video = torch.randn(1, 1, 3, 32, 32)
    assert torch.equal(again.image_tokens(video), model.image_tokens(video))
    assert again.state_dict()["image.body.order"].dtype == torch.int64


def test_another_version_of_a_tower_is_not_taken_for_the_one_before(words: Path, tmp_path: Path) -> None:
    claver.register_tower("my-net", lambda config: Net(), width=64, patch=16, size=32)
    claver.load("my-net", text=words, temporal="mean", frames=1).save_pretrained(tmp_path / "saved")
    claver.register_tower("my-net", lambda config: Net(), width=64, patch=16, size=32, version=2)
    with pytest.raises(ClaverError, match="version 1 of image tower 'my-net'; version 2 is registered"):
        claver.load(tmp_path / "saved")


def test_a_tower_without_parameters_is_run_in_the_type_of_its_frames(words: Path) -> None:
    class Pixels(nn.Module):
        def forward(self, frames: Tensor) -> Tensor:
            patches = frames.unfold(2, 16, 16).unfold(3, 16, 16).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
            return torch.cat([patches.mean(1, keepdim=True), patches], dim=1)

    claver.register_tower("pixels", lambda config: Pixels(), width=768, patch=16, size=32)
    for dtype in (torch.float32, torch.bfloat16):
        model = claver.load("pixels", text=words, temporal="kmct", frames=2, dtype=dtype)
        assert model.dtype == dtype
        assert model.encode_video(torch.ones(1, 2, 3, 32, 32)).dtype == dtype


def test_tables_of_a_user_s_tower_are_of_the_type_that_it_computes_in(words: Path) -> None:
    class Placed(Net):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("places", torch.randn(5, 64), persistent=False)
            self.last = nn.Linear(64, 64)

        def forward(self, frames: Tensor) -> Tensor:
            return self.last(super().forward(frames) + self.places)

    claver.register_tower("placed", lambda config: Placed(), width=64, patch=16, size=32)
    model = claver.load("placed", text=words, temporal="kmct", frames=2, dtype=torch.bfloat16)
    assert model.encode_video(torch.ones(1, 2, 3, 32, 32)).dtype == torch.bfloat16
