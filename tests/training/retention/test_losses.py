"""Both distillations against NumPy: values, and gradients derived by hand."""

import numpy as np
import pytest
import torch
from tests.tiny import tiny_model
from tests.training.retention import numbers

from claver.training.retention.feature import FeatureDistillation
from claver.training.retention.relational import RelationalDistillation, unit_vectors
from claver.training.retention.settings import Distill
from claver.training.samples import Samples

B, K, C, E = 5, 2, 4, 32
CLOSE = {"rtol": 1e-4, "atol": 1e-6}


class Case:
    """A student and a teacher's vectors of the same clips and texts, which learn as if they were weights."""

    def __init__(self, kind, distillation, **settings):
        rng = np.random.default_rng(0)
        self.v, self.vt = (3 * rng.standard_normal((B, E)) for _ in range(2))
        self.t, self.tt = (2 * rng.standard_normal((K, C, E)) for _ in range(2))
        self.y = rng.dirichlet(np.ones(C), B)
        self.model = tiny_model()
        with torch.no_grad():
            self.model.logit_scale.fill_(np.log(7.0))
        self.distillation = distillation(self.model, Distill(kind=kind, **settings), 1)
        self.video, self.text = (torch.tensor(x, dtype=torch.float32, requires_grad=True) for x in (self.v, self.t))
        theirs = [torch.tensor(x, dtype=torch.float32) for x in (self.vt, self.tt)]
        teacher, labels = self.distillation.teacher, torch.tensor(self.y, dtype=torch.float32)
        self.samples = Samples(
            lambda model: theirs[0] if model is teacher else self.video,
            lambda model: theirs[1] if model is teacher else self.text,
            labels,
        )

    def loss(self):
        loss = self.distillation.loss(self.model, self.samples, np.random.default_rng(5))
        loss.backward()
        return loss.item()


def test_relational_by_hand_with_projections_that_have_learned():
    case, rng = Case("relational", RelationalDistillation), np.random.default_rng(1)
    a, b = (rng.standard_normal(shape) * 0.2 for shape in ((2 * E, E), (E, 2 * E)))
    with torch.no_grad():
        case.distillation.down.copy_(torch.tensor(a))
        case.distillation.up.copy_(torch.tensor(b))
    found = case.loss()
    omega = np.random.default_rng(5).standard_normal((200, E))
    omega = numbers.unit(omega)
    v = case.v + case.v @ a.T @ b.T
    ce = numbers.cross_entropy(v, case.t, case.y, 7.0)
    kl = numbers.relational(v, case.t, case.vt, case.tt, omega, 7.0)
    assert kl[0] > 0.1
    assert found == pytest.approx(ce[0] + 0.4 * kl[0], rel=1e-5)
    grad_v, grad_t = ce[1] + 0.4 * kl[1], ce[2] + 0.4 * kl[2]
    np.testing.assert_allclose(case.video.grad, grad_v + grad_v @ b @ a, **CLOSE)
    np.testing.assert_allclose(case.text.grad, grad_t, **CLOSE)
    np.testing.assert_allclose(case.distillation.up.grad, grad_v.T @ (case.v @ a.T), **CLOSE)
    np.testing.assert_allclose(case.distillation.down.grad, (grad_v @ b).T @ case.v, **CLOSE)
    assert case.model.logit_scale.grad.item() == pytest.approx(7.0 * (ce[3] + 0.4 * kl[3]), rel=1e-3)


def test_relational_at_the_start_is_cross_entropy_and_what_the_weight_makes_of_the_divergence():
    case = Case("relational", RelationalDistillation, weight=3.0, directions=11)
    omega = numbers.unit(np.random.default_rng(5).standard_normal((11, E)))
    ce = numbers.cross_entropy(case.v, case.t, case.y, 7.0)
    kl = numbers.relational(case.v, case.t, case.vt, case.tt, omega, 7.0)
    assert case.loss() == pytest.approx(ce[0] + 3 * kl[0], rel=1e-5)
    assert not case.distillation.up.any()


def test_feature_by_hand_with_projections_that_have_learned():
    case, rng = Case("feature", FeatureDistillation), np.random.default_rng(1)
    w = [rng.standard_normal((E, E)) * 0.3 for _ in range(4)]
    parts = case.distillation.video, case.distillation.text
    with torch.no_grad():
        for part, inner, outer in zip(parts, w[::2], w[1::2], strict=True):
            part.inner.copy_(torch.tensor(inner))
            part.outer.copy_(torch.tensor(outer))
    found = case.loss()
    ce = numbers.cross_entropy(case.v, case.t, case.y, 7.0)
    video = numbers.distance(case.v, case.vt, w[0], w[1])
    text = numbers.distance(case.t, case.tt, w[2], w[3])
    assert found == pytest.approx(ce[0] + 2 * (video[0] + text[0]), rel=1e-5)
    np.testing.assert_allclose(case.video.grad, ce[1] + 2 * video[1], **CLOSE)
    np.testing.assert_allclose(case.text.grad, ce[2] + 2 * text[1], **CLOSE)
    for part, (_, _, inner, outer) in zip(parts, (video, text), strict=True):
        np.testing.assert_allclose(part.inner.grad, 2 * inner, **CLOSE)
        np.testing.assert_allclose(part.outer.grad, 2 * outer, **CLOSE)


def test_feature_at_the_start_is_the_plain_distance():
    case = Case("feature", FeatureDistillation, weight=0.5)
    ce = numbers.cross_entropy(case.v, case.t, case.y, 7.0)[0]
    cosines = [(numbers.unit(x) * numbers.unit(y)).sum(-1) for x, y in ((case.v, case.vt), (case.t, case.tt))]
    assert case.loss() == pytest.approx(ce + 0.5 * sum(1 - cos.mean() for cos in cosines), rel=1e-5)


def test_numbers_derived_by_hand_are_those_of_differences():
    """The gradients above, each in a random direction, against central differences of their own values."""
    rng = np.random.default_rng(3)
    (v, vt), (t, tt) = rng.standard_normal((2, B, E)), rng.standard_normal((2, K, C, E))
    y, omega = rng.dirichlet(np.ones(C), B), numbers.unit(rng.standard_normal((9, E)))
    w1, w2, h = rng.standard_normal((E, E)), rng.standard_normal((E, E)), 1e-5
    dv, dt, dw = rng.standard_normal(v.shape), rng.standard_normal(t.shape), rng.standard_normal(w1.shape)
    for function in (
        lambda v, t, s: numbers.cross_entropy(v, t, y, s),
        lambda v, t, s: numbers.relational(v, t, vt, tt, omega, s, 7.0),
    ):
        _, grad_v, grad_t, grad_s = function(v, t, 7.0)
        ends = [function(v + z * dv, t + z * dt, 7.0 + z)[0] for z in (h, -h)]
        assert (grad_v * dv).sum() + (grad_t * dt).sum() + grad_s == pytest.approx(
            (ends[0] - ends[1]) / 2 / h, rel=1e-5
        )
    _, grad_x, grad_1, grad_2 = numbers.distance(v, vt, w1, w2)
    ends = [numbers.distance(v + z * dv, vt, w1 + z * dw, w2 + z * dw)[0] for z in (h, -h)]
    total = (grad_x * dv).sum() + (grad_1 * dw).sum() + (grad_2 * dw).sum()
    assert total == pytest.approx((ends[0] - ends[1]) / 2 / h, rel=1e-5)


def test_directions_are_unit_vectors_and_those_of_the_generator():
    drawn = unit_vectors(200, 32, np.random.default_rng(2))
    torch.testing.assert_close(drawn.norm(dim=1), torch.ones(200))
    assert torch.equal(drawn, unit_vectors(200, 32, np.random.default_rng(2)))
