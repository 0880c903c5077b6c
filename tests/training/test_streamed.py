"""Training on shards read as a stream: each clip once in an epoch, resumed exactly, in several processes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tiny import talking_model
from tests.training.processes import launch
from tests.training.streaming import shards_in, stream_recipe

from claver.errors import ClaverError
from claver.training import Trainer
from claver.training.videos import StreamedVideosTask, make_task


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shards_in(tmp_path_factory.mktemp("stream")).parent


def test_the_streams_clips_are_those_learned_from_and_shown(folder: Path) -> None:
    recipe, model = stream_recipe(folder, accumulation=2, steps=5, checkpoint_every=None), talking_model()
    task = make_task(recipe, model)
    assert isinstance(task, StreamedVideosTask)
    shown: list[str] = []

    def after_step(done: int) -> None:
        for part in np.array_split(task.rows_at(done - 1), 2):
            tensors, facts = task.inputs(part)
            assert facts["clips"] == [f"{row}.mp4" for row in part]
            assert tensors["labels"].tolist() == [row // 3 for row in part]
            shown.extend(facts["clips"])

    Trainer(recipe, model, task, after_step=after_step).run()
    assert len(shown) == 20
    assert sorted(shown[:9]) == sorted(shown[9:18])


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_run_resumed_ends_with_the_weights_of_one_never_interrupted(
    folder: Path, tmp_path: Path, accumulation: int
) -> None:
    def stop(done: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    recipe = stream_recipe(folder, accumulation=accumulation)
    whole, first, second = (talking_model() for _ in range(3))
    Trainer(recipe, whole, make_task(recipe, whole), tmp_path / "whole").run()
    with pytest.raises(KeyboardInterrupt):
        Trainer(recipe, first, make_task(recipe, first), tmp_path / "cut", after_step=stop).run()
    Trainer(recipe, second, make_task(recipe, second), tmp_path / "cut").run(resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    assert not torch.equal(whole.text.position, talking_model().text.position)


@pytest.mark.slow
def test_two_processes_killed_and_resumed_end_with_the_same_weights_and_share_every_epoch(tmp_path: Path) -> None:
    shards_in(tmp_path)
    module = "tests.training.streaming"
    assert launch(tmp_path, 2, module=module, name="cut", accumulation=2, kill_after=5).returncode != 0
    for name in ("cut", "whole"):
        done = launch(tmp_path, 2, module=module, name=name, accumulation=2)
        assert done.returncode == 0, done.stderr
    cut, whole = ((tmp_path / name / "last" / "model.safetensors").read_bytes() for name in ("cut", "whole"))
    assert cut == whole
    steps = [json.loads((tmp_path / f"whole-{rank}.json").read_text()) for rank in range(2)]
    rows = [row for step in zip(*steps, strict=True) for part in step for row in part]
    assert len(rows) == 28
    assert all(sorted(rows[first : first + 9]) == list(range(9)) for first in (0, 9, 18))
    resumed = json.loads((tmp_path / "cut-1.json").read_text())
    assert resumed == steps[1][4:]  # the last checkpoint before step 5 was of step 4


def test_what_cannot_be_streamed_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ClaverError, match=r"reads a folder of shards \(`claver data shard`\), and .*csv is none"):
        make_task(stream_recipe(folder, videos={"train": folder / "clips.csv"}), talking_model())
    with pytest.raises(ClaverError, match="videos: stream and cache exclude each other"):
        stream_recipe(folder, videos={"cache": tmp_path})
    with pytest.raises(ClaverError, match=r"videos\.buffer: .* greater than or equal to 1"):
        stream_recipe(folder, videos={"buffer": 0})


def test_shards_are_a_test_set_too(folder: Path) -> None:
    model, test = talking_model(), {"stream": False, "train": folder / "clips.csv", "train_split": None}
    figures = []
    for place in ("shards", "clips.csv"):
        task = make_task(stream_recipe(folder, videos=test | {"test": folder / place}), model)
        figures.append(task.evaluate(model))
    assert figures[0] == figures[1]
    assert set(figures[0]) == {"top-1", "top-5"}
