"""Where the figures of a run are followed: TensorBoard where it is installed, others through Accelerate."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from claver.distributed import on_cpu
from claver.errors import ClaverError
from claver.log import logger, warn_once
from claver.training.recipe import Recipe

# What says where to compute, not how; and values that `accelerate launch` sets when nothing was asked for.
_MACHINE = {"ACCELERATE_USE_CPU", "ACCELERATE_TORCH_DEVICE", "ACCELERATE_CPU_AFFINITY", "ACCELERATE_DEBUG_MODE"}
_MACHINE |= {"ACCELERATE_LOG_LEVEL", "ACCELERATE_DISABLE_RICH", "ACCELERATE_ENABLE_RICH"}
_OFF = {"", "0", "1", "no", "false", "none", "default"}


def chosen_trackers(recipe: Recipe) -> list[str]:
    """The trackers a recipe asks for; without a word on it TensorBoard, if that is installed.

    Raises:
        ClaverError: one that Accelerate does not know, or that is not installed.
    """
    if recipe.trackers is None:
        return ["tensorboard"] if find_spec("tensorboard") else []
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

    known, installed = sorted(map(str, LOGGER_TYPE_TO_CLASS)), {str(name) for name in get_available_trackers()}
    for name in recipe.trackers:
        if name not in known:
            raise ClaverError(f"trackers: there is no {name!r}; Accelerate knows {', '.join(known)}")
        if name not in installed:
            raise ClaverError(f"trackers: {name} is not installed; pip install {name}")
    return list(recipe.trackers)


def make_accelerator(recipe: Recipe, folder: Path | None) -> Any:
    """Accelerate's view of this machine: device, precision, processes and trackers; these only if there is a folder.

    Raises:
        ClaverError: a tracker that cannot be had.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    names = chosen_trackers(recipe) if folder is not None else []
    AcceleratorState._reset_state()  # else a second run in this process could not have another precision
    settings = {"log_with": names or None, "project_dir": folder, "cpu": on_cpu()}
    with _recipe_alone():
        return Accelerator(mixed_precision=recipe.mixed_precision, **settings)


@contextmanager
def _recipe_alone() -> Iterator[None]:
    """Within this context Accelerate finds nothing in the environment that would change what a recipe says."""
    found = {key: value for key, value in os.environ.items() if key.startswith("ACCELERATE_") and key not in _MACHINE}
    if loud := sorted(key for key, value in found.items() if value.lower() not in _OFF):
        warn_once(f"{', '.join(loud)} in the environment changes nothing: how to train is said by the recipe")
    for key in found:
        del os.environ[key]
    try:
        yield
    finally:
        os.environ.update(found)


def open_trackers(accelerator: Any, recipe: Recipe, first_step: int) -> None:
    """Begin to follow a run, or go on where it was interrupted.

    Raises:
        ClaverError: nothing can be written (disk full).
    """
    settings = {"tensorboard": {"purge_step": first_step}} if first_step else {}
    try:
        accelerator.init_trackers("logs", config=_flat(recipe.model_dump(mode="json")), init_kwargs=settings)
    except OSError as error:
        raise ClaverError(f"the run's figures cannot be written to {accelerator.logging_dir}: {error}") from error


def log_metrics(accelerator: Any, figures: Mapping[str, float], step: int) -> None:
    """Write the figures of a step; where that fails the run goes on without, for its weights are worth more."""
    try:
        accelerator.log(dict(figures), step=step)
    except OSError as error:
        accelerator.trackers = []
        logger.warning("the run's figures can no longer be written and are followed no further: %s", error)


def close_trackers(accelerator: Any) -> None:
    """See that all figures are written; the processes stay joined, for what comes after the run."""
    try:
        for tracker in accelerator.trackers:
            tracker.finish()
    except OSError as error:
        logger.warning("the run's last figures could not be written: %s", error)


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value if isinstance(value, bool | int | float) else str(value)
    return flat
