"""An explanation as a video: each frame beside its maps, and the scores as they stand after it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from claver.explain.evidence import Evidence
from claver.explain.render.drawing import INK, SOFT, draw_scores
from claver.explain.render.heat_map import enlarge, heat_picture, intensity
from claver.explain.render.labels import wrap
from claver.explain.render.summary import headline, seconds_of
from claver.plotting import new_figure

_INCHES = (12.8, 7.2)
_TITLE, _LINE_NAME = 78, 56
"""Characters of a line of the title, and of an action beside its line."""
_SHOWN = (("Frame", ""), ("Spatial relevance", "spatial"), ("Temporal relevance", "temporal"))


def draw_video(explanation: Evidence) -> NDArray[np.uint8]:
    """The video's frames [T, 720, 1280, 3], one for each that the model saw.

    Raises:
        ClaverError: matplotlib is missing.
    """
    shades = {name: intensity(getattr(explanation, name)) for _, name in _SHOWN if name}
    return np.stack([_draw(explanation, shades, frame) for frame in range(len(explanation.moments))])


def _draw(explanation: Evidence, shades: dict[str, Any], frame: int) -> NDArray[np.uint8]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = new_figure(*_INCHES, laid_out=False)
    canvas = FigureCanvasAgg(figure)
    title = wrap(headline(explanation), _TITLE)
    size = 20 if len(title) == 1 else 15 if len(title) == 2 else 30 / len(title)
    style = {"fontsize": size, "weight": "bold", "color": INK, "va": "center", "linespacing": 1.1, "parse_math": False}
    figure.text(0.035, 0.945, "\n".join(title), **style)
    when = seconds_of(explanation, frame)
    counted = f"frame {frame + 1} of {len(explanation.moments)}" + (f" · {when}" if when else "")
    counted += f" · {explanation.moments[frame]:.0%} of the relevance"
    figure.text(0.035, 0.885, counted, fontsize=12, color=SOFT, va="center")
    picture = explanation.prediction.frames[frame]
    for index, (name, key) in enumerate(_SHOWN):
        axes = figure.add_axes((0.035 + 0.315 * index, 0.34, 0.3, 0.48))
        axes.imshow(heat_picture(picture, shades[key][frame]) if key else enlarge(picture))
        none = "" if not key or shades[key].any() else ": none in any frame"
        axes.set_title(name + none, fontsize=12, color=INK, loc="left", pad=5)
        axes.set_axis_off()
    draw_scores(figure.add_axes((0.06, 0.085, 0.6, 0.22)), explanation, frame + 1, _LINE_NAME)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
