"""Losses and their gradients in NumPy, derived by hand, to hold the torch ones against.

A `f` of unit vectors has gradient (I − u uᵀ)/|x| ∂f/∂u with respect to the vector x whose unit is u; cross entropy and
divergence have gradient softmax − target with respect to logits.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def unit(x: Array) -> Array:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def through_unit(x: Array, grad: Array) -> Array:
    """The gradient with respect to x, from that with respect to its unit vector."""
    u = unit(x)
    return (grad - u * (u * grad).sum(-1, keepdims=True)) / np.linalg.norm(x, axis=-1, keepdims=True)


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def cross_entropy(v_BE: Array, t_KCE: Array, y_BC: Array, scale: float) -> tuple[float, Array, Array, float]:
    """Eq. 9 and its gradients with respect to v, t and the scale."""
    u, w = unit(v_BE), unit(t_KCE)
    cos = np.einsum("be,kce->bkc", u, w)
    p, count = softmax(scale * cos), v_BE.shape[0] * t_KCE.shape[0]
    loss = -(y_BC[:, None] * np.log(p)).sum() / count
    slope = (p - y_BC[:, None]) / count  # with respect to logits; labels add up to one
    grad_u = scale * np.einsum("bkc,kce->be", slope, w)
    grad_w = scale * np.einsum("bkc,be->kce", slope, u)
    return loss, through_unit(v_BE, grad_u), through_unit(t_KCE, grad_w), float((slope * cos).sum())


def relational(
    v_BE: Array, t_KCE: Array, vt_BE: Array, tt_KCE: Array, omega_RE: Array, scale: float, taught: float = 0.0
) -> tuple[float, Array, Array, float]:
    """KL(teacher ‖ student) of relations along the directions, and the student's gradients.

    The teacher's scale, `taught` or the same number, is no variable.
    """
    gram = omega_RE.T @ omega_RE
    u, w = unit(v_BE), unit(t_KCE)
    raw = np.einsum("be,ef,kcf->bkc", u, gram, w)
    p = softmax(scale * raw)
    q = softmax((taught or scale) * np.einsum("be,ef,kcf->bkc", unit(vt_BE), gram, unit(tt_KCE)))
    count = v_BE.shape[0] * t_KCE.shape[0]
    loss = (q * (np.log(q) - np.log(p))).sum() / count
    slope = (p - q) / count
    grad_u = scale * np.einsum("bkc,kcf,ef->be", slope, w, gram)
    grad_w = scale * np.einsum("bkc,be,ef->kcf", slope, u, gram)
    return loss, through_unit(v_BE, grad_u), through_unit(t_KCE, grad_w), float((slope * raw).sum())


def gelu(x: Array) -> tuple[Array, Array]:
    """x·Φ(x) and its derivative Φ(x) + x·φ(x)."""
    from math import erf

    phi = np.vectorize(lambda z: 0.5 * (1 + erf(z / 2**0.5)))(x)
    return x * phi, phi + x * np.exp(-x * x / 2) / (2 * np.pi) ** 0.5


def distance(x: Array, theirs: Array, w1: Array, w2: Array) -> tuple[float, Array, Array, Array]:
    """Mean 1 − cos of x + 0.1·W₂ GELU(W₁ x) and theirs; gradients with respect to x, W₁ and W₂."""
    flat, other = x.reshape(-1, x.shape[-1]), unit(theirs).reshape(-1, x.shape[-1])
    z = flat @ w1.T
    g, slope = gelu(z)
    full = flat + 0.1 * g @ w2.T
    loss = 1 - (unit(full) * other).sum(-1).mean()
    grad_full = through_unit(full, -other / len(flat))
    grad_z = 0.1 * (grad_full @ w2) * slope
    return loss, (grad_full + grad_z @ w1).reshape(x.shape), grad_z.T @ flat, 0.1 * grad_full.T @ g
