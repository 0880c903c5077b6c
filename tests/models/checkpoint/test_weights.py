"""What lies on disk: hostile or damaged weights and configs are refused before they cost anything."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.models.random_clip import write_json
from tests.models.test_load import openai_names
from tests.tiny import tiny_config, tiny_model

import claver
from claver.errors import CheckpointError
from claver.models import ClaverConfig


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_model().save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.full((128,), float("nan")), "holds NaN or infinite values"),
        (torch.tensor([float("inf")] + [0.0] * 127), "holds NaN or infinite values"),
        (torch.full((128,), 1e300, dtype=torch.float64), "holds NaN or infinite values"),
        (torch.zeros(128, dtype=torch.int8), "is of type int8"),
        (torch.zeros(128, dtype=torch.complex64), "is of type complex64"),
    ],
)
def test_weights_that_are_no_finite_numbers(folder: Path, value: torch.Tensor, message: str) -> None:
    state = load_file(folder / "model.safetensors")
    state["image.blocks.1.out.bias"] = value
    save_file(state, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=rf"'image\.blocks\.1\.out\.bias' {message}"):
        claver.load(folder)
    state = openai_names(tiny_model("mean")) | {"visual.transformer.resblocks.1.attn.out_proj.bias": value}
    torch.save(state, folder / "x.pth")
    with pytest.raises(CheckpointError, match=rf"x\.pth: weight 'visual\..*bias' {message}"):
        claver.load(folder / "x.pth")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_usual_precision(folder: Path, dtype: torch.dtype) -> None:
    expected = tiny_model().to(dtype).float()
    save_file({key: value.to(dtype) for key, value in tiny_model().state_dict().items()}, folder / "model.safetensors")
    loaded = claver.load(folder)
    assert all(torch.equal(value, expected.state_dict()[key]) for key, value in loaded.state_dict().items())
    assert loaded.dtype == torch.float32


def test_the_scale_is_clamped_as_it_is_loaded(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    state["logit_scale"] = torch.tensor(4.6055)
    save_file(state, folder / "model.safetensors")
    loaded = claver.load(folder)
    assert loaded.logit_scale.item() == pytest.approx(4.6051702, abs=1e-6)
    assert loaded.scale.item() == pytest.approx(100, abs=1e-3)


def test_a_tensor_larger_than_its_storage_is_refused(tmp_path: Path) -> None:
    """An expanded view costs nothing in a pickle, and any memory when it is copied."""
    state = openai_names(tiny_model("mean"))
    state["visual.proj"] = torch.zeros(1).expand(10**7, 10**5)
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"'visual\.proj' is no plain tensor"):
        claver.load(tmp_path / "x.pth")


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    torch.save(openai_names(tiny_model("mean")), tmp_path / "x.pth")
    with (
        zipfile.ZipFile(tmp_path / "x.pth") as plain,
        zipfile.ZipFile(tmp_path / "y.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, bytes(10 * len(plain.read(name))))
    with pytest.raises(CheckpointError, match="PyTorch's own checkpoints are not compressed"):
        claver.load(tmp_path / "y.pth")


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        (None, {"norm_eps": -1.0}, "norm_eps must be above 0"),
        (None, {"norm_eps": float("nan")}, "NaN is not finite"),
        (None, {"norm_eps": 0}, "norm_eps must be above 0"),
        (None, {"norm_eps": "x"}, "norm_eps must be above 0"),
        (None, {"embedding": 10**9}, "embedding is 1000000000; no model has more"),
        ("preprocess", {"mean": [0.5, float("nan"), 0.5]}, "NaN is not finite"),
        ("preprocess", {"std": [0.5, 0, 0.5]}, "std must be three finite numbers, each above 0"),
        ("preprocess", {"std": ["a", "b", "c"]}, "std must be three finite numbers"),
        ("preprocess", {"size": 1.5}, "whole numbers"),
        ("preprocess", {"short_side": 10**9}, "short_side is 1000000000 pixels"),
        ("preprocess", {"resize": "longest"}, "resize must be"),
        ("image", {"layers": 10**6}, "layers is 1000000; no model has more than 1024"),
        ("image", {"width": 2**40, "heads": 1}, "width is 1099511627776; no model has more"),
        ("image", {"layers": True}, "layers must be a whole number"),
        ("image", {"mlp": 0}, "mlp must be a whole number"),
        ("text", {"eot": 100}, "eot, 100, is not in a vocabulary of 100"),
        ("text", {"context": 10**12}, "no model has more"),
        ("temporal", {"frames": 10**9}, "no model has more"),
    ],
)
def test_absurd_constants_are_named(folder: Path, section: str | None, change: dict[str, Any], message: str) -> None:
    values = json.loads((folder / "config.json").read_text())
    (values if section is None else values[section]).update(change)
    write_json(folder / "config.json", values)
    with pytest.raises(CheckpointError, match=f"config.json: .*{message}"):
        claver.load(folder)


ABSURD = [
    ("text", {"layers": 200}),
    ("image", {"width": 2**18, "heads": 2}),
    ("text", {"vocabulary": 2**24}),
    ("temporal", {"layers": 200, "frames": 65_536}),
    ("image", {"mlp": 2**18}),
]
LOAD_ALL = """
import resource, sys, claver, claver.models.load
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
start = peak()
for folder in sys.argv[1:]:
    try: claver.load(folder)
    except claver.CheckpointError as error: print(error)
print(peak() - start)
"""


def test_sizes_are_compared_with_the_weights_before_anything_is_allocated(tmp_path: Path) -> None:
    folders = []
    for number, (section, change) in enumerate(ABSURD):
        folders.append(tmp_path / str(number))
        tiny_model().save_pretrained(folders[-1])
        values = json.loads((folders[-1] / "config.json").read_text())
        values[section] |= change
        write_json(folders[-1] / "config.json", values)
    command = [sys.executable, "-c", LOAD_ALL, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    *told, mebibytes = done.stdout.splitlines()
    assert [line.split()[0].rstrip(":") for line in told] == [str(folder) for folder in folders]
    assert all("has shape" in line or "lacks" in line for line in told)
    assert int(mebibytes) < 100, "a model of any of these sizes has thousands"


def test_a_new_tower_is_no_deeper_than_the_models_own(tmp_path: Path) -> None:
    tiny_model("mean").save_pretrained(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    values["temporal"] |= {"layers": 1000}
    write_json(tmp_path / "config.json", values)
    with pytest.raises(CheckpointError, match="new temporal tower of 1000 layers"):
        claver.load(tmp_path, temporal="kmct")


def test_deep_and_huge_json_is_one_sentence(folder: Path) -> None:
    (folder / "config.json").write_text('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}")
    with pytest.raises(CheckpointError, match=r"config\.json: JSON that is nested too deeply"):
        claver.load(folder)
    with (folder / "config.json").open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(CheckpointError, match=r"config\.json has more than 16,777,216 bytes"):
        claver.load(folder)
    (folder / "config.json").write_bytes(b"\xff{}")
    with pytest.raises(CheckpointError, match=r"config\.json is not UTF-8"):
        claver.load(folder)


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors", "model"])
def test_pipes_and_devices_are_not_read(tmp_path: Path, name: str) -> None:
    """None of these blocks, which is what reading a pipe without a writer does."""
    os.mkfifo(tmp_path / name)
    with pytest.raises(CheckpointError, match="is no regular file or folder"):
        claver.load(tmp_path / name)
    with pytest.raises(CheckpointError, match="is no regular file or folder"):
        claver.load("/dev/zero")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "preprocessor_config.json"])
def test_a_pipe_in_a_folder_is_no_file(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    if name in ("tokenizer.json", "preprocessor_config.json"):
        assert claver.load(folder).tokenizer is None
    else:
        with pytest.raises(CheckpointError, match=r"is no model folder|has no weights"):
            claver.load(folder)


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "sub/model.safetensors"])
def test_an_index_names_files_of_its_own_folder(tmp_path: Path, name: str) -> None:
    write_json(tmp_path / "config.json", {"model_type": "clip"})
    write_json(tmp_path / "model.safetensors.index.json", {"weight_map": {"logit_scale": name}})
    with pytest.raises(CheckpointError, match="which is not in its own folder"):
        claver.load(tmp_path)


def test_a_loaded_model_does_not_follow_its_file(folder: Path) -> None:
    loaded = claver.load(folder)
    before = loaded.text.projection.detach().clone()
    with (folder / "model.safetensors").open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(4096)
        file.write(b"\x7f" * (size - 4096))
    assert torch.equal(loaded.text.projection, before)


def test_a_plain_config_is_written_as_before() -> None:
    values = tiny_config().to_dict()
    assert "mlp" not in values["image"] | values["text"]
    assert "resize" not in values["preprocess"]
    assert ClaverConfig.from_dict(json.loads(json.dumps(values))) == tiny_config()
