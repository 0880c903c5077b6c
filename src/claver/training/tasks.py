"""Tasks by name: what a task is to the trainer, what a definition of one says, and where each is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from rich.progress import Progress
from torch import Tensor

from claver.errors import ClaverError
from claver.models import Claver, Learned
from claver.suggest import hint_or_some
from claver.training.sampling import Rows

_SHOWN = 8  # names of tasks in a message


class Task(Protocol):
    """What is learned: a training set, a loss on some of it, and a measure of success."""

    def __len__(self) -> int:
        """Samples in the training set."""

    def loss(self, model: Claver, rows: Rows, rng: np.random.Generator) -> Tensor:
        """The scalar loss on some samples; all that is random is drawn from `rng`.

        The parts of a step come in the order of its rows. Of several processes each is given its own rows and the
        same `rng`.
        """

    def evaluate(self, model: Claver) -> dict[str, float]:
        """Named figures on held-out data, the first of which tells the best model; called in every process."""


class Section(BaseModel):
    """A part of a recipe; a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Preview(NamedTuple):
    """What a dry run tells of a task.

    Attributes:
        samples: of one epoch.
        about: lines on what is learned from.
        learned: the actions that the model would keep, if any.
    """

    samples: int
    about: Sequence[str] = ()
    learned: Learned | None = None


R = TypeVar("R", bound=Section)  # the recipe: its module needs this one


@dataclass(frozen=True)
class TaskDefinition(Generic[R]):
    """All that training knows of a task; each function raises `ClaverError` for what cannot be.

    Attributes:
        section: what the task reads from the recipe besides the settings that all tasks have.
        begin: the model at its start, but for what depends on data; quick, a dry run calls it.
        build: the model at its start, on a device, and what it is to learn; everything that the recipe names is looked
            for before anything is computed.
        preview: what a dry run tells; nothing is decoded, computed or written.
        key: of the recipe, under which the section stands; below `videos` it is a kind of `Videos`.
        compares: whether the task gives `claver.training.samples.Samples`, without which a recipe can neither distil
            nor interpolate weights.
    """

    section: type[Section]
    begin: Callable[[R], Claver]
    build: Callable[[R, Progress, torch.device], tuple[Claver, Task]]
    preview: Callable[[R, Claver], Preview]
    key: Literal["data", "videos"] = "data"
    compares: bool = False


# Places, as entry points have them: imported when a recipe names the task.
_OURS = {
    "stills": "claver.motion.tasks:STILLS",
    "clips": "claver.motion.tasks:CLIPS",
    "videos": "claver.training.video_runs:VIDEOS",
}
_tasks: dict[str, str | TaskDefinition[Any]] = dict(_OURS)


def register_task(name: str, definition: TaskDefinition[Any] | str) -> None:
    """Let recipes have a task of your own; under a name of your own it may be done again, as notebooks do.

    Args:
        name: what recipes write as `task`.
        definition: it, or where it is, as `package.module:NAME`: imported when a recipe has the task.

    Raises:
        ClaverError: a task of that name comes with claver.
    """
    if name in _OURS:
        raise ClaverError(f"task {name!r} comes with claver; register yours under another name")
    _tasks[name] = definition


def find_task(name: str) -> TaskDefinition[Any]:
    """The definition of a task.

    Raises:
        ClaverError: there is none of that name, or none where it is said to be.
    """
    found = _tasks.get(name)
    if found is None:
        raise ClaverError(f"there is no task {name!r}{hint_or_some(name, _tasks, _SHOWN)}")
    if isinstance(found, TaskDefinition):
        return found
    try:
        definition: TaskDefinition[Any] = resolve_name(found)
    except (ImportError, AttributeError, ValueError) as error:
        raise ClaverError(f"task {name!r} is registered as {found!r}, which cannot be imported: {error}") from error
    return definition
