"""The same on files of video: a clip is decoded and varied once for all models of a step, whatever learns."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tiny import talking_model
from tests.training.small import clips_problem, clips_recipe
from tests.videos import write_video

from claver.data import Manifest, Sample, write_manifest
from claver.training import Trainer
from claver.training.recipe import make_recipe
from claver.training.retention.retention import Retention
from claver.training.videos import make_task

WAYS = {
    "feature": {"distill": {"kind": "feature"}},
    "relational": {"distill": {"kind": "relational"}},
    "interpolate": {"interpolate": {}},
}
LEARNS = {
    "all towers": [],
    "all but the image tower": ["image"],
    "no tower of CLIP's but the projection": ["image", "text"],
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    for number in range(6):
        write_video(root / f"{number}.mp4", seed=number)
    samples = tuple(Sample(f"{number}.mp4", number // 2) for number in range(6))
    write_manifest(Manifest(("dance", "jump", "sit"), samples, root), root / "train.csv")
    return root


def recipe_of(clips, **changes):
    videos = {"train": clips / "train.csv", "workers": 0, "texts": "templates"}
    values = {"task": "videos", "videos": videos, "steps": 2, "warmup": 0, "batch_size": 4, "lr": 1e-3, "trackers": []}
    return make_recipe(values | changes)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("learns", LEARNS)
def test_a_run_on_files_draws_the_clips_and_texts_of_a_plain_one(clips, way, learns):
    losses = []
    for keys in ({}, WAYS[way]):
        # A weight of nothing leaves the loss of the labels: of the same clips, variations and texts.
        nothing = {key: value | {"weight": 1e-9} for key, value in keys.items()}
        recipe, model = recipe_of(clips, freeze=LEARNS[learns], **nothing), talking_model()
        losses.append(Trainer(recipe, model, make_task(recipe, model)).run()[0])
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_a_teacher_has_an_image_tower_of_its_own_where_that_learns_and_looks_at_the_same_pixels(clips):
    recipe, model = recipe_of(clips, freeze=[], distill={"kind": "feature"}), talking_model()
    task = make_task(recipe, model)
    teacher = Retention(model, recipe).distillation.teacher
    task.begin(lambda step: np.arange(4), 0)
    samples = task.samples(model, np.arange(4), np.random.default_rng(0))
    with torch.no_grad():
        before = samples.videos(teacher)
        model.temporal.initialize("zero")
        torch.testing.assert_close(samples.videos(model), before, rtol=1e-4, atol=1e-5)
        model.image.position.add_(torch.randn(model.image.position.shape, generator=torch.Generator().manual_seed(0)))
        assert (samples.videos(model) - before).abs().max() > 1e-3
        torch.testing.assert_close(samples.videos(teacher), before)


@pytest.mark.parametrize("way", WAYS)
def test_recomputed_activations_leave_the_run_as_it_is(way):
    weights = []
    for recomputed in (False, True):
        recipe = clips_recipe(steps=2, lr=2e-3, activation_checkpointing=recomputed, **WAYS[way])
        model, task = clips_problem(recipe)
        Trainer(recipe, model, task).run()
        weights.append(model.state_dict())
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


@pytest.mark.parametrize("way", WAYS)
def test_in_mixed_precision_the_loss_is_about_the_same(way):
    losses = []
    for precision in ("no", "bf16"):
        recipe = clips_recipe(steps=1, warmup=0, mixed_precision=precision, **WAYS[way])
        model, task = clips_problem(recipe)
        losses.append(Trainer(recipe, model, task).run()[0])
    assert losses[0] == pytest.approx(losses[1], rel=0.1)
    assert losses[0] != losses[1]
