"""The training loop, for every task and every size of run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress

from claver.distributed import rank_and_size, wait_for_all
from claver.errors import ClaverError
from claver.models import Claver, Learned
from claver.models.compiling import compile_towers
from claver.training.checkpoint import (
    State,
    find_checkpoint,
    load_checkpoint,
    prepare_folder,
    save_best,
    save_checkpoint,
)
from claver.training.display import training_progress
from claver.training.distributed import (
    check_enough,
    check_same_start,
    largest,
    share_of,
    share_weights,
    sum_gradients,
    sum_over_processes,
)
from claver.training.ema import Averages, Ema
from claver.training.inspection import save_batch
from claver.training.interruption import Interrupted, Stop
from claver.training.lora import add_lora, merge_lora
from claver.training.memory import recomputed_blocks
from claver.training.optim import (
    extra_groups,
    freeze,
    groups_table,
    make_optimizer,
    parameter_groups,
    rate_at,
    to_training,
)
from claver.training.recipe import Recipe
from claver.training.retention.averaging import EpochAverage
from claver.training.retention.retention import Retention, named
from claver.training.run_folder import held, set_aside
from claver.training.sampling import Rows, batch_at, chance_at
from claver.training.tasks import Task
from claver.training.trackers import close_trackers, log_metrics, make_accelerator, open_trackers

__all__ = ["Task", "Trainer", "TrainingError", "WorksAhead", "training_progress"]


class TrainingError(ClaverError):
    """A run that cannot go on."""


@runtime_checkable
class WorksAhead(Protocol):
    """A task that prepares its samples before they are asked for."""

    def begin(self, rows_at: Callable[[int], Rows], first_step: int) -> None:
        """Called before the first step with the rows this process computes at each."""

    def end(self) -> None:
        """Called when the run ends, or fails."""


@runtime_checkable
class Ordered(Protocol):
    """A task whose samples come in an order of their own, such as that of a disk."""

    def rows_at(self, step: int) -> Rows:
        """The samples this process computes at a step, a function of the step and of nothing else."""


@runtime_checkable
class Teaches(Protocol):
    """A task after which a model knows actions."""

    def learned(self, model: Claver) -> Learned | None:
        """Which, what was said of them, and how clips were looked at: the model keeps it."""


@dataclass
class _Run:
    """What a run needs besides the model."""

    accelerator: Any
    optimizer: torch.optim.Optimizer
    averages: Averages | None
    retention: Retention
    total: int
    stop: Stop
    saved: float = field(default_factory=time.monotonic)  # when the last checkpoint was

    @property
    def scaler(self) -> dict[str, Any]:
        scaler = self.accelerator.scaler
        return {} if scaler is None else dict(scaler.state_dict())


@dataclass
class Trainer:
    """One run of a recipe. Samples and random numbers of a step depend on (seed, step) alone: resuming is exact.

    In several processes (`torchrun`, `accelerate launch`) each computes its share of every step; what comes out is
    that of one process up to rounding. The first one writes and shows.

    Attributes:
        recipe: what to do.
        model: trained in place.
        task: what is learned.
        folder: where checkpoints go, `last` and `best`; None for none. What another run left there is moved into
            `earlier-N`, unless this one goes on with it.
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
            TrainingError: the loss is no longer a number; the batch is kept in `folder/inspect`.
            CheckpointError: the checkpoint cannot be read, written, or is of another recipe.
            ClaverError: too few samples for the processes, or another run is writing to the folder.
            Interrupted: Ctrl-C or SIGTERM, with a folder; the step is finished and a checkpoint saved first. Others of
                several processes stop at the same step.
        """
        with ExitStack() as stack:
            run = self._prepare(stack)
            start = self._start(run, resume)
            self._open(stack, run, start)
            if start and start not in self.figures and self.recipe.evaluates(start, len(self.task)):
                self._keep(run, start)  # the run was interrupted before it could measure the model
            progress = stack.enter_context(self._display())
            bar = progress.add_task(self.name, total=run.total, completed=start, note="")
            for step in range(start, run.total):
                rate = self._set_rate(run, step)
                self.losses.append(self._step(run, step))
                if self.model.config.untrained and any(p.requires_grad for p in self.model.readout.parameters()):
                    self.model.config = replace(self.model.config, untrained=False)
                log_metrics(run.accelerator, {"loss": self.losses[-1], "lr": rate}, step + 1)
                progress.update(bar, advance=1, note=self._note(rate))
                self._after(run, step + 1)
        merge_lora(self.model)
        self.model.eval()
        return self.losses

    def _prepare(self, stack: ExitStack) -> _Run:
        recipe = self.recipe
        accelerator = make_accelerator(recipe, self.folder)
        check_enough(len(self.task), recipe.batch_size, recipe.accumulation)
        if self.folder is not None and _first():
            prepare_folder(self.folder)
            stack.enter_context(held(self.folder))
        # Not what the model that training starts from knew.
        self.model.learned = self.task.learned(self.model) if isinstance(self.task, Teaches) else None
        self.model.to(accelerator.device)
        freeze(self.model, recipe.freeze)
        retention = Retention(self.model, recipe)
        if recipe.lora is not None:
            add_lora(self.model, recipe.lora)
        groups = parameter_groups(self.model, recipe) + extra_groups(retention.parameters(), recipe)
        if self.console is not None and _first():
            self.console.print(groups_table(groups, title=f"What learns: {self.name}"))
        self.model.to(accelerator.device)
        optimizer = make_optimizer(named(self.model, retention), groups, recipe)
        averages: Averages | None = None if recipe.ema is None else Ema(self.model, recipe.ema)
        if recipe.average is not None:
            averages = EpochAverage(self.model, lambda done: recipe.averages(done, len(self.task)))
        # Only the optimiser is wrapped: the tasks call the towers, which a wrapped model would hide.
        total = recipe.total_steps(len(self.task))
        return _Run(accelerator, accelerator.prepare(optimizer), averages, retention, total, Stop(speaks=_first()))

    def _start(self, run: _Run, resume: bool) -> int:
        """The step to begin with, the same in all processes; what an earlier run left is moved aside if it is 0."""
        start = self._resume(run) if resume else 0
        check_same_start(start)
        share_weights(self.model)
        run.retention.share_start()
        if not start and self.folder is not None and _first():
            set_aside(self.folder)
        return start

    def _open(self, stack: ExitStack, run: _Run, start: int) -> None:
        """Everything that must be closed again however the run ends."""
        stack.enter_context(recomputed_blocks(self.model, self.recipe.activation_checkpointing))
        if self.recipe.compile:
            compile_towers(self.model)
        if self.folder is not None:
            stack.enter_context(run.stop.watched())
        open_trackers(run.accelerator, self.recipe, start)
        stack.callback(close_trackers, run.accelerator)
        if isinstance(self.task, WorksAhead):
            stack.callback(self.task.end)
            self.task.begin(self._rows_at, start)
        to_training(self.model)

    def _rows_at(self, step: int) -> Rows:
        """The samples this process computes at a step."""
        if isinstance(self.task, Ordered):
            return self.task.rows_at(step)
        recipe = self.recipe
        rows = batch_at(step, samples=len(self.task), batch_size=recipe.batch_size, seed=recipe.seed)
        return share_of(rows)

    def _step(self, run: _Run, step: int) -> float:
        recipe, accelerator = self.recipe, run.accelerator
        rng = chance_at(step, recipe.seed)
        torch.manual_seed(int(rng.integers(2**62)))  # whatever in the model draws from torch
        parts, losses = np.array_split(self._rows_at(step), recipe.accumulation), []
        way: dict[str, Any] = {"step": step, "autocast": accelerator.autocast, "backward": accelerator.backward}
        for part in parts:
            # Weighed by its share of the whole step, so that sums over parts and processes are the step's.
            shares = recipe.batch_size / len(part)
            losses.append(run.retention.accumulate(self.model, self.task, part, rng, parts=shares, **way))
        own = [loss.item() for loss in losses]
        total = sum_over_processes(sum(own), accelerator.device)
        if not math.isfinite(total):
            raise self._no_number("loss", total, step, parts, own)
        if not self._update(run, step):
            raise self._no_number("gradient", math.nan, step, parts, own)
        return total

    def _update(self, run: _Run, step: int) -> bool:
        """Make the step; False, and no step, if the gradient is not finite: weights and checkpoints stay sound."""
        learning = [p for p in named(self.model, run.retention).values() if p.requires_grad]
        sum_gradients(learning)
        norm = run.accelerator.clip_grad_norm_(learning, self.recipe.clip_norm or math.inf)
        # With fp16 it is the scaler's part to pass over such steps.
        if run.accelerator.scaler is None and not math.isfinite(norm):
            return False
        run.optimizer.step()
        run.optimizer.zero_grad()
        self.model.clamp_scale()
        run.retention.after_step(self.model)
        if run.averages is not None:
            run.averages.update(step)
        return True

    def _no_number(self, what: str, value: float, step: int, parts: list[Rows], losses: list[float]) -> TrainingError:
        kept = ""
        if self.folder is not None:
            kept = "; " + save_batch(self.folder / "inspect", self.task, step, parts, losses)
            wait_for_all()  # a process that ends takes the others with it
        return TrainingError(f"the {what} of {self.name} became {value} at step {step}; lower lr or clip_norm{kept}")

    def _set_rate(self, run: _Run, step: int) -> float:
        warmup = self.recipe.warmup_steps(len(self.task))
        rate = rate_at(step, total=run.total, warmup=warmup, floor=self.recipe.min_lr_factor)
        for group in run.optimizer.param_groups:
            group["lr"] = group.setdefault("top_lr", group["lr"]) * rate
        return self.recipe.lr * rate

    def _after(self, run: _Run, done: int) -> None:
        if done < run.total and (number := largest(run.stop.number, run.accelerator.device)):
            self._save(run, done)
            wait_for_all()
            raise Interrupted(number, done)
        self._keep(run, done)
        if self.after_step is not None:
            self.after_step(done)

    def _keep(self, run: _Run, done: int) -> None:
        """Measure and save what is due."""
        if self.recipe.evaluates(done, len(self.task)) and (number := self._evaluate(run, done)):
            self._save(run, done)
            raise Interrupted(number, done)
        every, minutes = self.recipe.checkpoint_every, self.recipe.checkpoint_minutes
        late = minutes is not None and time.monotonic() - run.saved >= 60 * minutes
        if done == run.total or late or (every is not None and done % every == 0):
            self._save(run, done)
        if done == run.total:
            wait_for_all()

    def _save(self, run: _Run, done: int) -> None:
        run.saved = time.monotonic()
        if self.folder is not None and _first():
            state = State(done, self.recipe.model_dump(mode="json"), self.losses, self.figures, run.scaler)
            save_checkpoint(self.folder, self.model, run.optimizer, state, run.averages, run.retention)

    def _evaluate(self, run: _Run, done: int) -> int:
        """Measure the model, or that of the averaged weights; returns the signal that cut it short, else 0.

        It may take long, so it is not finished then: it begins anew when the run goes on.
        """
        self.model.eval()
        # Weights are never left half exchanged: signals are obeyed at once within, and noted around it.
        with nullcontext() if run.averages is None else run.averages.applied():
            try:
                with run.stop.at_once():
                    self._measure(run, done)
            except Interrupted as stop:
                return stop.number
        to_training(self.model)
        return 0

    def _measure(self, run: _Run, done: int) -> None:
        """Measure the model as it is, and keep it if it is the best so far; before an average begins none is."""
        figures = self.task.evaluate(self.model)

        def may_be_best(step: int) -> bool:
            return run.averages is None or run.averages.has_by(step)

        scores = [
            next(iter(earlier.values())) for step, earlier in self.figures.items() if earlier and may_be_best(step)
        ]
        is_best = figures and may_be_best(done) and next(iter(figures.values())) > max(scores, default=-math.inf)
        if self.folder is not None and _first() and is_best:
            save_best(self.folder, self.model, figures, done)
        self.figures[done] = figures
        log_metrics(run.accelerator, figures, done)

    def _resume(self, run: _Run) -> int:
        found = None if self.folder is None else find_checkpoint(self.folder)
        if found is None:
            return 0
        state = load_checkpoint(found, self.model, run.optimizer, self.recipe, run.averages, run.retention)
        self.losses, self.figures = list(state.losses), dict(state.figures)
        if state.scaler and run.accelerator.scaler is not None:
            run.accelerator.scaler.load_state_dict(state.scaler)
        return state.step

    def _note(self, rate: float) -> str:
        recent = self.losses[-20:]
        return f"loss {sum(recent) / len(recent):.2f} lr {rate:.0e}"

    def _display(self) -> AbstractContextManager[Progress]:
        if self.progress is not None:
            return nullcontext(self.progress)
        return training_progress(self.console if _first() else None)


def _first() -> bool:
    """Whether this process is the one that writes and shows."""
    return rank_and_size()[0] == 0
