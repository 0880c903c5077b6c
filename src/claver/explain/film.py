"""An explanation as a film: each frame beside its maps, and the scores as they stand after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from claver.explain.drawing import INK, SOFT, draw_scores, new_figure
from claver.explain.heat import brightness, enlarge, heat_picture
from claver.explain.labels import shorten
from claver.explain.telling import headline

if TYPE_CHECKING:
    from claver.explain.explanation import Explanation

_INCHES = (12.8, 7.2)
_SHOWN = (("Frame", ""), ("Spatial relevance", "spatial"), ("Temporal relevance", "temporal"))


def draw_film(explanation: Explanation) -> NDArray[np.uint8]:
    """The film's frames [T, 720, 1280, 3], one for each that the model saw.

    Raises:
        ClaverError: matplotlib is missing.
    """
    lights = {name: brightness(getattr(explanation, name)) for _, name in _SHOWN if name}
    return np.stack([_draw(explanation, lights, frame) for frame in range(len(explanation.moments))])


def _draw(explanation: Explanation, lights: dict[str, Any], frame: int) -> NDArray[np.uint8]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = new_figure(*_INCHES)
    canvas = FigureCanvasAgg(figure)
    title = shorten(headline(explanation), 75)
    figure.text(0.035, 0.945, title, fontsize=20, weight="bold", color=INK, va="center", parse_math=False)
    counted = f"frame {frame + 1} of {len(explanation.moments)} · {explanation.moments[frame]:.0%} of the relevance"
    figure.text(0.965, 0.945, counted, fontsize=12, color=SOFT, va="center", ha="right")
    picture = explanation.prediction.frames[frame]
    for place, (name, key) in enumerate(_SHOWN):
        axes = figure.add_axes((0.035 + 0.315 * place, 0.36, 0.3, 0.5))
        axes.imshow(heat_picture(picture, lights[key][frame]) if key else enlarge(picture))
        axes.set_title(name, fontsize=12, color=INK, loc="left", pad=5)
        axes.set_axis_off()
    draw_scores(figure.add_axes((0.06, 0.085, 0.68, 0.22)), explanation, frame + 1)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
