"""Curves of scores over time: relative to a background, smoothed, and the level above which something happens."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from claver.errors import ClaverError

Floats = npt.NDArray[np.float64]

# Of normally distributed values, one in a thousand lies so many standard deviations above the middle.
_DEVIATIONS = 3.0
_LEAST_DEVIATION = 0.1  # windows; below it the weight of a neighbour is less than 1e-21
_NORMAL_DEVIATION = 1.4826  # the standard deviation of a normal distribution over its median absolute deviation


def relative(scores_WC: npt.ArrayLike) -> Floats:
    """Scores of windows against what is usual, [W, C]; 0 is the score of an action without evidence for it.

    From each score is taken the mean of its window, which is high where the pictures go with any text, and then the
    action's own median over the windows, which is high for a text that goes with any picture. The first is left out
    for one or two actions, the second where windows are fewer than `4`, too few to tell what is usual.

    Args:
        scores_WC: scaled cosines of W windows and C actions.
    """
    scores = np.asarray(scores_WC, dtype=np.float64)
    if scores.shape[1] > 2:
        scores = scores - scores.mean(1, keepdims=True)
    return scores - np.median(scores, axis=0) if len(scores) >= 4 else scores


def smooth(curves_WC: npt.ArrayLike, std: float) -> Floats:
    """Curves averaged over neighbouring windows with Gaussian weights, [W, C]; at the ends over those that there are.

    No value leaves the range of its curve, and what is constant stays so.

    Args:
        curves_WC: the curves.
        std: standard deviation of the weights, in windows; 0 changes nothing.

    Raises:
        ClaverError: a standard deviation below 0.
    """
    curves = np.asarray(curves_WC, dtype=np.float64)
    if not 0 <= std < np.inf:
        raise ClaverError(f"smoothing is a number of windows, 0 or above, not {std}")
    if std < _LEAST_DEVIATION or not len(curves):
        return curves.copy()
    reach = min(int(np.ceil(3 * std)), len(curves) - 1)
    summed, weights = np.zeros_like(curves), np.zeros((len(curves), 1))
    for shift in range(-reach, reach + 1):
        weight = np.exp(-0.5 * (shift / std) ** 2)
        into = slice(max(-shift, 0), len(curves) - max(shift, 0))
        summed[into] += weight * curves[max(shift, 0) : len(curves) + min(shift, 0)]
        weights[into] += weight
    return np.asarray(np.clip(summed / weights, curves.min(0), curves.max(0)))  # rounding may lead out of the range


def auto_threshold(curves_WC: npt.ArrayLike) -> float:
    """The level above which an action is taken to happen: what lies far above how these curves spread.

    Most windows show none of most actions, so the middle of all values, and how far they lie from it, tell how scores
    vary where nothing happens; the level is 3 standard deviations above. It is half the highest value at most, so
    that one of few actions that never pauses is found as well, and always above 0.
    """
    curves = np.asarray(curves_WC, dtype=np.float64)
    if not curves.size or curves.max() <= 0:
        return 1.0
    middle = float(np.median(curves))
    std = _NORMAL_DEVIATION * float(np.median(np.abs(curves - middle)))
    highest = float(curves.max())
    return max(min(middle + _DEVIATIONS * std, highest / 2), highest / 1000)
