"""Checkpoints as files: their permissions, and no writing through links that somebody planted."""

import os
import stat
from pathlib import Path

import torch
from tests.training.small import small_model

from claver.training.checkpoint import STATE, State, prepare_folder, save_checkpoint
from claver.training.ema import Ema
from claver.training.inspection import save_batch


def save(folder: Path) -> Path:
    model = small_model()
    return save_checkpoint(folder, model, torch.optim.AdamW(model.parameters()), State(1, {}, [0.5]), Ema(model, 0.9))


def test_every_file_of_a_checkpoint_has_the_permissions_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        last = save(tmp_path / "run")
    finally:
        os.umask(before)
    modes = {path.relative_to(last).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in last.rglob("*")}
    assert {"model.safetensors", "optimizer.safetensors", "ema.safetensors", STATE, "ema"} <= modes.keys()
    assert modes.pop("ema") == stat.S_IMODE(last.stat().st_mode) == 0o750
    assert set(modes.values()) == {0o640}


def test_a_checkpoint_is_not_written_through_a_planted_link(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "last.new").symlink_to(theirs)
    last = save(tmp_path / "run")
    assert not last.is_symlink()
    assert (last / STATE).is_file()
    assert list(theirs.iterdir()) == []


def test_trying_whether_a_folder_can_be_written_empties_no_file_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / ".writable").symlink_to(tmp_path / "theirs")
    prepare_folder(tmp_path)
    assert (tmp_path / "theirs").read_text() == "theirs"


class Clip:
    """A task of one clip whose name is no UTF-8."""

    def inputs(self, rows: object) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
        return {"pixels": torch.zeros(2)}, {"paths": [os.fsdecode(b"caf\xe9.mp4")]}


def test_a_kept_batch_is_written_whole_by_any_name_and_through_no_link(tmp_path: Path) -> None:
    place, theirs = tmp_path / "step-3", tmp_path / "theirs"
    theirs.write_text("theirs")
    place.mkdir()
    for end in ("json", "safetensors"):
        (place / f"rank0.{end}").symlink_to(theirs)
    said = save_batch(tmp_path, Clip(), 3, [torch.arange(1).numpy()], [float("nan")])
    assert said == f"its batch is in {place}"
    assert theirs.read_text() == "theirs"
    assert (place / "rank0.json").read_text(encoding="utf-8").count("caf\\udce9.mp4") == 1
    assert (place / "rank0.safetensors").stat().st_mode & 0o777 == (place / "rank0.json").stat().st_mode & 0o777
