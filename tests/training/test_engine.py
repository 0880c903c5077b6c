import math
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.training.small import clips_problem, clips_recipe, train

from claver import files
from claver.errors import CheckpointError, ClaverError
from claver.models import Claver
from claver.training import Trainer, TrainingError
from claver.training import checkpoint as checkpoints
from claver.training.recipe import make_recipe

ROOT = Path(__file__).parents[2]


def same_weights(one: Claver, other: Claver) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[key], theirs[key]) for key in mine)


def test_a_tiny_motion_problem_is_learned_and_what_is_frozen_stays():
    recipe = clips_recipe(steps=80, evaluate_every=40, label_smoothing=0)
    model, task = clips_problem(recipe)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    trainer = Trainer(recipe, model, task)
    losses = trainer.run()
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    assert list(trainer.figures) == [40, 80]
    assert trainer.figures[80]["top-1"] > 0.8
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]) == key.startswith("image."), key


def test_the_scale_is_brought_back_to_100_after_every_step_and_learns_from_there():
    recipe = clips_recipe(steps=4, warmup=0, freeze=[])
    model, task = clips_problem(recipe)
    with torch.no_grad():
        model.logit_scale.fill_(4.6055)  # as a half-precision checkpoint has it
    seen: list[float] = []
    Trainer(recipe, model, task, after_step=lambda _: seen.append(model.logit_scale.item())).run()
    assert max(seen) <= math.log(100) + 1e-6
    assert len(set(seen)) > 1


def test_mean_pooling_cannot_tell_a_pair_apart_however_it_is_trained():
    temporal = {"kind": "mean", "layers": 1, "frames": 4}
    trainer = train(steps=30, temporal=temporal, evaluate_every=30)
    assert trainer.figures[30]["top-1"] == pytest.approx(0.5, abs=0.05)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    first = train(steps=3)
    assert same_weights(first.model, train(steps=3).model)
    assert not same_weights(first.model, train(steps=3, seed=1).model)


def test_accumulated_parts_give_the_whole_batchs_step():
    # All K texts are used, so that each part draws the same ones; the learning rate shows differences at once.
    whole, parts = (train(steps=1, warmup=0, texts_per_step=15, accumulation=n) for n in (1, 4))
    assert whole.losses == pytest.approx(parts.losses, rel=1e-5)
    torch.testing.assert_close(whole.model.readout.projection, parts.model.readout.projection, rtol=1e-3, atol=1e-5)


def run_process(folder: Path, *, kill_after: int = 0, resume: bool = False) -> subprocess.CompletedProcess[str]:
    arguments = [str(folder), str(kill_after), "resume" if resume else "new"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "tests.training.small", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)


def test_killed_by_sigkill_and_resumed_a_run_ends_with_the_same_weights_bit_for_bit(tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    assert run_process(killed, kill_after=8).returncode == -signal.SIGKILL
    assert run_process(killed, resume=True).stdout.strip() == "[7, 8, 9, 10, 11, 12]"  # saved every 3 steps
    assert run_process(whole).returncode == 0
    for name in ("model.safetensors", checkpoints.OPTIMIZER):
        assert (killed / "last" / name).read_bytes() == (whole / "last" / name).read_bytes(), name
    assert (killed / "last" / checkpoints.STATE).read_text() == (whole / "last" / checkpoints.STATE).read_text()


@pytest.mark.parametrize("moment", [1, 2])
def test_a_death_between_the_renames_leaves_a_whole_checkpoint(tmp_path, monkeypatch, moment):
    class Death(BaseException):
        pass

    calls = []

    def rename(source, target):
        calls.append(source)
        if len(calls) == 1 + moment:  # the first save makes one call, the second two
            raise Death
        os.replace(source, target)

    monkeypatch.setattr(files.os, "rename", rename)
    with pytest.raises(Death):
        train(tmp_path, checkpoint_every=6)
    monkeypatch.undo()
    made = []
    resumed = train(tmp_path, resume=True, checkpoint_every=6, after_step=made.append)
    assert made == [7, 8, 9, 10, 11, 12]
    assert same_weights(resumed.model, train().model)
    assert len(resumed.losses) == 12


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    first = train(tmp_path, steps=3)
    again = train(tmp_path, steps=3, resume=True)
    assert same_weights(first.model, again.model)
    assert again.losses == first.losses


def test_a_checkpoint_is_a_model_folder(tmp_path):
    trainer = train(tmp_path, steps=2)
    assert same_weights(Claver.from_pretrained(tmp_path / "last"), trainer.model)


def test_resuming_with_another_recipe_or_a_damaged_file_is_refused(tmp_path):
    train(tmp_path, steps=2)
    with pytest.raises(CheckpointError, match=r"lr 0\.0002, but the recipe now says 0\.002"):
        train(tmp_path, resume=True, steps=2, lr=2e-3)
    file = tmp_path / "last" / checkpoints.OPTIMIZER
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cannot be read"):
        train(tmp_path, resume=True, steps=2)


def test_a_checkpoint_that_cannot_be_written_is_said_and_the_last_one_stays(tmp_path, monkeypatch):
    def stop(done):
        if done == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(tmp_path, steps=3, checkpoint_every=1, after_step=stop)
    monkeypatch.setattr(checkpoints, "save_file", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(CheckpointError, match="No space left"):
        train(tmp_path, steps=3, checkpoint_every=1, resume=True)
    assert checkpoints.step_of(checkpoints.find_checkpoint(tmp_path)) == 2


def test_a_full_disk_is_said_and_the_last_checkpoint_stays(tmp_path):
    first = train(tmp_path, steps=2)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # writing more fails, as on a full disk
    try:
        with pytest.raises(CheckpointError, match=r"last cannot be written: .*(File too large|os error 27)"):
            train(tmp_path, steps=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["earlier-1", "logs"]
    assert same_weights(Claver.from_pretrained(tmp_path / "earlier-1" / "last"), first.model)


def test_a_loss_that_is_no_number_stops_the_run_at_its_step_and_its_batch_is_kept(tmp_path):
    recipe = clips_recipe(accumulation=2)
    model, task = clips_problem(recipe)
    task.train.tokens[:] = float("nan")
    with pytest.raises(TrainingError, match=r"became nan at step 0; lower lr or clip_norm$"):
        Trainer(recipe, model, task).run()
    with pytest.raises(TrainingError, match=r"its batch is in .*inspect/step-0"):
        Trainer(recipe, model, task, tmp_path).run()
    names = sorted(path.name for path in (tmp_path / "inspect" / "step-0").iterdir())
    assert names == [f"rank0-part{part}.{end}" for part in (0, 1) for end in ("json", "safetensors")]


@pytest.mark.parametrize("clip_norm", [1.0, None])
def test_a_gradient_that_is_no_number_stops_the_run_before_it_spoils_the_weights(tmp_path, clip_norm):
    class Steep(torch.autograd.Function):
        """A loss that is a number, with a gradient that is none."""

        @staticmethod
        def forward(ctx, loss):
            return loss.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * float("nan")

    recipe = clips_recipe(checkpoint_every=1, accumulation=2, clip_norm=clip_norm)
    model, task = clips_problem(recipe)
    trainer = Trainer(recipe, model, task, tmp_path)
    plain = type(task).loss

    class Spoiled(type(task)):
        def loss(self, *arguments):
            loss = plain(self, *arguments)
            return Steep.apply(loss) if len(trainer.losses) == 2 else loss

    trainer.task = Spoiled(**vars(task))
    with pytest.raises(TrainingError, match=r"the gradient of training became nan at step 2; .* its batch is in"):
        trainer.run()
    saved = Claver.from_pretrained(tmp_path / "last").state_dict()
    assert all(torch.isfinite(value).all() for value in saved.values())
    assert all(torch.equal(saved[key], value) for key, value in model.state_dict().items())
    assert len(list((tmp_path / "inspect" / "step-2").glob("*.safetensors"))) == 2


def test_how_clips_are_loaded_may_change_when_a_run_is_resumed_and_what_they_are_may_not(tmp_path):
    def recipe(**videos):
        section = {"train": "clips.csv"} | videos
        return make_recipe({"task": "videos", "videos": section, "steps": 1, "warmup": 0}).model_dump(mode="json")

    check = checkpoints._check_recipe
    check(tmp_path, recipe(), recipe(workers=7, decode_timeout=9, ahead=3, bad_share=0.5, cache_verify=False))
    with pytest.raises(CheckpointError, match=r"a run with videos\.shots None, but the recipe now says 4"):
        check(tmp_path, recipe(), recipe(shots=4))
    with pytest.raises(CheckpointError, match=r"a run with augment\.flip 0\.5, but the recipe now says 0"):
        check(tmp_path, recipe(), recipe() | {"augment": recipe()["augment"] | {"flip": 0.0}})
    # What version 0.2 kept with every run on videos.
    check(tmp_path, recipe() | {"data": {"source": "motion", "train": 0, "test": 0, "states": ["shape"]}}, recipe())


def test_figures_that_cannot_be_written_do_not_end_a_run(tmp_path, monkeypatch, caplog):
    from accelerate.tracking import TensorBoardTracker

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    noted = []
    monkeypatch.setattr(TensorBoardTracker, "log", lambda *_, **__: noted.append(1) if len(noted) < 2 else full())
    monkeypatch.setattr(TensorBoardTracker, "finish", full)
    trainer = train(tmp_path, steps=4)
    assert len(trainer.losses) == 4
    assert len(noted) == 2
    assert [record.message for record in caplog.records] == [
        "the run's figures can no longer be written and are followed no further: [Errno 28] No space left on device"
    ]
    assert same_weights(Claver.from_pretrained(tmp_path / "last"), trainer.model)
    monkeypatch.setattr(TensorBoardTracker, "start", full)
    with pytest.raises(ClaverError, match=r"figures cannot be written to .*No space left on device"):
        train(tmp_path / "other", steps=4)
