"""Files that somebody else pickled: nothing in them is run, unpacked or made up."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
from pathlib import Path

import pytest
import torch
from torch import Tensor

from claver.errors import CheckpointError
from claver.models.checkpoint.unpickle import is_torchscript, read_pickled_state


class Program(torch.nn.Module):
    """A TorchScript program that tells whether it was run: it says another weight than is stored."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight


def program(path: Path) -> bytes:
    torch.jit.script(Program()).save(str(path))
    return path.read_bytes()


def test_a_program_is_refused_unless_it_is_openai_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "program.pt")
    monkeypatch.setattr(torch.jit, "load", lambda *given, **settings: pytest.fail("it was run"))
    assert is_torchscript(tmp_path / "program.pt")
    with pytest.raises(CheckpointError, match="is a TorchScript program"):
        read_pickled_state(tmp_path / "program.pt")


def test_a_program_behind_a_second_list_of_contents_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's reader takes the list just before the end of the file, PyTorch's the one at the place that is told."""
    whole = program(tmp_path / "program.pt")
    end = whole.rfind(b"PK\x05\x06")
    size, start = struct.unpack("<LL", whole[end + 12 : end + 20])
    listed = whole[start : start + size]
    harmless = listed.replace(b"constants.pkl", b"constants.pkm").replace(b"/code/", b"/c0de/")
    (tmp_path / "two.pt").write_bytes(whole[: start + size] + harmless + whole[end:])
    monkeypatch.setattr(torch.jit, "load", lambda *given, **settings: pytest.fail("it was run"))
    with pytest.raises(CheckpointError, match=r"two lists of what is in it|TorchScript program|damaged archive"):
        read_pickled_state(tmp_path / "two.pt")


def test_a_tar_archive_is_not_unpacked_whatever_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in ("storages", "tensors", "pickle"):
            contents = pickle.dumps(0)
            member = tarfile.TarInfo(name)
            member.size = len(contents)
            archive.addfile(member, io.BytesIO(contents))
    monkeypatch.setattr(tarfile.TarFile, "extract", lambda *given, **settings: pytest.fail("it was unpacked"))
    for ending in (b"", b"PK\x05\x06" + b"\0" * 18):
        (tmp_path / "tar.pt").write_bytes(packed.getvalue() + ending)
        with pytest.raises(CheckpointError, match="is not a PyTorch checkpoint"):
            read_pickled_state(tmp_path / "tar.pt")


def test_values_that_an_old_file_does_not_hold_are_not_made_up(tmp_path: Path) -> None:
    state = {"a.weight": torch.arange(40.0), "b": torch.ones(3)}
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    whole = (tmp_path / "old.pt").read_bytes()
    read = read_pickled_state(tmp_path / "old.pt")
    assert torch.equal(read["a.weight"], state["a.weight"])
    keys = sorted(pickle.loads(whole[whole.rfind(b"\x80\x02]") :]))
    assert len(keys) == 2
    for kept in ([], keys[:1]):
        forged = whole[: whole.rfind(b"\x80\x02]")] + pickle.dumps(kept, protocol=2) + b"\0" * len(whole)
        (tmp_path / "forged.pt").write_bytes(forged)
        with pytest.raises(CheckpointError, match="does not hold the values of"):
            read_pickled_state(tmp_path / "forged.pt")
