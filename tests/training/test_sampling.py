import numpy as np

from claver.training.sampling import batch_at, chance_at


def batches(steps, **settings):
    return [batch_at(step, **settings) for step in steps]


def test_every_sample_comes_once_per_epoch_though_batches_straddle_epochs():
    seen = np.concatenate(batches(range(7), samples=21, batch_size=6, seed=1))  # two epochs: 42 = 7 · 6
    for epoch in (seen[:21], seen[21:]):
        assert sorted(epoch.tolist()) == list(range(21))
    assert seen[:21].tolist() != seen[21:].tolist()


def test_a_batch_depends_on_seed_and_step_alone():
    settings = {"samples": 50, "batch_size": 8}
    forwards = batches(range(20), seed=4, **settings)
    backwards = batches(reversed(range(20)), seed=4, **settings)[::-1]
    assert all(np.array_equal(a, b) for a, b in zip(forwards, backwards, strict=True))
    assert not np.array_equal(forwards[0], batch_at(0, seed=5, **settings))


def test_a_batch_larger_than_the_training_set_goes_round():
    batch = batch_at(0, samples=3, batch_size=7, seed=0)
    assert np.bincount(batch, minlength=3).tolist() in ([3, 2, 2], [2, 3, 2], [2, 2, 3])


def test_the_chance_of_each_step_is_its_own():
    assert chance_at(3, 0).random() == chance_at(3, 0).random()
    assert len({chance_at(step, seed).random() for step in range(4) for seed in range(4)}) == 16
