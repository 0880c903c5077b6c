"""Two processes on this machine do what one does."""

import json

import pytest
import torch
from safetensors.torch import load_file
from tests.training.processes import launch
from tests.training.small import clips_problem, clips_recipe

from claver.training import Trainer
from claver.training.distributed import encode_text_shared, share_of

SAME = {"steps": 4, "warmup": 0, "texts_per_step": 3, "evaluate_every": 4}


def alone(**changes):
    recipe = clips_recipe(**changes)
    model, task = clips_problem(recipe)
    trainer = Trainer(recipe, model, task)
    trainer.run()
    return trainer


def flat(state):
    return torch.cat([state[key].flatten() for key in sorted(state)])


def test_two_processes_with_half_the_batch_are_one_with_the_whole(tmp_path):
    done = launch(tmp_path, 2, drift=True, **SAME)  # the second process makes its start a little different
    assert done.returncode == 0, done.stderr
    one = alone(**SAME)
    for rank in range(2):
        facts = json.loads((tmp_path / f"facts-{rank}-of-2.json").read_text())
        assert facts["losses"] == pytest.approx(one.losses, rel=1e-5)
        assert facts["encoded"][:4] == [3] * 4  # of 6 texts a step
        assert facts["figures"] == [one.figures[4]]
        theirs = flat(load_file(tmp_path / f"weights-{rank}-of-2.safetensors"))
        mine = flat(one.model.state_dict())
        # As one vector: where a gradient is nothing but rounding (biases of keys), AdamW makes whole steps of it.
        assert (theirs - mine).norm() <= 1e-5 * mine.norm()
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["best", "last", "logs"]


def test_gradients_of_uneven_shares_are_those_of_the_whole(tmp_path):
    # The first moments after one step are a tenth of the gradients.
    changes = SAME | {"steps": 1, "batch_size": 15, "accumulation": 1, "clip_norm": None, "evaluate_every": None}
    done = launch(tmp_path, 2, **changes)
    assert done.returncode == 0, done.stderr
    recipe = clips_recipe(**changes)
    model, task = clips_problem(recipe)
    Trainer(recipe, model, task, tmp_path / "alone").run()
    ours = load_file(tmp_path / "alone" / "last" / "optimizer.safetensors")
    theirs = load_file(tmp_path / "run" / "last" / "optimizer.safetensors")
    assert ours.keys() == theirs.keys()
    for key in (key for key in ours if key.endswith("/exp_avg")):
        scale = ours[key].abs().max().item()
        torch.testing.assert_close(theirs[key], ours[key], rtol=1e-5, atol=1e-5 * scale, msg=key)


def test_fewer_samples_than_processes_is_said(tmp_path):
    done = launch(tmp_path, 2, data={"train": 1, "test": 2})
    assert done.returncode != 0
    assert "the training set has 1 samples for 2 processes" in done.stderr


def test_a_batch_that_cannot_be_dealt_out_is_said(tmp_path):
    done = launch(tmp_path, 2, batch_size=2, accumulation=2)
    assert "batch_size 2 in 2 parts is too small for 2 processes" in done.stderr


def test_a_loss_that_is_no_number_in_one_process_stops_all_and_its_batch_is_kept(tmp_path):
    done = launch(tmp_path, 2, poison=True, steps=1)
    assert done.returncode != 0
    assert "became nan at step 0" in done.stderr
    kept = tmp_path / "run" / "inspect" / "step-0"
    assert sorted(path.name for path in kept.iterdir()) == ["rank1.json", "rank1.safetensors"]
    assert len(json.loads((kept / "rank1.json").read_text())["rows"]) == 8
    assert load_file(kept / "rank1.safetensors")["tokens"].isnan().any()


def test_a_single_process_has_it_all():
    import numpy as np

    rows = np.arange(5)
    assert share_of(rows).tolist() == rows.tolist()
    model, task = clips_problem(clips_recipe())
    torch.testing.assert_close(encode_text_shared(model, task.texts), model.encode_text(task.texts), rtol=0, atol=0)
