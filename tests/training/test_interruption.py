"""What interrupts a run, what a run finds in its folder, and what it leaves there."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.cli.test_train import RECIPE, _wait_for_change
from tests.training.processes import launch
from tests.training.small import clips_problem, clips_recipe
from tests.training.test_engine import same_weights, train

import claver
from claver.errors import ClaverError
from claver.files import only_writer
from claver.training import Trainer
from claver.training import checkpoint as checkpoints
from claver.training.ema import Ema
from claver.training.interruption import Interrupted, Stop

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def saved_step(folder: Path) -> int | None:
    found = checkpoints.find_checkpoint(folder)
    return None if found is None else checkpoints.step_of(found)


@pytest.mark.parametrize("number", SIGNALS)
def test_told_to_stop_a_run_saves_its_step_and_goes_on_bit_for_bit(tmp_path, number):
    def tell(done):
        if done == 4:
            os.kill(os.getpid(), number)

    before = [signal.getsignal(each) for each in SIGNALS]
    with pytest.raises(Interrupted) as told:
        train(tmp_path / "cut", after_step=tell)
    assert (told.value.number, told.value.step) == (number, 5)  # the step under way is finished
    assert [signal.getsignal(each) for each in SIGNALS] == before
    assert saved_step(tmp_path / "cut") == 5
    made = []
    resumed, whole = train(tmp_path / "cut", resume=True, after_step=made.append), train(tmp_path / "whole")
    assert made == list(range(6, 13))
    assert same_weights(resumed.model, whole.model)
    assert resumed.losses == whole.losses


def test_told_to_stop_while_it_measures_a_run_measures_again_when_it_goes_on(tmp_path, monkeypatch):
    settings = {"evaluate_every": 6, "ema": 0.9}
    whole = train(tmp_path / "whole", **settings)
    recipe = clips_recipe(**settings)
    model, task = clips_problem(recipe)

    def tell(model):
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the signal comes first")

    monkeypatch.setattr(type(task), "evaluate", lambda self, model: tell(model))
    with pytest.raises(Interrupted) as told:
        Trainer(recipe, model, task, tmp_path / "cut").run()
    assert told.value.step == saved_step(tmp_path / "cut") == 6
    monkeypatch.undo()
    resumed = train(tmp_path / "cut", resume=True, **settings)
    assert resumed.figures == whole.figures
    for place in ("best", "last", "last/ema"):
        assert same_weights(*(claver.load(tmp_path / run / place) for run in ("cut", "whole"))), place


@pytest.mark.parametrize("when", ["before", "after"])
def test_told_to_stop_while_averaged_weights_take_their_place_a_run_keeps_its_own(tmp_path, monkeypatch, when):
    settings = {"evaluate_every": 6, "ema": 0.9}
    whole, put, calls = train(tmp_path / "whole", **settings), Ema._put, []

    def half_done(ema, values):
        calls.append(values)
        if len(calls) == 1 + (when == "after"):  # the averages come, then the weights come back
            name, parameter = next(iter(ema._parameters.items()))
            parameter.data = values[name]
            os.kill(os.getpid(), signal.SIGTERM)
        put(ema, values)

    monkeypatch.setattr(Ema, "_put", half_done)
    with pytest.raises(Interrupted) as told:
        train(tmp_path / "cut", **settings)
    monkeypatch.undo()
    assert told.value.step == saved_step(tmp_path / "cut") == 6 + (when == "after")
    resumed = train(tmp_path / "cut", resume=True, **settings)
    assert (resumed.losses, resumed.figures) == (whole.losses, whole.figures)
    for place in ("best", "last", "last/ema"):
        assert same_weights(*(claver.load(tmp_path / run / place) for run in ("cut", "whole"))), place


def test_what_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop = Stop()
    try:
        with stop.watched():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert not stop.number


def test_a_second_signal_acts_as_ever():
    stop = Stop()
    with stop.watched():
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.number == signal.SIGINT
        with pytest.raises(KeyboardInterrupt) as told:
            os.kill(os.getpid(), signal.SIGINT)
    assert type(told.value) is KeyboardInterrupt


def test_of_several_processes_one_signal_stops_all_at_one_step(tmp_path):
    done = launch(tmp_path, 2, steps=8, stop=3)
    assert "Interrupted: signal 15" in done.stderr, done.stderr
    assert saved_step(tmp_path / "run") == 4
    losses = [json.loads((tmp_path / f"facts-{rank}-of-2.json").read_text())["losses"] for rank in (0, 1)]
    assert len(losses[0]) == 4
    assert losses[0] == losses[1]


@pytest.mark.parametrize(("minutes", "steps"), [(0, [1, 2, 3]), (None, [None, None, 3]), (5, [None, None, 3])])
def test_checkpoints_come_by_the_clock(tmp_path, minutes, steps):
    found = []
    train(tmp_path, steps=3, checkpoint_minutes=minutes, after_step=lambda done: found.append(saved_step(tmp_path)))
    assert found == steps


def test_a_model_is_measured_after_each_epoch():
    assert list(train(evaluate_every="epoch").figures) == [4, 8, 12]  # 64 samples, 16 a step
    assert list(train(evaluate_every="epoch", batch_size=24, steps=6).figures) == [3, 6]
    with pytest.raises(
        ClaverError, match=r"evaluate_every: give a number of steps, at least 1, or epoch, not 'epochs'"
    ):
        clips_recipe(evaluate_every="epochs")


def test_results_of_an_earlier_run_are_moved_aside_and_never_answer_for_a_new_one(tmp_path, caplog):
    old = train(tmp_path, evaluate_every=6)
    (tmp_path / "notes.txt").write_text("mine")
    new = train(tmp_path, seed=1, steps=3)
    assert same_weights(claver.load(tmp_path), new.model)  # a `best` of the old run would have come first
    assert same_weights(claver.load(tmp_path / "earlier-1" / "last"), old.model)
    assert (tmp_path / "earlier-1" / "best" / "figures.json").is_file()
    assert caplog.messages == [f"the results of an earlier run are now in {tmp_path / 'earlier-1'}"]
    assert (tmp_path / "notes.txt").read_text() == "mine"
    train(tmp_path, seed=2, steps=3)
    assert same_weights(claver.load(tmp_path / "earlier-2" / "last"), new.model)


def test_a_best_model_without_a_checkpoint_is_moved_aside_as_well(tmp_path):
    train(tmp_path, evaluate_every=6)
    shutil.rmtree(tmp_path / "last")
    train(tmp_path, steps=2, resume=True)
    assert not (tmp_path / "best").exists()
    assert (tmp_path / "earlier-1" / "best").is_dir()


def test_two_runs_do_not_share_a_folder(tmp_path):
    with only_writer(tmp_path / "run"), pytest.raises(ClaverError, match=r"another claver command is writing .*run"):
        train(tmp_path / "run", steps=2)
    assert not (tmp_path / "run" / "last").exists()
    train(tmp_path / "run", steps=2)


def test_files_have_the_permissions_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        train(tmp_path, steps=2, ema=0.9, evaluate_every=2, trackers=[])
    finally:
        os.umask(before)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 8
    assert {path.stat().st_mode & 0o777 for path in files} == {0o640}


@pytest.mark.parametrize("number", SIGNALS)
def test_the_command_says_where_it_goes_on_and_does(tmp_path, number):
    often = {"steps": 4000, "trackers": [], "checkpoint_minutes": 0}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(RECIPE | often))
    command = [sys.executable, "-m", "claver", "train", "tiny.yaml", "--output", "run"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    _wait_for_change(tmp_path / "run" / "last" / "state.json", process)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    step = saved_step(tmp_path / "run")
    assert step
    assert f"claver: interrupted; run/last has step {step}, and the same command resumes there" in said
    assert "Traceback" not in said
