"""What a model is: its contents, whatever a file's name, size and time say."""

import os
import shutil
import struct
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from claver.models.fingerprint import add_tensors, weights_identity
from tests.tiny import tiny_model


def same_stamps(source: Path, target: Path) -> None:
    """Give a file the time of another; sizes are equal already."""
    assert source.stat().st_size == target.stat().st_size
    os.utime(target, ns=(source.stat().st_atime_ns, source.stat().st_mtime_ns))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_model(seed=0).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("name", ["", "model.safetensors"])
def test_other_weights_of_equal_size_and_time_are_another_model(folder: Path, tmp_path: Path, name: str) -> None:
    before = weights_identity(folder / name)
    kept = shutil.copy2(folder / "model.safetensors", tmp_path / "kept.safetensors")
    tiny_model(seed=1).save_pretrained(folder)
    same_stamps(Path(kept), folder / "model.safetensors")
    assert weights_identity(folder / name) != before
    shutil.copy(kept, folder / "model.safetensors")
    assert weights_identity(folder / name) == before, "a copy is what it holds, at whatever time it was made"


def test_a_changed_config_is_another_model_and_a_note_beside_it_is_not(folder: Path) -> None:
    before = weights_identity(folder)
    (folder / "README.md").write_text("a note")
    (folder / "optimizer.safetensors").write_bytes(b"of a training run")
    assert weights_identity(folder) == before
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace("quick_gelu", "gelu"))
    assert weights_identity(folder) != before


def test_another_list_of_merges_is_another_tokenizer_and_model(folder: Path) -> None:
    before = weights_identity(folder)
    (folder / "bpe_simple_vocab_16e6.txt.gz").write_bytes(b"merges")
    assert weights_identity(folder) != before


def test_a_training_run_is_what_would_be_loaded_of_it(tmp_path: Path) -> None:
    tiny_model(seed=0).save_pretrained(tmp_path / "last")
    before = weights_identity(tmp_path)
    tiny_model(seed=1).save_pretrained(tmp_path / "best")
    assert weights_identity(tmp_path) != before


def test_what_is_not_there_is_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert weights_identity("openai/clip-vit-base-patch16") == "openai/clip-vit-base-patch16"
    assert weights_identity("") == ""
    os.mkfifo(tmp_path / "pipe.pt")
    assert weights_identity("pipe.pt").startswith("pipe.pt ")


def hashed(tensors: dict[str, torch.Tensor]) -> str:
    digest = sha256()
    add_tensors(digest, tensors)
    return digest.hexdigest()


def test_a_hash_of_tensors_knows_names_types_shapes_and_values_and_nothing_else() -> None:
    values = torch.arange(6, dtype=torch.bfloat16).view(2, 3)
    known = hashed({"a": values})
    assert hashed({"a": values.T.contiguous().T.requires_grad_()}) == known  # columns first in memory, and learning
    others = [{"b": values}, {"a": values.float()}, {"a": values.view(3, 2)}, {"a": values + 1}]
    assert len({known, *map(hashed, others)}) == 5


def test_keys_of_caches_stay_what_they_were() -> None:
    """Of SHA-256 of the text `a torch.float32 (2,)` and two little-endian floats: whatever lies in caches is found."""
    expected = sha256(b"a torch.float32 (2,)" + struct.pack("<2f", 1.5, -2)).hexdigest()
    assert hashed({"a": torch.tensor([1.5, -2])}) == expected
