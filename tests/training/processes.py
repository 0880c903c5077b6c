"""What one of several processes does: train the small problem and leave its weights; started by torchrun."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import torch
from tests.training.small import clips_problem, clips_recipe

ROOT = Path(__file__).parents[2]


def launch(
    folder: Path, processes: int, *, module: str = "tests.training.processes", **changes: object
) -> subprocess.CompletedProcess[str]:
    """Run a module's `main` in so many processes on this machine."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, "-m", module, str(folder), json.dumps(changes)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)


def main(folder: Path, changes: dict[str, object]) -> None:
    from safetensors.torch import save_file

    from claver.distributed import leave, rank_and_size
    from claver.models import Claver
    from claver.training import Trainer

    torch.set_num_threads(1)
    poison, drift, stop = (int(changes.pop(name, False)) for name in ("poison", "drift", "stop"))  # type: ignore[call-overload]
    recipe = clips_recipe(**changes)
    model, task = clips_problem(recipe)
    if drift and os.environ["RANK"] != "0":
        model.readout.projection.data.mul_(1.01)
    encoded: list[int] = []
    encode = Claver.encode_text  # of the class: a teacher is a copy of the model, with what was put into it

    def counted(self: Claver, tokens: torch.Tensor) -> torch.Tensor:
        encoded.append(tokens.shape[:-1].numel())
        return encode(self, tokens)

    Claver.encode_text = counted  # type: ignore[method-assign]
    trainer = Trainer(recipe, model, task, folder / "run", after_step=lambda done: _tell(done, stop))
    if poison:
        task.train.tokens[int(trainer_rows(trainer, len(task))[-1])] = float("nan")
    try:
        trainer.run()
    finally:
        rank, size = rank_and_size()
        facts = {"losses": trainer.losses, "encoded": encoded, "figures": list(trainer.figures.values())}
        (folder / f"facts-{rank}-of-{size}.json").write_text(json.dumps(facts))
        save_file(model.state_dict(), folder / f"weights-{rank}-of-{size}.safetensors")
        leave()


def _tell(done: int, stop: int) -> None:
    """The last process, and no other, is told to stop after some steps."""
    if stop == done and os.environ["RANK"] != "0":
        os.kill(os.getpid(), signal.SIGTERM)


def trainer_rows(trainer: object, samples: int) -> object:
    """The rows of step 0, whole."""
    from claver.training.sampling import batch_at

    recipe = trainer.recipe
    return batch_at(0, samples=samples, batch_size=recipe.batch_size, seed=recipe.seed)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
