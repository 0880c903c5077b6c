"""The mean of the weights at the ends of epochs: by hand, evaluated, saved, resumed, and refused where it cannot be."""

import numpy as np
import pytest
import torch
from tests.training.small import clips_recipe, train

import claver
from claver.errors import CheckpointError, ClaverError
from claver.models.checkpoint.folder import weights_in
from claver.training.clips import ClipsTask
from claver.training.ema import Ema
from claver.training.recipe import make_recipe
from claver.training.retention.averaging import EpochAverage
from claver.training.retention.settings import Average

AVERAGE = {"average": {"from_epoch": 2}, "evaluate_every": 6, "checkpoint_every": 5}  # 64 samples: 4 steps an epoch


def test_the_mean_is_that_of_the_weights_that_count():
    model = torch.nn.Linear(3, 1, bias=False)
    average, seen = EpochAverage(model, lambda done: done in (2, 4, 5)), []
    for step in range(6):
        with torch.no_grad():
            model.weight.copy_(torch.tensor([[step, step**2, 1.0]]))
        average.update(step)
        with average.applied():
            seen.append(model.weight[0].tolist())
    own = np.array([[step, step**2, 1.0] for step in range(6)])
    counted = [own[0], own[1], own[1], own[[1, 3]].mean(0), own[[1, 3, 4]].mean(0), own[[1, 3, 4]].mean(0)]
    np.testing.assert_allclose(seen, counted, rtol=1e-6)
    assert model.weight[0].tolist() == own[5].tolist()


@pytest.mark.parametrize(
    "kind", [lambda model: EpochAverage(model, lambda done: True), lambda model: Ema(model, 0.999)]
)
def test_what_a_batch_norm_keeps_is_averaged_as_its_weights_are(kind):
    model = torch.nn.BatchNorm1d(1)
    averages, seen = kind(model), []
    for step in range(4):
        with torch.no_grad():
            for value in (model.weight, model.bias, model.running_mean, model.running_var):
                value.fill_(step)
        model.num_batches_tracked.fill_(step)
        averages.update(step)
        with averages.applied():
            seen.append([value.item() for value in model.state_dict().values()])
        assert model.running_mean.item() == step
    told = []
    for weight, bias, mean, variance, batches in seen:
        assert (bias, weight) == pytest.approx((mean, variance), rel=1e-6)  # they begin as 0 and 1, and go the same way
        assert batches == len(told)
        told.append(batches)
    assert seen[-1][2] not in (0, 3)
    again = kind(other := torch.nn.BatchNorm1d(1))
    before = {name: value for name, value in averages.tensors().items() if not name.startswith("running")}
    other.running_mean.fill_(7)
    again.restore(before)
    with again.applied():
        assert other.running_mean.item() == 7
    again.restore(averages.tensors())
    with again.applied():
        assert again._parameters["running_var"].item() == seen[-1][3]


def test_statistics_of_norms_are_averaged_whatever_learns_and_tables_are_not():
    class Masked(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.frozen = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2).requires_grad_(False)
            self.register_buffer("mask", torch.tensor([0.0, float("-inf")]))

    statistics = {f"{norm}.running_{name}" for norm in ("norm", "frozen") for name in ("mean", "var")}
    averages = EpochAverage(Masked(), lambda done: True)
    assert averages.tensors().keys() == statistics | {"norm.weight", "norm.bias", "count"}


def test_the_ends_of_epochs_from_the_chosen_one_on_and_the_last_step_count():
    def counted(samples, **changes):
        recipe = clips_recipe().model_copy(update=changes | {"average": Average(**changes["average"])})
        return [done for done in range(1, recipe.total_steps(samples) + 1) if recipe.averages(done, samples)]

    assert counted(64, steps=14, average={"from_epoch": 2}) == [8, 12, 14]
    assert counted(70, steps=None, epochs=3, average={"from_epoch": 1}) == [5, 9, 13]  # the third ends after 13.1
    assert counted(64, steps=14, average={"from_epoch": 2, "every": 3}) == [6, 9, 12, 14]


def test_the_mean_is_evaluated_saved_and_resumed_exactly(tmp_path):
    weights = []
    whole = train(tmp_path / "whole", after_step=lambda done: weights.append(done), **AVERAGE)

    def interrupt(done):
        if done == 9:  # one mean taken, saved last at step 5
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", after_step=interrupt, **AVERAGE | {"checkpoint_every": 3})
    with pytest.raises(CheckpointError, match=r"average\.from_epoch 2, but the recipe now says 3"):
        train(tmp_path / "cut", resume=True, **AVERAGE | {"average": {"from_epoch": 3}})
    resumed = train(tmp_path / "cut", resume=True, **AVERAGE)
    assert resumed.figures == whole.figures
    for place in ("last", "last/average", "best"):
        mine, other = (claver.load(tmp_path / run / place).state_dict() for run in ("whole", "cut"))
        assert all(torch.equal(mine[key], other[key]) for key in mine), place
    averaged = claver.load(tmp_path / "whole/last/average")
    assert whole.task.evaluate(averaged) == whole.figures[12]
    kept = {key: value for key, value in averaged.state_dict().items() if key.startswith("text.")}
    assert not all(torch.equal(value, whole.model.state_dict()[key]) for key, value in kept.items())


def test_a_run_without_a_best_model_is_loaded_as_its_average(tmp_path):
    train(tmp_path, average={"from_epoch": 1}, steps=8)
    assert weights_in(tmp_path) == tmp_path / "last" / "average"


def test_weights_before_the_first_mean_are_never_the_best(tmp_path, monkeypatch):
    figures = iter([0.9, 0.2, 0.3])  # after 4, 8 and 12 steps; the first mean is taken after 6
    monkeypatch.setattr(ClipsTask, "evaluate", lambda self, model: {"top1": next(figures)})
    trainer = train(tmp_path, average={"from_epoch": 1, "every": 6}, steps=12, evaluate_every=4)
    assert list(trainer.figures.values()) == [{"top1": 0.9}, {"top1": 0.2}, {"top1": 0.3}]
    saved = claver.load(tmp_path / "best").state_dict()
    final = claver.load(tmp_path / "last/average").state_dict()
    assert all(torch.equal(saved[key], final[key]) for key in final)


def test_what_the_mean_cannot_be_taken_with_is_said():
    with pytest.raises(ClaverError, match="average and ema exclude each other"):
        clips_recipe(average={}, ema=0.9)
    with pytest.raises(ClaverError, match="that of adapters is not: leave out lora, or average"):
        clips_recipe(average={}, lora={"rank": 2})
    with pytest.raises(ClaverError, match=r"unknown key 'average\.from_epok'; did you mean 'average\.from_epoch'"):
        make_recipe(clips_recipe().model_dump(mode="json", exclude={"videos"}) | {"average": {"from_epok": 2}})
