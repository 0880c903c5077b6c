"""Whole runs: what a teacher is, exact resuming, several processes, what is saved, and what is refused."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.training.processes import launch
from tests.training.small import clips_problem, clips_recipe

import claver
from claver.errors import CheckpointError, ClaverError
from claver.models import video_embedding
from claver.training import Trainer
from claver.training.checkpoint import OPTIMIZER, RETENTION
from claver.training.recipe import make_recipe
from claver.training.retention.retention import Retention

RELATIONAL = {"distill": {"kind": "relational", "decay": 0.9}}
FEATURE = {"distill": {"kind": "feature"}}
BETWEEN = {"interpolate": {"up_to": 0.6}}
WAYS = {"relational": RELATIONAL, "feature": FEATURE, "interpolate": BETWEEN, "all": FEATURE | BETWEEN}
ways = pytest.mark.parametrize("way", WAYS)


def train(folder=None, resume=False, after_step=None, **changes):
    recipe = clips_recipe(**{"lr": 2e-3} | changes)
    model, task = clips_problem(recipe)
    trainer = Trainer(recipe, model, task, folder, after_step=after_step)
    trainer.run(resume=resume)
    return trainer


def as_clip(model, tokens):
    """What the image tower's summaries alone give: CLIP by the mean over frames."""
    return video_embedding(model.readout(tokens[:, :, 0]))


@pytest.mark.parametrize("kind", ["relational", "feature"])
def test_the_teacher_begins_as_clip_whatever_the_time_embedding_begins_as(kind):
    recipe = clips_recipe(distill={"kind": kind})  # a sinusoidal start: the student is not CLIP
    model, task = clips_problem(recipe)
    teacher = Retention(model, recipe).distillation.teacher
    tokens = task.test.take(torch.arange(8))[0]
    with torch.no_grad():
        found, student = (video_embedding(one.encode_tokens(tokens)) for one in (teacher, model))
    torch.testing.assert_close(found, as_clip(model, tokens), rtol=1e-5, atol=1e-6)
    assert (student - found).abs().max() > 1e-2
    assert not any(p.requires_grad for p in teacher.parameters())


def test_a_teacher_shares_what_does_not_learn_and_holds_the_rest_apart():
    recipe = clips_recipe(freeze=["image"], **FEATURE)
    model, _ = clips_problem(recipe)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith("image."))
    kept = Retention(model, recipe)
    teacher = kept.distillation.teacher
    assert teacher.image.position is model.image.position
    assert teacher.text.projection is not model.text.projection
    assert not any(".image." in name or ".temporal." in name for name in kept.tensors())


def test_the_teacher_is_the_running_mean_of_the_student_with_a_fixed_decay_from_the_start():
    weights = []
    recipe = clips_recipe(steps=3, warmup=0, lr=1e-2, **RELATIONAL)
    model, task = clips_problem(recipe)
    start = model.text.projection.detach().clone()
    trainer = Trainer(recipe, model, task)
    prepared = trainer._prepare
    runs = []
    trainer._prepare = lambda stack: runs.append(prepared(stack)) or runs[0]
    trainer.after_step = lambda _: weights.append(model.text.projection.detach().clone())
    trainer.run()
    mean = start.double()
    for weight in weights:
        mean = 0.9 * mean + 0.1 * weight.double()
    found = runs[0].retention.distillation.teacher.text.projection
    torch.testing.assert_close(found.double(), mean, rtol=1e-5, atol=1e-7)


def test_feature_distillation_leaves_the_vectors_nearer_to_clip():
    tokens = clips_problem(clips_recipe())[1].test.take(torch.arange(64))[0]
    start = clips_problem(clips_recipe())[0]
    near = []
    for changes in ({}, {"distill": {"kind": "feature", "weight": 20.0}}):
        model = train(steps=40, **changes).model
        with torch.no_grad():
            pair = as_clip(start, tokens), video_embedding(model.encode_tokens(tokens))
        near.append(torch.cosine_similarity(*pair).mean().item())
    assert near[1] > near[0] + 0.05


@ways
def test_cut_and_resumed_a_run_ends_with_the_same_weights_bit_for_bit(tmp_path, way):
    settings = WAYS[way] | {"steps": 6, "checkpoint_every": 2}
    train(tmp_path / "whole", **settings)

    def interrupt(done):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", after_step=interrupt, **settings)
    resumed = train(tmp_path / "cut", resume=True, **settings)
    assert len(resumed.losses) == 6
    for name in ("model.safetensors", OPTIMIZER, RETENTION):
        whole, cut = (load_file(tmp_path / run / "last" / name) for run in ("whole", "cut"))
        assert whole.keys() == cut.keys()
        assert all(torch.equal(whole[key], cut[key]) for key in whole), name
    with pytest.raises(CheckpointError, match="belongs to a run with"):
        train(tmp_path / "cut", resume=True, steps=6)


@ways
def test_nothing_of_it_is_in_a_saved_model(tmp_path, way):
    trainer = train(tmp_path, steps=2, average={"from_epoch": 1}, evaluate_every=2, **WAYS[way])
    plain = clips_problem(clips_recipe())[0].state_dict().keys()
    for place in ("last", "last/average", "best"):
        assert load_file(tmp_path / place / "model.safetensors").keys() == plain
    loaded = claver.load(tmp_path / "last")
    assert all(torch.equal(value, trainer.model.state_dict()[key]) for key, value in loaded.state_dict().items())


@ways
def test_what_is_frozen_stays_and_parts_make_the_step_of_the_whole(way):
    # All texts are used, so that each part draws the same ones.
    whole, parts = (train(steps=1, warmup=0, texts_per_step=15, accumulation=n, **WAYS[way]) for n in (1, 4))
    assert whole.losses == pytest.approx(parts.losses, rel=1e-5)
    torch.testing.assert_close(whole.model.readout.projection, parts.model.readout.projection, rtol=1e-2, atol=1e-4)
    start = clips_problem(clips_recipe())[0]
    assert torch.equal(whole.model.image.position, start.image.position)


@pytest.mark.slow
@ways
def test_two_processes_are_one(tmp_path, way):
    settings = {"steps": 4, "warmup": 0, "texts_per_step": 3, **WAYS[way]}
    done = launch(tmp_path, 2, drift=True, **settings)
    assert done.returncode == 0, done.stderr
    recipe = clips_recipe(**settings)
    model, task = clips_problem(recipe)
    one = Trainer(recipe, model, task, tmp_path / "alone")
    one.run()
    mine, kept = model.state_dict(), load_file(tmp_path / "alone" / "last" / RETENTION)
    for rank in range(2):
        facts = json.loads((tmp_path / f"facts-{rank}-of-2.json").read_text())
        assert facts["losses"] == pytest.approx(one.losses, rel=1e-5)
        theirs = load_file(tmp_path / f"weights-{rank}-of-2.safetensors")
        flat = [torch.cat([state[key].flatten() for key in sorted(mine)]) for state in (mine, theirs)]
        assert (flat[0] - flat[1]).norm() <= 1e-5 * flat[0].norm()
    shared = load_file(tmp_path / "run" / "last" / RETENTION)
    theirs, ours = (torch.cat([state[key].flatten() for key in sorted(kept)]) for state in (shared, kept))
    # A text's distance from itself has no gradient but rounding at the start, of which AdamW makes whole steps.
    assert (theirs - ours).norm() <= 1e-4 * ours.norm()


def test_adapters_learn_from_a_teacher_without_any(tmp_path):
    pytest.importorskip("peft")
    trainer = train(tmp_path, steps=3, lora={"rank": 2, "parts": ["text"]}, **RELATIONAL)
    kept = load_file(tmp_path / "last" / RETENTION)
    assert not any("lora" in name for name in kept)
    start, model = clips_problem(clips_recipe())[0], trainer.model
    name = next(n for n, p in model.named_parameters() if n.startswith("text.") and ".up" in n and p.ndim == 2)
    moved = kept[f"distill.teacher.{name}"] - start.state_dict()[name]
    way = model.state_dict()[name] - start.state_dict()[name]
    assert torch.cosine_similarity(moved.flatten(), way.flatten(), dim=0) > 0.5


def test_what_cannot_be_is_said():
    with pytest.raises(ClaverError, match="decay is of kind relational"):
        clips_recipe(distill={"kind": "feature", "decay": 0.9})
    with pytest.raises(ClaverError, match=r"distill\.kind: .*'relational' or 'feature'"):
        clips_recipe(distill={"kind": "relation"})
    with pytest.raises(ClaverError, match=r"distill needs distill\.kind"):
        clips_recipe(distill={"weight": 2})
    stills = {"task": "stills", "data": {"train": 8, "test": 8}, "steps": 1, "warmup": 0}
    for key, value in (FEATURE | BETWEEN).items():
        with pytest.raises(ClaverError, match=f"{key} needs clips and texts .* task stills does not have"):
            make_recipe(stills | {key: value})


def test_a_task_without_samples_is_refused_in_a_sentence():
    recipe = clips_recipe(**FEATURE)
    model, task = clips_problem(recipe)

    class Plain:
        loss, evaluate = task.loss, task.evaluate

        def __len__(self):
            return len(task)

    with pytest.raises(ClaverError, match="need a task with a method samples"):
        Trainer(recipe, model, Plain()).run()


def test_runs_without_it_draw_what_they_drew():
    losses = [train(steps=3, **changes).losses[0] for changes in ({}, BETWEEN | {"interpolate": {"weight": 1e-9}})]
    np.testing.assert_allclose(*losses, rtol=1e-6)
