"""Parts of datasets: nested few-shot draws, and the published draws of Kinetics-600."""

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claver.data import Manifest, Sample, dataset_classes, few_shot, groups_by, k600_draw, train_test
from claver.data.split import clip_names
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
    tests_alone = manifest([9, 9], "test")
    with pytest.raises(ClaverError, match="has no clip of split train for training but 'test'"):
        few_shot(tests_alone, 2)
    assert few_shot(tests_alone, 2, split="test").counts().tolist() == [2, 2]
    with pytest.raises(ClaverError, match="at least 1 clip"):
        few_shot(both, 0)


def test_one_seed_draws_the_same_files_wherever_they_lie() -> None:
    files = [f"class_{c}/deep/{n}.mp4" for c in range(2) for n in range(20)]
    chosen = []
    for root in ("", "/data/clips/", "../elsewhere/train/"):
        samples = tuple(Sample(f"{root}{file}", int(file[6]), "train") for file in files)
        drawn = few_shot(Manifest(("class 0", "class 1"), samples), 4, seed=3)
        chosen.append([sample.path.removeprefix(root) for sample in drawn.samples])
    assert chosen[0] == chosen[1] == chosen[2]
    people = Manifest(("bow",), tuple(Sample(f"v/person{n}/0001.mp4", 0) for n in range(20)))
    assert clip_names(people) == [f"person{n}/0001.mp4" for n in range(20)]  # the class names no folder here


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=5).filter(lambda counts: max(counts) > 1),
    st.floats(0.01, 0.99),
    st.integers(0, 99),
    st.randoms(),
)
def test_a_share_of_each_class_is_set_apart(counts: list[int], share: float, seed: int, dice: random.Random) -> None:
    whole = manifest(counts, "")
    both = train_test(whole, share, seed=seed)
    for count, test in zip(counts, both.select("test").counts().tolist(), strict=True):
        expected = min(max(1, int(share * count + 0.5)), count - 1) if count > 1 else 0
        assert test == expected
    shuffled = list(range(len(whole)))
    dice.shuffle(shuffled)
    again = train_test(whole.subset(shuffled), share, seed=seed)
    assert set(again.samples) == set(both.samples)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=2, max_size=40), st.floats(0.05, 0.9))
def test_groups_stay_together_and_every_class_keeps_a_training_clip(rows: list[tuple[int, int]], share: float) -> None:
    classes = sorted({label for label, _ in rows})
    samples = tuple(Sample(f"{n}.mp4", classes.index(label)) for n, (label, _) in enumerate(rows))
    whole, groups = Manifest(tuple(map(str, classes)), samples), [str(group) for _, group in rows]
    label_sets = [{classes.index(label) for label, other in rows if other == int(group)} for group in set(groups)]
    if not any(all(sum(label in own for own in label_sets) > 1 for label in one) for one in label_sets):
        with pytest.raises(ClaverError, match="no clip can be set apart"):
            train_test(whole, share, groups=groups)
        return
    both = train_test(whole, share, groups=groups)
    assert len({(group, sample.split) for group, sample in zip(groups, both.samples, strict=True)}) == len(set(groups))
    assert both.select("train").counts().min() >= 1


def test_a_split_of_ten_clips_by_hand() -> None:
    samples = tuple(Sample(f"clips/{name}/{n}.mp4", c) for c, name in enumerate("ab") for n in range(5))
    whole = Manifest(("a", "b"), samples)
    first = [s.path for s in train_test(whole, 0.2).select("test").samples]
    lots = {n: [hashlib.sha256(f"0\n{c}/{n}.mp4".encode()).digest() for c in "ab"] for n in range(5)}
    assert first == [f"clips/{c}/{min(lots, key=lambda n: lots[n]['ab'.index(c)])}.mp4" for c in "ab"]
    assert first != [s.path for s in train_test(whole, 0.2, seed=5).select("test").samples]
    with pytest.raises(ClaverError, match=r"above 0 and below 1, such as 0\.2, not 20"):
        train_test(whole, 20)


def test_groups_by_a_column() -> None:
    samples = tuple(Sample(f"a/{who or 'none'}.mp4", 0, more=("x", who)) for who in ("ann ", "bo", ""))
    whole = Manifest(("a",), samples, columns=("place", "person"))
    assert groups_by(whole.subset([0, 1]), " Person") == ["ann", "bo"]
    with pytest.raises(ClaverError, match=r"'person' of a/none.mp4 is empty; it should name the clip's group"):
        groups_by(whole, "person")


def test_groups_by_a_pattern() -> None:
    whole = Manifest(("a",), (Sample("a/v_g01_c01.avi", 0), Sample("a/v_g01_c02.avi", 0), Sample("a/v_g02_c01.avi", 0)))
    assert groups_by(whole, r"_g(\d+)_") == ["01", "01", "02"]
    assert groups_by(whole, r"g\d+") == ["g01", "g01", "g02"]
    with pytest.raises(
        ClaverError, match="'person' is no column of the manifest, and is not found in the path a/v_g01"
    ):
        groups_by(whole, "person")
    with pytest.raises(ClaverError, match="no regular expression"):
        groups_by(whole, "(")


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
