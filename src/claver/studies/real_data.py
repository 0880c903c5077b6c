"""The same studies on real clips: the commands that train and evaluate them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping

from claver.studies.study import Options


def train_and_evaluate(options: Options, recipe: str, name: str, changes: Mapping[str, object]) -> list[str]:
    """`claver train` of a recipe with the person's weights and clips, and `claver evaluate` of what it leaves.

    Args:
        options: with model, data and test.
        recipe: that comes with the package.
        name: of the folder in `runs`.
        changes: to the recipe.
    """
    own = {"init_from": options.model, "videos.train": options.data, "videos.test": options.test, **changes}
    words = [
        "claver",
        "train",
        recipe,
        *(f"{key}={_written(value)}" for key, value in own.items()),
        "--output",
        f"runs/{name}",
    ]
    measure = ["claver", "evaluate", str(options.test), "--model", f"runs/{name}/last", "--views", "4x3"]
    return [shlex.join(words), shlex.join(measure)]


def _written(value: object) -> str:
    return json.dumps(value) if isinstance(value, list) else str(value)
