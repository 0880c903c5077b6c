"""Interpolated weights: one step against gradients put together by hand, and the weights left as they were."""

import numpy as np
import pytest
import torch
from tests.training.small import clips_problem, clips_recipe

from claver.errors import ClaverError
from claver.training import Trainer
from claver.training.retention.interpolation import Interpolation
from claver.training.retention.settings import Interpolate


class Wiggle(torch.nn.Module):
    """w [2] and a temporal part [1]; the loss Σ c·w³ + temporal² is known by hand."""

    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
        self.temporal = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.constant_(self.temporal.weight, 0.5)

    def loss(self):
        return (torch.tensor([1.0, 3.0]) * self.w**3).sum() + self.temporal.weight.square().sum()


def test_the_gradient_is_that_of_both_losses_by_hand():
    model = Wiggle()
    interpolation = Interpolation(model, Interpolate(up_to=0.6, weight=0.5), seed=0)
    start, share = np.array([1.0, -2.0]), 0.25
    with torch.no_grad():
        model.w.copy_(torch.tensor([2.0, 1.0]))
        model.temporal.weight.fill_(3.0)
    model.loss().backward()
    with interpolation.applied(share):
        between = 0.5 * model.loss()
        between.backward()
    w, c = np.array([2.0, 1.0]), np.array([1.0, 3.0])
    mixed = share * start + (1 - share) * w
    np.testing.assert_allclose(between.item(), 0.5 * ((c * mixed**3).sum() + 9), rtol=1e-6)
    np.testing.assert_allclose(model.w.grad, 3 * c * w**2 + 0.5 * (1 - share) * 3 * c * mixed**2, rtol=1e-6)
    assert model.temporal.weight.grad.item() == pytest.approx(6 + 0.5 * 6)  # whole: it is not interpolated
    assert (model.w.tolist(), model.temporal.weight.item()) == (w.tolist(), 3.0)
    assert not model.w._backward_hooks


def test_shares_are_even_up_to_the_largest_and_those_of_seed_and_step():
    model = Wiggle()
    one, other = (Interpolation(model, Interpolate(up_to=0.6), seed=seed) for seed in (0, 1))
    shares = np.array([one.share_at(step) for step in range(400)])
    assert shares.min() >= 0
    assert 0.58 < shares.max() <= 0.6
    assert shares.mean() == pytest.approx(0.3, abs=0.03)
    assert one.share_at(7) == shares[7] != other.share_at(7)


def test_a_step_of_a_run_has_the_loss_of_both_weights():
    recipe = clips_recipe(steps=2, warmup=0, lr=1e-2, interpolate={"up_to": 0.6, "weight": 0.5})
    (model, task), (start, _) = clips_problem(recipe), clips_problem(recipe)
    after = []

    def keep(done):
        after.append({key: value.clone() for key, value in model.state_dict().items()})

    trainer = Trainer(recipe, model, task, after_step=keep)
    losses = trainer.run()
    share = Interpolation(start, recipe.interpolate, recipe.seed).share_at(1)
    own = {key: value.clone() for key, value in start.state_dict().items()}
    mixed = {
        key: after[0][key] if key.startswith("temporal.") else torch.lerp(after[0][key], own[key], share) for key in own
    }
    rng_rows = [(trainer._rows_at(1), np.random.default_rng([recipe.seed, 1, 1])) for _ in range(2)]
    for _, rng in rng_rows:
        rng.integers(2**62)  # the engine's own draw comes first
    expected = []
    for weights, (rows, rng) in zip((after[0], mixed), rng_rows, strict=True):
        start.load_state_dict(weights)
        expected.append(task.loss(start, rows, rng).item())
    assert losses[1] == pytest.approx(expected[0] + 0.5 * expected[1], rel=1e-5)
    assert abs(expected[0] - expected[1]) > 1e-4


def test_what_it_cannot_go_between_is_said():
    with pytest.raises(ClaverError, match="interpolate goes between weights, and adapters are none"):
        clips_recipe(interpolate={}, lora={"rank": 2})
    recipe = clips_recipe(interpolate={}, freeze=["image", "text", "readout"])
    model, task = clips_problem(recipe)
    with pytest.raises(ClaverError, match="nothing to go back with: freeze leaves only the temporal tower"):
        Trainer(recipe, model, task).run()
