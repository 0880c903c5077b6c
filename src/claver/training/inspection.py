"""What a step was computed from, kept for inspection when its loss is not finite."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from claver.distributed import from_everyone, rank_and_size
from claver.errors import ClaverError
from claver.files import replacing, write_whole
from claver.json_text import to_json
from claver.training.sampling import Rows


@runtime_checkable
class Inspectable(Protocol):
    """A task that can show what a loss was computed from."""

    def inputs(self, rows: Rows) -> tuple[Mapping[str, Tensor], Mapping[str, Any]]:
        """The tensors of some samples of the step just computed, and facts about them, such as their paths."""


def save_batch(folder: Path, task: object, step: int, parts: Sequence[Rows], losses: Sequence[float]) -> str:
    """Write the parts of a step that made it non-finite to `folder/step-N`, for each a JSON and, if it can be, tensors.

    Of all processes those parts are written whose loss is not finite; where all losses of the step are numbers, the
    gradient was none, and every part is written.

    Returns:
        A half-sentence that says where, or why there is nothing.
    """
    bad = [number for number, loss in enumerate(losses) if not math.isfinite(loss)]
    if not any(from_everyone(bad)):
        bad = list(range(len(losses)))
    place, rank = folder / f"step-{step}", rank_and_size()[0]
    try:
        for number in bad:
            name = f"rank{rank}" + (f"-part{number}" if len(parts) > 1 else "")
            _write(place, name, task, parts[number], {"step": step, "loss": str(losses[number])})
    except (OSError, SafetensorError, ClaverError) as error:
        return f"its batch could not be written to {place}: {error}"
    return f"its batch is in {place}"


def _write(place: Path, name: str, task: object, rows: Rows, facts: dict[str, Any]) -> None:
    place.mkdir(parents=True, exist_ok=True)
    facts["rows"] = rows.tolist()
    if isinstance(task, Inspectable):
        tensors, more = task.inputs(rows)
        with replacing(place / f"{name}.safetensors") as beside:
            save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, beside)
        facts |= more
    write_whole(place / f"{name}.json", to_json(facts, indent=2))
