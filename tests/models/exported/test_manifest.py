"""What an exported folder says of itself, and what is refused of a damaged one."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.tiny import tiny_config

from claver.errors import CheckpointError, ClaverError
from claver.models.exported.bank import ExportedBank
from claver.models.exported.manifest import MANIFEST, FileRecord, Manifest, is_exported


def manifest(**changes: Any) -> Manifest:
    files = {name: FileRecord(1, "0" * 64) for name in ("video.onnx", "actions.safetensors")}
    settings: dict[str, Any] = {"form": "onnx", "precision": "fp32", "takes_bytes": True, "fixed_frames": False}
    settings |= {"logit_scale": 4.6, "logit_bias": None, "text_rule": "end", "text_pad": 0, "views": "1x1"}
    settings |= {"graphs": {"video": {"file": "video.onnx"}}, "files": files}
    return Manifest(config=tiny_config(), **(settings | changes))


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert not is_exported(tmp_path)
    manifest().save(tmp_path)
    assert is_exported(str(tmp_path))
    assert Manifest.load(tmp_path) == manifest()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": "claver export 9"}, "of another version"),
        ({"precision": "fp8"}, "'fp8' is none of fp32, fp16, int8"),
        ({"files": {"../x": {"bytes": 1, "sha256": ""}}}, "'../x' is no name of a file"),
        ({"files": {}}, "nothing is said of the file 'video.onnx'"),
        ({"files": 3}, "not what `claver export` writes"),
        ({"logit_scale": "x"}, "logit_scale is 'x', and no float"),
        ({"takes_bytes": "no"}, "takes_bytes is 'no', and no bool"),
        ({"text_pad": "a"}, "text_pad is 'a', and no int"),
        ({"views": 5}, "views is 5, and no str"),
        ({"logit_bias": "b"}, "logit_bias is 'b', and no float"),
        ({"graphs": {"step": {"file": "video.onnx"}}}, "how many frames a clip has"),
        ({"more": 1}, "not what `claver export` writes"),
        ({"config": {"image": {"width": 0}}}, "width must be a whole number"),
    ],
)
def test_a_damaged_one_is_refused(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    manifest().save(tmp_path)
    values = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps(values | change))
    with pytest.raises(CheckpointError, match=told) as caught:
        Manifest.load(tmp_path)
    assert str(tmp_path / MANIFEST) in str(caught.value)


def test_no_file_of_another_folder_is_named() -> None:
    for name in ("../x", "/etc/passwd", "a/b", ".."):
        with pytest.raises(ClaverError, match="no name of a file of its own folder"):
            manifest(files={name: FileRecord(1, "")})


def test_files_are_compared_by_contents(tmp_path: Path) -> None:
    for name in ("video.onnx", "actions.safetensors"):
        (tmp_path / name).write_bytes(b"x")
    own = {name: FileRecord.of(tmp_path / name) for name in ("video.onnx", "actions.safetensors")}
    made = replace(manifest(), files=own)
    made.verify(tmp_path)
    (tmp_path / "video.onnx").write_bytes(b"y")
    with pytest.raises(CheckpointError, match=r"video\.onnx is not what was exported"):
        made.verify(tmp_path)


def test_a_bank_keeps_names_texts_and_vectors(tmp_path: Path) -> None:
    vectors = torch.nn.functional.normalize(torch.randn(5, 4), dim=-1)
    bank = ExportedBank(("wäscht", "läuft"), (("a", "b"), ("c",)), vectors[:3], ("d", "e"), vectors[3:])
    bank.save(tmp_path / "bank.safetensors")
    found = ExportedBank.load(tmp_path / "bank.safetensors", 4)
    assert (found.names, found.texts, found.background_texts) == (bank.names, bank.texts, bank.background_texts)
    torch.testing.assert_close(found.prototypes[0], vectors[:2].mean(0))
    torch.testing.assert_close(torch.stack([found.vectors()[word] for word in "abcde"]), vectors)
    with pytest.raises(CheckpointError, match="is no bank of texts"):
        ExportedBank.load(tmp_path / "bank.safetensors", 8)
    (tmp_path / "bank.safetensors").write_bytes(b"no bank")
    with pytest.raises(CheckpointError, match="is no bank of texts"):
        ExportedBank.load(tmp_path / "bank.safetensors", 4)
