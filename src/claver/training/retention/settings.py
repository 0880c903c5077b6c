"""What a recipe says of keeping what a model knew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from claver.training.tasks import Section


class Average(Section):
    """The mean of the weights at the ends of epochs, which is evaluated and used in the place of the last weights."""

    from_epoch: int = Field(default=2, ge=1)  # the first whose end counts
    every: int | None = Field(default=None, ge=1)  # steps in the place of an epoch, for short runs


_DISTILL: Mapping[str, dict[str, float]] = {
    "relational": {"weight": 0.4, "decay": 0.9998, "directions": 200},
    "feature": {"weight": 2.0},
}
"""What the authors of each kind have."""


class Distill(Section):
    """What the model at its start, or a slow mean of it, is to teach beside the labels; keys of one kind say which."""

    kind: Literal["relational", "feature"]
    weight: float = Field(default=0.0, gt=0)  # of the teacher's part; relational 0.4, feature 2 if not given
    decay: float | None = Field(default=None, gt=0, lt=1)  # relational: of the running mean that is the teacher, 0.9998
    directions: int | None = Field(default=None, ge=1)  # relational: random unit vectors of a step, 200

    @model_validator(mode="before")
    @classmethod
    def _usual(cls, values: Any) -> Any:
        """Written out, so that a kept recipe says what it was run with."""
        usual = _DISTILL.get(str(values.get("kind"))) if isinstance(values, dict) else None
        if usual is None:
            return values
        given = {key: value for key, value in values.items() if value is not None}
        if foreign := sorted(given.keys() & (_DISTILL["relational"].keys() - usual.keys())):
            raise ValueError(f"{foreign[0]} is of kind relational; kind feature has a frozen teacher and no directions")
        return usual | given


class Interpolate(Section):
    """A second loss, of weights between those at the start and those that learn."""

    up_to: float = Field(default=0.6, gt=0, le=1)  # the largest share of the start, drawn evenly from 0 on at each step
    weight: float = Field(default=0.5, gt=0)  # of the second loss
