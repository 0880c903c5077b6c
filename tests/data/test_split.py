"""Parts of datasets: nested few-shot draws, and the published draws of Kinetics-600."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claver.data import Manifest, Sample, dataset_classes, few_shot, k600_draw
from claver.errors import ClaverError


def manifest(counts: list[int], split: str = "train") -> Manifest:
    classes = tuple(f"class {c}" for c in range(len(counts)))
    samples = [Sample(f"{c}/{n}.mp4", c, split) for c, count in enumerate(counts) for n in range(count)]
    return Manifest(classes, tuple(samples))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(16, 40), min_size=1, max_size=6), st.integers(0, 2**31), st.randoms())
def test_draws_are_exact_nested_and_independent_of_order(counts: list[int], seed: int, dice: random.Random) -> None:
    whole = manifest(counts)
    draws = {k: few_shot(whole, k, seed=seed) for k in (2, 4, 8, 16)}
    paths = {k: {sample.path for sample in draw.samples} for k, draw in draws.items()}
    for k, draw in draws.items():
        assert draw.counts().tolist() == [k] * len(counts)
        assert draw.classes == whole.classes
    assert paths[2] < paths[4] < paths[8] < paths[16]
    shuffled = list(range(len(whole)))
    dice.shuffle(shuffled)
    assert {sample.path for sample in few_shot(whole.subset(shuffled), 8, seed=seed).samples} == paths[8]


def test_seeds_differ_and_all_clips_are_drawn_alike() -> None:
    whole = manifest([20])
    draws = [frozenset(s.path for s in few_shot(whole, 2, seed=seed).samples) for seed in range(300)]
    assert len(set(draws)) > 100
    often = [sum(sample.path in draw for draw in draws) for sample in whole.samples]
    assert min(often) > 10
    assert max(often) < 60  # 30 expected, of a binomial with standard deviation 5.2


def test_only_training_clips_are_drawn_and_a_small_class_is_named() -> None:
    both = Manifest(("a", "b"), (*manifest([3, 3]).samples, *manifest([9, 9], "test").samples))
    with pytest.raises(ClaverError, match="class 'a' has 3 clips for training; 4 of each class"):
        few_shot(both, 4)
    assert few_shot(both, 3).splits == ("train",)
    with pytest.raises(ClaverError, match="at least 1 clip"):
        few_shot(both, 0)


def test_draws_of_kinetics_600_leave_only_their_classes() -> None:
    classes = dataset_classes("kinetics600")
    whole = Manifest(classes, tuple(Sample(f"{c}.mp4", c, "val") for c in range(600)), dataset="kinetics600")
    for draw in (1, 2, 3):
        part = k600_draw(whole, draw)
        assert part.dataset == f"kinetics600-draw{draw}"
        assert part.counts().tolist() == [1] * 160
        assert all(classes[int(s.path[:-4])] == part.classes[s.label] for s in part.samples)
    with pytest.raises(ClaverError, match="this manifest is of no known dataset"):
        k600_draw(manifest([1]), 1)
    with pytest.raises(ClaverError, match="draws 1, 2 and 3"):
        k600_draw(whole, 4)
