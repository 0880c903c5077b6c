import math

import pytest
import torch

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
