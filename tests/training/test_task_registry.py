"""Tasks of a user's own: registered by name, found from a recipe, trained, resumed, refused where they are wrong."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import Field
from rich.progress import Progress
from tests.training.small import SIZES, small_model

from claver.errors import ClaverError
from claver.models import Claver, Learned
from claver.training import Preview, Recipe, Section, TaskDefinition, Trainer, register_task, tasks
from claver.training.build import begin, build
from claver.training.clips import ClipsTask, tokenize_classes
from claver.training.initialization import with_temporal
from claver.training.plan import plan
from claver.training.recipe import make_recipe
from claver.training.tokens import TokenClips, cache_tokens

SAID = {"dark": ("a dark room",), "bright": ("a bright room",)}


class Rooms(Section):
    """Clips of one shade each."""

    clips: int = Field(ge=2)
    shades: tuple[int, int] = (40, 200)


def begin_rooms(recipe: Recipe) -> Claver:
    return with_temporal(small_model(), recipe.temporal, token_scale=1.0, seed=recipe.seed)


def build_rooms(recipe: Recipe, progress: Progress, device: torch.device) -> tuple[Claver, ClipsTask]:
    assert isinstance(recipe.data, Rooms)
    model, labels = begin_rooms(recipe).to(device), np.arange(recipe.data.clips) % 2
    shades = np.array(recipe.data.shades, np.uint8)[labels][:, None, None, None, None]
    frames = np.broadcast_to(shades, (len(labels), recipe.temporal.frames, SIZES.size, SIZES.size, 3)).copy()
    clips = TokenClips(cache_tokens(model, [frames]), torch.from_numpy(labels))
    assert model.tokenizer is not None
    return model, ClipsTask(clips, clips, tokenize_classes(model.tokenizer, SAID), said=SAID)


def preview_rooms(recipe: Recipe, model: Claver) -> Preview:
    assert isinstance(recipe.data, Rooms)
    learned = Learned(tuple(SAID), tuple(SAID.values()), model.config.temporal.frames)
    return Preview(recipe.data.clips, ["data    of shades"], learned)


ROOMS = TaskDefinition(Rooms, begin_rooms, build_rooms, preview_rooms)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_tasks", dict(tasks._tasks))
    register_task("rooms", ROOMS)


def rooms_recipe(**changes: Any) -> Recipe:
    values = {"task": "rooms", "data": {"clips": 8}, "freeze": ["image"], "batch_size": 4, "lr": 1e-3, "trackers": []}
    return make_recipe(values | {"steps": 6, "warmup": 1, "temporal": {"frames": 4, "layers": 1}} | changes)


def trained(recipe: Recipe, folder: Path, *, resume: bool = False, stop_after: int | None = None) -> Trainer:
    def stop(done: int) -> None:
        if done == stop_after:
            raise KeyboardInterrupt

    model, task = build(recipe, Progress(disable=True), torch.device("cpu"))
    trainer = Trainer(recipe, model, task, folder, after_step=stop)
    trainer.run(resume=resume)
    return trainer


def test_a_registered_task_trains_and_resumes_exactly(tmp_path: Path) -> None:
    recipe = rooms_recipe(checkpoint_every=2, evaluate_every=6)
    whole = trained(recipe, tmp_path / "whole")
    assert whole.losses[-1] < whole.losses[0]
    assert whole.figures[6]["top-1"] >= 0.5
    with pytest.raises(KeyboardInterrupt):
        trained(recipe, tmp_path / "cut", stop_after=4)
    assert plan(recipe, tmp_path / "cut", resume=True)[0][-1].endswith("resuming at step 4")
    assert trained(recipe, tmp_path / "cut", resume=True).losses == whole.losses


def test_what_a_run_of_it_keeps_is_read_back_the_same(tmp_path: Path) -> None:
    recipe = rooms_recipe(data={"clips": 8, "shades": [1, 2]})
    kept = json.loads(recipe.model_dump_json())
    assert kept["data"] == {"clips": 8, "shades": [1, 2]}
    assert make_recipe(kept) == recipe


def test_a_dry_run_tells_what_the_task_says_of_itself(tmp_path: Path) -> None:
    lines, table = plan(rooms_recipe(), tmp_path / "run", resume=True)
    assert lines[1] == "data    of shades"
    assert lines[2].startswith("steps   6 of 4 (3 epochs)")
    assert table.row_count
    assert begin(rooms_recipe()).config.temporal.frames == 4


def test_a_task_may_be_registered_as_the_place_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    register_task("lazy", "tests.training.test_task_registry:ROOMS")
    assert isinstance(tasks.find_task("lazy"), TaskDefinition)
    for place in ("no_such_package:ROOMS", "claver.errors:ROOMS", "no place"):
        register_task("lazy", place)
        with pytest.raises(ClaverError, match=r"^recipe: task: task 'lazy' is registered as '.*', which cannot be"):
            rooms_recipe(task="lazy")


def test_a_task_of_claver_is_not_replaced() -> None:
    with pytest.raises(ClaverError, match="task 'clips' comes with claver; register yours under another name"):
        register_task("clips", ROOMS)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": "room"}, r"recipe: task: there is no task 'room'; did you mean 'rooms'\?"),
        ({"task": "xyz"}, r"recipe: task: there is no task 'xyz' \(stills, clips, videos, rooms\)"),
        ({"data": {"clips": 8, "shade": 3}}, r"recipe: unknown key 'data.shade'; did you mean 'data.shades'\?"),
        ({"data": {"clip": 8}}, r"recipe: unknown key 'data.clip'; did you mean 'data.clips'\?"),
        ({"data": {}}, "recipe: task rooms needs data.clips"),
        ({"data": None}, "recipe: task rooms needs data.clips"),
        ({"data": {"clips": 1}}, "recipe: data.clips: .*"),
        ({"videos": {"train": "a.csv"}}, "recipe: videos: task rooms reads section data, not this one"),
    ],
)
def test_what_is_wrong_with_its_section_is_said_in_one_sentence(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ClaverError, match=f"^{said}$"):
        rooms_recipe(**changes)
