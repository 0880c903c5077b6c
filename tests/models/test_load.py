"""Checkpoints of every origin, and what is refused."""

import io
import json
import os
import pickle
import pickletools
import resource
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import claver
from claver.errors import CheckpointError
from claver.models import Claver
from claver.models.checkpoint import unpickle as unpickling
from claver.models.checkpoint.unpickle import read_pickled_state
from claver.models.config import ClaverConfig
from tests.tiny import random_texts, tiny_model


class Config:
    """Stands for the training config that a released checkpoint pickles along; unpickling it leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def openai_names(model: Claver) -> dict[str, torch.Tensor]:
    """Our parameters under OpenAI's names (written out here a second time, as a check on the table in names.py)."""
    parts = {"qkv": "attn.in_proj_", "out": "attn.out_proj.", "norm1": "ln_1.", "norm2": "ln_2.", "up": "mlp.c_fc."}
    parts["down"] = "mlp.c_proj."
    towers = {"image": "visual.transformer", "text": "transformer"}
    renamed = {}
    for key, value in model.state_dict().items():
        tower, *rest = key.split(".")
        if rest and rest[0] == "blocks":
            key = f"{towers[tower]}.resblocks.{rest[1]}.{parts[rest[2]]}{rest[3]}"
        renamed[key] = value
    plain = {"image.patch.weight": "visual.conv1.weight", "image.class_token": "visual.class_embedding"}
    plain |= {"image.position": "visual.positional_embedding", "readout.projection": "visual.proj"}
    plain |= {f"image.norm_pre.{x}": f"visual.ln_pre.{x}" for x in ("weight", "bias")}
    plain |= {f"readout.norm.{x}": f"visual.ln_post.{x}" for x in ("weight", "bias")}
    plain |= {f"text.norm.{x}": f"ln_final.{x}" for x in ("weight", "bias")}
    plain |= {"text.embedding.weight": "token_embedding.weight", "text.position": "positional_embedding"}
    plain |= {"text.projection": "text_projection"}
    return {plain.get(key, key): value for key, value in renamed.items()}


def same_weights(first: Claver, second: Claver) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("kind", ["kmct", "mean"])
def test_our_folder_round_trip(tmp_path: Path, kind: Any) -> None:
    model = tiny_model(kind)
    model.save_pretrained(tmp_path / "model")
    again = Claver.from_pretrained(tmp_path / "model")
    assert same_weights(model, again)
    assert again.config == model.config
    assert not again.training
    assert sorted(file.name for file in (tmp_path / "model").iterdir()) == ["config.json", "model.safetensors"]
    assert same_weights(claver.load(tmp_path / "model" / "model.safetensors"), model)


def test_loading_under_other_settings(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = tiny_model("kmt")
    model.save_pretrained(tmp_path)
    other = claver.load(tmp_path, temporal="kmct", frames=8, aggregate="released", dtype=torch.bfloat16)
    assert "temporal weights trained as kmt now run as kmct" in caplog.text
    assert other.config.temporal.kind == "kmct"
    assert other.temporal.embedding.shape == (8, 128)
    assert other.config.aggregate == "released"
    assert other.dtype == torch.bfloat16
    assert not list(claver.load(tmp_path, temporal="mean").temporal.parameters())


def test_an_interrupted_save_leaves_the_old_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, newer = tiny_model(seed=0), tiny_model(seed=1)
    model.save_pretrained(tmp_path)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("claver.models.checkpoint.folder.save_file", full)
    with pytest.raises(OSError, match="No space"):
        newer.save_pretrained(tmp_path)
    assert same_weights(claver.load(tmp_path), model)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_openai_layout_needs_a_published_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real TorchScript archive of OpenAI's layout, in half precision as theirs."""
    model = tiny_model("mean")

    class Bag(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    bag = Bag()
    for key, value in openai_names(model).items():
        *path, name = key.split(".")
        place: nn.Module = bag
        for part in path:
            if not hasattr(place, part):
                place.add_module(part, nn.Module())
            place = getattr(place, part)
        place.register_buffer(name, value.half())
    path = tmp_path / "ViT-tiny.pt"
    torch.jit.save(torch.jit.script(bag), path)
    with pytest.raises(CheckpointError, match=r"SHA-256 .* is none that OpenAI published"):
        claver.load(path)
    digest = unpickling.hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(unpickling.OPENAI_SHA256, digest, "ViT-tiny.pt")
    loaded = claver.load(path, temporal="mean")
    assert loaded.config.preprocess.short_side == round(32 * 256 / 224)
    assert same_weights(loaded, model.half().float())


@pytest.mark.parametrize("zipped", [True, False], ids=["as today", "as before PyTorch 1.6"])
def test_a_released_checkpoint_s_config_is_never_executed(tmp_path: Path, zipped: bool) -> None:
    model, trace = tiny_model("mean"), tmp_path / "executed"
    saved = {"model": openai_names(model), "config": Config(trace), "optimizer": {"state": {}}}
    torch.save(saved, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    loaded = claver.load(tmp_path / "x.pth", temporal="mean")
    assert same_weights(loaded, model)
    assert not trace.exists()
    with pytest.raises(pickle.UnpicklingError):  # torch's own careful loader refuses such a file whole
        torch.load(tmp_path / "x.pth", weights_only=True)


def test_unknown_classes_of_any_shape_are_inert(tmp_path: Path) -> None:
    """Objects, subclasses of dict and list, sets, enums, numpy scalars: all ignored, the tensors kept."""
    import argparse
    import collections
    import enum

    import numpy as np

    Colour = enum.Enum("Colour", ["RED"])
    globals()["Colour"] = Colour
    Colour.__module__ = __name__
    Colour.__qualname__ = "Colour"
    junk = [argparse.Namespace(a=1), collections.Counter("aab"), {Path("x")}, np.float64(3), Colour.RED]
    junk += [collections.defaultdict(list, a=[1]), np.arange(3), collections.deque([1])]
    torch.save(
        {"state_dict": {"a": torch.arange(3), "b": nn.Parameter(torch.ones(2))}, "junk": junk}, tmp_path / "x.pth"
    )
    state = read_pickled_state(tmp_path / "x.pth")
    assert torch.equal(state["a"], torch.arange(3))
    assert torch.equal(state["b"], torch.ones(2))


def test_a_file_of_before_pytorch_1_6_that_is_cut_short_or_claims_more_than_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save({"a": torch.ones(1_000_000)}, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(CheckpointError, match="cannot be read as a PyTorch checkpoint"):
        read_pickled_state(path)
    stream = io.BytesIO(whole)
    for _ in range(4):  # magic number, version, system, tensors; behind them the keys of the storages, and these
        list(pickletools.genops(stream))
    path.write_bytes(whole[: stream.tell()] + pickle.dumps([]))
    with pytest.raises(CheckpointError, match=r"larger than the file|does not hold the values of"):
        read_pickled_state(path)


def folder_with(config: str, tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(config)
    return tmp_path


def test_a_training_runs_folder_gives_its_best_model_else_its_last(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    with pytest.raises(
        CheckpointError, match=r"neither config.json nor, as a training run, `best` or `last`, but logs$"
    ):
        claver.load(tmp_path)
    for number, place in enumerate(["last", "last/ema", "best"]):
        tiny_model(seed=number).save_pretrained(tmp_path / place)
        assert same_weights(claver.load(tmp_path), tiny_model(seed=number)), place
    assert same_weights(claver.load(tmp_path / "last"), tiny_model(seed=0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "nothing.pt", "there is no file or folder"),
        (lambda p: "just-a-name", "a Hugging Face id looks like name/model"),
        (lambda p: p, "has neither config.json"),
        (lambda p: folder_with("{", p), "is not valid JSON"),
        (lambda p: folder_with('{"model_type": "t5"}', p), "what can be loaded is claver, clip"),
        (lambda p: folder_with('{"model_type": "clip"}', p), "has no weights"),
    ],
)
def test_what_is_no_model_is_refused_in_one_sentence(tmp_path: Path, make: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        claver.load(make(tmp_path))


def test_damaged_and_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match="is not a PyTorch checkpoint"):
        claver.load(path)
    torch.save({"model": openai_names(tiny_model("mean"))}, path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(CheckpointError, match=r"x\.pth"):
        claver.load(path)
    torch.save([1, 2], path)
    with pytest.raises(CheckpointError, match="no tensors by name"):
        claver.load(path)
    torch.save({"layer.weight": torch.ones(2)}, path)
    with pytest.raises(CheckpointError, match=r"'layer\.weight' belongs to no CLIP"):
        claver.load(path)
    state = openai_names(tiny_model("mean"))
    del state["visual.transformer.resblocks.1.mlp.c_fc.bias"]
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=r"lacks 1 parameters, first 'image.blocks.1.up.bias'"):
        claver.load(path)
    (tmp_path / "x.safetensors").write_bytes(b"12345678")
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        claver.load(tmp_path / "x.safetensors")


def test_a_config_that_does_not_fit_its_weights(tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    values["embedding"] = 31
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match=r"has shape .* but this model needs"):
        claver.load(tmp_path)
    assert isinstance(ClaverConfig.from_dict(values), ClaverConfig)


def test_an_unreachable_hub_id_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"nobody/nothing is neither a local path nor .* could not be downloaded"):
        claver.load("nobody/nothing")


def test_a_hub_that_cannot_be_reached_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    def refused(*_: object, **__: object) -> str:
        raise LocalEntryNotFoundError("Got: ConnectError: [Errno -2] Name or service not known\nAn error happened")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refused)
    told = (
        r"downloaded: the Hugging Face Hub cannot be reached \(ConnectError: \[Errno -2\] Name or service not known\)$"
    )
    with pytest.raises(CheckpointError, match=told):
        claver.load("nobody/nothing")


def test_tokens_of_a_loaded_model_still_work(tmp_path: Path) -> None:
    model = tiny_model()
    model.save_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(claver.load(tmp_path).encode_text(random_texts(3)), model.encode_text(random_texts(3)))


def test_a_named_file_is_the_one_that_is_read(tmp_path: Path) -> None:
    """Beside a config may lie several weights: the folder's own, and others."""
    first, second = tiny_model(seed=0), tiny_model(seed=1)
    first.save_pretrained(tmp_path)
    second.save_pretrained(tmp_path / "other")
    (tmp_path / "other" / "model.safetensors").rename(tmp_path / "best.safetensors")
    assert same_weights(claver.load(tmp_path / "best.safetensors"), second)
    assert same_weights(claver.load(tmp_path), first)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("aggregate", "mine", "aggregate must be one of paper, released"),
        ("activation", "relu", "activation must be one of quick_gelu, gelu"),
        ("image", 3, "section 'image' must be a mapping"),
        ("embedding", 0, "embedding must be a whole number"),
    ],
)
def test_wrong_values_in_a_config_are_named(tmp_path: Path, key: str, value: Any, message: str) -> None:
    tiny_model().save_pretrained(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text()) | {key: value}
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match=f"config.json: .*{message}"):
        claver.load(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("width", "x", "width must be a whole number"),
        ("heads", 7, "cannot be cut into 7 heads"),
        ("patch", 5, "multiple"),
    ],
)
def test_wrong_sizes_in_a_config_are_named(tmp_path: Path, key: str, value: Any, message: str) -> None:
    tiny_model().save_pretrained(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    values["image"][key] = value
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match=message):
        claver.load(tmp_path)


def test_half_precision_keeps_the_scale_whole(tmp_path: Path) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.logit_scale.fill_(4.6051702)
    model.save_pretrained(tmp_path)
    assert claver.load(tmp_path, dtype=torch.bfloat16).scale.item() == pytest.approx(100, abs=0.01)


def test_another_number_of_frames_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tiny_model().save_pretrained(tmp_path)
    claver.load(tmp_path, frames=6)
    assert "temporal embedding interpolated from 4 to 6 frames" in caplog.text
    claver.load(tmp_path, temporal="mean")
    assert "are left out: frames are averaged" in caplog.text
    with pytest.raises(CheckpointError, match="frames must be at least 1"):
        claver.load(tmp_path, frames=0)


def test_a_damaged_tokenizer_is_named(tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path)
    for contents in (b"{", b"\xff\xfe"):
        (tmp_path / "tokenizer.json").write_bytes(contents)
        with pytest.raises(CheckpointError, match=r"the tokenizer at .* cannot be read"):
            claver.load(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    assert claver.load(tmp_path).tokenizer is None, "CLIP's vocabulary is not this model's"


def test_a_full_disk_is_an_os_error_and_leaves_what_was_there(tmp_path: Path) -> None:
    model = tiny_model()
    model.save_pretrained(tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="cannot be written"):
            model.save_pretrained(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)
    assert (tmp_path / "model.safetensors").read_bytes() == before
    assert [path.name for path in tmp_path.glob(".*")] == []


@pytest.mark.parametrize("kind", ["kmt", "kmct", "joint", "class", "pipeline"])
def test_what_is_said_of_a_new_temporal_tower_is_true(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tiny_model("mean").save_pretrained(tmp_path)
    video = torch.randn(2, 4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    plain, made = claver.load(tmp_path, temporal="mean"), claver.load(tmp_path, temporal=kind)  # type: ignore[arg-type]
    with torch.no_grad():
        close = torch.cosine_similarity(plain.encode_video(video).mean(1), made.encode_video(video).mean(1))
    [said] = [record.getMessage() for record in caplog.records if "temporal tower is new" in record.getMessage()]
    if kind == "pipeline":
        assert (close < 0.95).all()
        assert "answers are not those of CLIP" in said
    else:
        assert (close > 1 - 1e-6).all()
        assert "answers are those of the image-text model by the mean of raw frame embeddings" in said
