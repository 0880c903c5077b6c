"""The training loop, for every task and every size of run."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor

from claver.errors import ClaverError
from claver.models import Claver
from claver.training.checkpoint import State, find_checkpoint, load_checkpoint, save_checkpoint
from claver.training.optim import freeze, groups_table, make_optimizer, parameter_groups, rate_at
from claver.training.recipe import Recipe
from claver.training.sampling import Rows, batch_at, chance_at


class TrainingError(ClaverError):
    """A run that cannot go on."""


class Task(Protocol):
    """What is learned: a training set, a loss on some of it, and a measure of success."""

    def __len__(self) -> int:
        """Samples in the training set."""

    def loss(self, model: Claver, rows: Rows, chance: np.random.Generator) -> Tensor:
        """The scalar loss on some samples; all that is random is drawn from `chance`."""

    def evaluate(self, model: Claver) -> dict[str, float]:
        """Named figures on held-out data."""


@dataclass
class Trainer:
    """One run of a recipe. Samples and random numbers of a step depend on (seed, step) alone: resuming is exact.

    Attributes:
        recipe: what to do.
        model: trained in place.
        task: what is learned.
        folder: where checkpoints go; None for none.
        name: what the progress bar calls the run.
        console: where the opening table goes; None for nowhere.
        progress: a progress display to join; None to open one on `console`.
        after_step: called with the number of steps done after each.
    """

    recipe: Recipe
    model: Claver
    task: Task
    folder: Path | None = None
    name: str = "training"
    console: Console | None = None
    progress: Progress | None = None
    after_step: Callable[[int], None] | None = None
    losses: list[float] = field(default_factory=list, init=False)
    figures: dict[int, dict[str, float]] = field(default_factory=dict, init=False)

    def run(self, *, resume: bool = False) -> list[float]:
        """Train to the end of the recipe, from the last checkpoint if `resume` and there is one.

        Returns:
            The loss of every step.

        Raises:
            TrainingError: the loss is no longer a number.
            CheckpointError: the checkpoint cannot be read, written, or is of another recipe.
        """
        accelerator, optimizer = self._prepare()
        total = self.recipe.total_steps(len(self.task))
        start = self._resume(optimizer) if resume else 0
        self.model.train()
        with self._display() as progress:
            bar = progress.add_task(self.name, total=total, completed=start, note="")
            for step in range(start, total):
                rate = self._set_rate(optimizer, step, total)
                self.losses.append(self._step(accelerator, optimizer, step))
                progress.update(bar, advance=1, note=self._note(rate))
                self._after(optimizer, step + 1, total)
        self.model.eval()
        return self.losses

    def _prepare(self) -> tuple[Any, torch.optim.Optimizer]:
        from accelerate import Accelerator

        accelerator = Accelerator(mixed_precision=self.recipe.mixed_precision)
        if accelerator.num_processes > 1:
            raise TrainingError("training runs in one process so far; start it without torchrun or accelerate launch")
        freeze(self.model, self.recipe.freeze)
        groups = parameter_groups(self.model, self.recipe)
        if self.console is not None:
            self.console.print(groups_table(groups, title=f"What learns: {self.name}"))
        self.model.to(accelerator.device)
        optimizer = make_optimizer(self.model, groups, self.recipe)
        # Only the optimiser is wrapped: the tasks call the towers, which a wrapped model would hide.
        return accelerator, accelerator.prepare(optimizer)

    def _step(self, accelerator: Any, optimizer: torch.optim.Optimizer, step: int) -> float:
        recipe, total = self.recipe, 0.0
        rows = batch_at(step, samples=len(self.task), batch_size=recipe.batch_size, seed=recipe.seed)
        chance = chance_at(step, recipe.seed)
        torch.manual_seed(int(chance.integers(2**62)))  # whatever in the model draws from torch
        for part in np.split(rows, recipe.accumulation):
            with accelerator.autocast():
                loss = self.task.loss(self.model, part, chance) / recipe.accumulation
            total += loss.item()
            if not math.isfinite(total):
                raise TrainingError(f"the loss of {self.name} became {total} at step {step}; lower lr or clip_norm")
            accelerator.backward(loss)
        if recipe.clip_norm is not None:
            accelerator.clip_grad_norm_([p for p in self.model.parameters() if p.requires_grad], recipe.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        return total

    def _set_rate(self, optimizer: torch.optim.Optimizer, step: int, total: int) -> float:
        warmup = self.recipe.warmup_steps(len(self.task))
        rate = rate_at(step, total=total, warmup=warmup, floor=self.recipe.min_lr_factor)
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("top_lr", group["lr"]) * rate
        return self.recipe.lr * rate

    def _after(self, optimizer: torch.optim.Optimizer, done: int, total: int) -> None:
        if _due(done, total, self.recipe.evaluate_every):
            self.model.eval()
            self.figures[done] = self.task.evaluate(self.model)
            self.model.train()
        if self.folder is not None and (done == total or _due(done, total, self.recipe.checkpoint_every)):
            save_checkpoint(self.folder, self.model, optimizer, State(done, self._plain_recipe(), self.losses))
        if self.after_step is not None:
            self.after_step(done)

    def _resume(self, optimizer: torch.optim.Optimizer) -> int:
        found = None if self.folder is None else find_checkpoint(self.folder)
        if found is None:
            return 0
        state = load_checkpoint(found, self.model, optimizer, self.recipe)
        self.losses = list(state.losses)
        return state.step

    def _plain_recipe(self) -> dict[str, Any]:
        return self.recipe.model_dump(mode="json")

    def _note(self, rate: float) -> str:
        recent = self.losses[-20:]
        return f"loss {sum(recent) / len(recent):.2f} lr {rate:.0e}"

    def _display(self) -> AbstractContextManager[Progress]:
        return nullcontext(self.progress) if self.progress is not None else training_progress(self.console)


def training_progress(console: Console | None = None) -> Progress:
    """A display of runs: how far, how fast, and how the loss stands; silent without a console."""
    return Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        SpeedColumn(""),
        TextColumn("[dim]{task.fields[note]}[/]"),
        console=console,
        disable=console is None,
    )


class SpeedColumn(TextColumn):
    """Steps a second."""

    def render(self, task: Any) -> Any:
        """The rate of a task, once known."""
        from rich.text import Text

        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "", style="dim")


def _due(done: int, total: int, every: int | None) -> bool:
    return every is not None and (done % every == 0 or done == total)
