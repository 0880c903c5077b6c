"""Training on a stream of shards in one of several processes; started by torchrun. It may end by SIGKILL."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from tests.tiny import talking_model
from tests.videos import write_video

from claver.data import Manifest, Sample, write_manifest, write_shards
from claver.training import Trainer
from claver.training.recipe import Recipe, make_recipe
from claver.training.videos import make_task

CLASSES = ("dance", "jump", "sit")


def shards_in(folder: Path) -> Path:
    """`folder/shards` of nine clips of three classes, two or three in a shard, and the same clips as `clips.csv`."""
    for number in range(9):
        write_video(folder / f"{number}.mp4", seed=number)
    manifest = Manifest(CLASSES, tuple(Sample(f"{n}.mp4", n // 3) for n in range(9)), folder)
    write_manifest(manifest, folder / "clips.csv")
    write_shards(manifest, folder / "shards", size=3 * max(Path(path).stat().st_size for path in manifest.paths()))
    return folder / "shards"


def stream_recipe(folder: Path, *, videos: dict[str, Any] | None = None, **changes: Any) -> Recipe:
    section = {"train": folder / "shards", "stream": True, "buffer": 3, "workers": 0} | (videos or {})
    plain = {"task": "videos", "videos": section, "freeze": ["image"], "steps": 7, "warmup": 1, "batch_size": 4}
    return make_recipe(plain | {"lr": 1e-3, "checkpoint_every": 2, "trackers": []} | changes)


def main(folder: Path, changes: dict[str, Any]) -> None:
    from claver.distributed import leave, rank_and_size

    torch.set_num_threads(1)
    name, kill_after = changes.pop("name"), changes.pop("kill_after", 0)
    recipe, model = stream_recipe(folder, **changes), talking_model()
    task = make_task(recipe, model)
    seen: list[list[int]] = []

    def after_step(done: int) -> None:
        seen.append([int(row) for row in task.rows_at(done - 1)])
        if done == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    Trainer(recipe, model, task, folder / name, after_step=after_step).run(resume=True)
    (folder / f"{name}-{rank_and_size()[0]}.json").write_text(json.dumps(seen))
    leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
