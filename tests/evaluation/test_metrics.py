import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from claver.errors import ClaverError
from claver.evaluation import confusion, per_class_accuracy, top_k_accuracy, within_pairs

SCORES = torch.tensor([[3.0, 2, 1, 0], [3, 2, 1, 0], [0, 1, 2, 3], [0, 3, 2, 1]])
LABELS = torch.tensor([0, 1, 3, 2])


def test_top_k_by_hand():
    assert [top_k_accuracy(SCORES, LABELS, k) for k in (1, 2, 3, 9)] == [0.5, 1.0, 1.0, 1.0]
    assert top_k_accuracy(SCORES, torch.tensor([3, 3, 0, 0]), 3) == 0


def test_top_k_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="at least one sample"):
        top_k_accuracy(SCORES[:0], LABELS[:0])
    with pytest.raises(ValueError, match="k=0"):
        top_k_accuracy(SCORES, LABELS, 0)


def test_confusion_has_labels_in_rows_and_answers_in_columns():
    expected = torch.tensor([[1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    assert torch.equal(confusion(SCORES, LABELS), expected)


def test_per_class_accuracy_is_nan_for_a_class_without_samples():
    accuracy = per_class_accuracy(SCORES[:3], torch.tensor([0, 0, 1]))
    assert accuracy[:2].tolist() == [1.0, 0.0]
    assert math.isnan(accuracy[2])


def test_within_pairs_counts_ties_one_half():
    partner = torch.tensor([1, 0, 3, 2])
    assert within_pairs(SCORES, LABELS, partner) == 0.75  # right, wrong, right, right
    assert within_pairs(torch.zeros(4, 4), LABELS, partner) == 0.5


def test_of_equal_scores_the_first_class_wins_in_every_figure():
    scores, labels = torch.zeros(4, 4), torch.tensor([0, 1, 2, 3])
    assert [top_k_accuracy(scores, labels, k) for k in (1, 2, 3, 4)] == [0.25, 0.5, 0.75, 1.0]
    assert per_class_accuracy(scores, labels).tolist() == [1, 0, 0, 0]
    assert confusion(scores, labels)[:, 0].tolist() == [1, 1, 1, 1]
    tied = torch.tensor([[1.0, 3, 3, 0]])
    assert [top_k_accuracy(tied, torch.tensor([label])) for label in range(4)] == [0, 1, 0, 0]
    assert [top_k_accuracy(tied, torch.tensor([label]), 2) for label in range(4)] == [0, 1, 1, 0]


def test_a_clip_without_scores_is_wrong_for_every_k_and_taken_for_nothing():
    scores = torch.full((1, 3), -torch.inf)
    assert [top_k_accuracy(scores, torch.tensor([0]), k) for k in (1, 3, 9)] == [0, 0, 0]
    assert confusion(scores, torch.tensor([0])).sum() == 0
    assert per_class_accuracy(scores, torch.tensor([0]))[0] == 0


def test_nan_is_an_error_and_no_accuracy():
    scores = torch.tensor([[0.0, torch.nan, 1.0]])
    for measure in (top_k_accuracy, confusion, per_class_accuracy):
        with pytest.raises(ClaverError, match="some scores are NaN"):
            measure(scores, torch.tensor([0]))


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**31))
def test_all_figures_agree_on_what_is_right(samples: int, classes: int, seed: int):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, 3, (samples, classes), generator=generator).float()  # many ties
    labels = torch.randint(0, classes, (samples,), generator=generator)
    right = confusion(scores, labels).diagonal().sum().item() / samples
    assert top_k_accuracy(scores, labels) == pytest.approx(right)
    assert per_class_accuracy(scores, labels).nan_to_num().dot(
        torch.bincount(labels, minlength=classes).double()
    ).item() / samples == pytest.approx(right)
    assert top_k_accuracy(scores, labels, classes) == 1
