from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tiny import talking_model
from tests.videos import write_video

from claver.data import Clips, Manifest, Sample, write_manifest
from claver.errors import ClaverError
from claver.models import Claver, interpretive_loss, similarity, video_embedding
from claver.text import Actions, read_actions
from claver.training.recipe import Recipe, make_recipe
from claver.training.sampling import batch_at
from claver.training.videos import CachedVideosTask, RaggedTexts, VideosTask, make_task

CLASSES = ("dance", "jump", "sit")
QUIET = {"crop_scales": [], "flip": 0, "jitter": 0, "greyscale": 0, "mixup": 0, "cutmix": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve small files, four of each class, the last of each for testing."""
    root = tmp_path_factory.mktemp("clips")
    for number in range(12):
        write_video(root / f"{number}.mp4", seed=number)
    listed("train.csv", root, [n for n in range(12) if n % 4 < 3])
    listed("test.csv", root, [3, 7, 11])
    return root


def listed(name: str, root: Path, numbers: Sequence[int], classes: Sequence[str] = CLASSES) -> Manifest:
    manifest = Manifest(tuple(classes), tuple(Sample(f"{n}.mp4", n // 4) for n in numbers), root)
    write_manifest(manifest, root / name)
    return manifest


def recipe_for(folder: Path, *, videos: dict[str, Any] | None = None, **changes: Any) -> Recipe:
    section = {"train": folder / "train.csv", "test": folder / "test.csv", "workers": 0} | (videos or {})
    plain = {"task": "videos", "videos": section, "steps": 4, "warmup": 1, "batch_size": 4, "lr": 1e-3}
    return make_recipe(plain | changes)


def begun(task: VideosTask, batch_size: int = 4, first_step: int = 0) -> VideosTask:
    task.begin(lambda step: batch_at(step, samples=len(task), batch_size=batch_size, seed=0), first_step)
    return task


def rows_of(task: VideosTask, step: int) -> Any:
    return batch_at(step, samples=len(task), batch_size=4, seed=0)


def made(recipe: Recipe, model: Claver) -> VideosTask:
    task = make_task(recipe, model)
    assert isinstance(task, VideosTask)
    return task


def test_the_loss_is_eq_9_on_the_files_frames(folder):
    recipe, model = recipe_for(folder, augment=QUIET, texts_per_step=20), talking_model()
    task = begun(made(recipe, model))
    rows = rows_of(task, 0)
    found = task.loss(model, rows, np.random.default_rng(0))

    loader = task._loader
    assert loader is not None
    batch = next(iter(loader))
    pre = model.config.preprocess
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (pre.mean, pre.std))
    pixels = (batch.frames.movedim(-1, 2) / 255 - mean) / std
    assert model.tokenizer is not None
    texts = model.tokenizer([t[k] for k in range(8) for t in task.actions.texts]).unflatten(0, (8, 3))
    logits = similarity(video_embedding(model.encode_video(pixels)), model.encode_text(texts), model.scale)
    soft = torch.eye(3)[task.train.labels[rows]] * 0.9 + 0.1 / 3
    torch.testing.assert_close(found, interpretive_loss(logits, soft), rtol=1e-4, atol=1e-5)


def test_clips_and_chance_decide_the_loss_whatever_the_workers_and_the_first_step(folder):
    model, losses = talking_model(), []
    for workers, first in ((0, 0), (2, 0), (0, 1)):
        task = begun(made(recipe_for(folder, videos={"workers": workers}), model), first_step=first)
        made_now = [task.loss(model, rows_of(task, s), np.random.default_rng(s)).item() for s in range(first, 2)]
        task.end()
        losses.append(made_now[-1])
    assert losses[0] == losses[1] == losses[2]


def test_parts_of_a_step_take_their_clips_in_order(folder):
    model = talking_model()
    task = begun(made(recipe_for(folder, augment=QUIET), model))
    rows = rows_of(task, 0)
    for part in (rows[:2], rows[2:]):
        task.loss(model, part, np.random.default_rng(0))
        tensors, facts = task.inputs(part)
        assert tensors["labels"].tolist() == task.train.labels[part].tolist()
        assert facts["clips"] == [task.train.locations[row].name for row in part]
    assert task.inputs(rows) == ({}, {})


def test_a_frozen_image_tower_gets_no_gradient_and_a_free_one_does(folder):
    for frozen in (True, False):
        model = talking_model()
        model.image.requires_grad_(not frozen)
        task = begun(made(recipe_for(folder), model))
        task.loss(model, rows_of(task, 0), np.random.default_rng(0)).backward()
        assert (model.image.class_token.grad is None) == frozen
        assert model.temporal.embedding.grad is not None


def test_texts_are_drawn_in_the_same_slots_and_short_lists_begin_again():
    actions = Actions(("a", "b"), (("a one", "a two", "a three"), ("b one",)))
    model = talking_model()
    texts = RaggedTexts.of(model, actions)
    assert model.tokenizer is not None
    a, b = model.tokenizer(list(actions.texts[0])), model.tokenizer(list(actions.texts[1]) * 2)[:1]
    for seed in range(5):
        drawn = texts.draw(2, np.random.default_rng(seed))
        slots = np.random.default_rng(seed).permutation(3)[:2]
        assert drawn.shape[:2] == (2, 2)
        length = min(drawn.shape[-1], a.shape[-1], b.shape[-1])
        assert torch.equal(drawn[:, 0, :length], a[slots][:, :length])
        assert torch.equal(drawn[:, 1, :length], b.expand(2, -1)[:, :length])
    assert texts.draw(9, np.random.default_rng(0)).shape[0] == 3


def test_evaluation_is_that_of_the_recogniser(folder):
    from claver.inference.recognizer import Recognizer

    model = talking_model()
    task = made(recipe_for(folder), model)
    recognizer = Recognizer(model, task.actions)
    right = [recognizer(folder / f"{n}.mp4").top(1)[0].action == CLASSES[n // 4] for n in (3, 7, 11)]
    assert task.evaluate(model) == {"top-1": pytest.approx(sum(right) / 3), "top-5": 1.0}
    assert made(recipe_for(folder, videos={"test": None}), model).evaluate(model) == {}


def test_a_frozen_text_tower_encodes_every_text_once_for_the_same_loss(folder, monkeypatch):
    model = talking_model()
    free = begun(made(recipe_for(folder), model))
    expected = [free.loss(model, rows_of(free, step), np.random.default_rng(step)) for step in (0, 1)]
    model.text.requires_grad_(False)
    seen, forward = [], type(model.text).forward
    monkeypatch.setattr(type(model.text), "forward", lambda self, x: seen.append(len(x)) or forward(self, x))
    frozen = begun(made(recipe_for(folder), model))
    found = [frozen.loss(model, rows_of(frozen, step), np.random.default_rng(step)) for step in (0, 1)]
    assert seen == [3 * 8]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    found[0].backward()
    assert model.temporal.embedding.grad is not None


@pytest.mark.parametrize("learns", [True, False])
def test_vectors_of_texts_are_kept_only_if_the_text_tower_stays_as_it_is(folder, tmp_path, monkeypatch, learns):
    monkeypatch.setenv("CLAVER_CACHE", str(tmp_path))
    monkeypatch.setattr("claver.text.encoding.WORTH_KEEPING", 1)
    model = talking_model()
    model.text.requires_grad_(learns)
    task = made(recipe_for(folder), model)
    first = task.evaluate(model)
    assert len(list(tmp_path.rglob("*.safetensors"))) == (0 if learns else 1)
    assert task.evaluate(model) == first


def test_few_shot_takes_k_clips_of_each_class(folder):
    task = made(recipe_for(folder, videos={"shots": 2}), talking_model())
    assert np.bincount(task.train.labels).tolist() == [2, 2, 2]


def test_a_broken_clip_is_replaced_and_counted(folder, tmp_path, caplog):
    for number in (0, 1, 4, 8):
        (tmp_path / f"{number}.mp4").write_bytes((folder / f"{number}.mp4").read_bytes() if number else b"broken")
    listed("train.csv", tmp_path, [0, 1, 4, 8])
    model = talking_model()
    task = begun(made(recipe_for(tmp_path, videos={"test": None}), model))
    assert torch.isfinite(task.loss(model, rows_of(task, 0), np.random.default_rng(0)))
    assert [bad.path for bad in task.replaced] == [str(tmp_path / "0.mp4")]
    task.end()
    assert "1 training clips could not be read and were replaced" in caplog.text


def test_learned_classes_without_a_test_clip_compete_all_the_same(folder):
    listed("one_class.csv", folder, [3], CLASSES[:1])
    task = made(recipe_for(folder, videos={"test": folder / "one_class.csv"}), talking_model())
    assert task.test is not None
    assert (task.test.classes, task.test.labels) == (CLASSES, (0,))


def test_of_one_list_each_side_takes_its_own_part(folder):
    samples = tuple(Sample(f"{n}.mp4", n // 4, "test" if n % 4 == 3 else "train") for n in range(12))
    write_manifest(Manifest(CLASSES, samples, folder), folder / "both.csv")
    both = {"train": folder / "both.csv", "test": folder / "both.csv"}
    task = made(recipe_for(folder, videos=both), talking_model())
    assert task.test is not None
    assert (len(task), len(task.test.paths)) == (9, 3)
    write_manifest(Manifest(CLASSES, samples, folder).select("train"), folder / "alone.csv")
    with pytest.raises(ClaverError, match=r"`claver data split .*alone\.csv --test 0\.2 --output"):
        make_task(recipe_for(folder, videos=both | {"test": folder / "alone.csv"}), talking_model())
    asked = both | {"test": folder / "alone.csv", "test_split": "train"}
    assert len(made(recipe_for(folder, videos=asked), talking_model()).test.paths) == 9
    with pytest.raises(ClaverError, match=r"`claver data split .*alone\.csv --test 0\.2 --output"):
        make_task(recipe_for(folder, videos=asked | {"test_split": "test"}), talking_model())


def test_a_video_in_both_sets_is_warned_of(folder, caplog):
    listed("both.csv", folder, [0, 3])
    made(recipe_for(folder, videos={"test": folder / "both.csv"}), talking_model())
    assert "0.mp4 is in both the training and the test set" in caplog.text


def test_what_cannot_be_learned_is_said_before_the_first_batch(folder, tmp_path):
    model = talking_model()
    wanting = [
        ({"train": tmp_path / "none.csv"}, "videos.train names .*none.csv, which is not there"),
        ({"texts": str(tmp_path / "texts.csv")}, "has no text about 'sit'"),
        ({"test": folder / "other.csv"}, "class 'swim' of the test clips is none of the 3"),
        ({"test": folder}, "has no index.json, as a folder of shards should"),
        ({"cache": tmp_path / "cache"}, "add image to freeze"),
    ]
    (tmp_path / "texts.csv").write_text("action,text\ndance,someone dances\njump,someone jumps\n")
    listed("other.csv", folder, [0], ("swim", *CLASSES[1:]))
    for change, said in wanting:
        with pytest.raises(ClaverError, match=said) as caught:
            make_task(recipe_for(folder, videos=change), model)
        assert "\n" not in str(caught.value)
    empty = Clips.of_files(Manifest(CLASSES, (Sample("0.mp4", 0),), folder))
    with pytest.raises(ClaverError, match="class 'jump' has no clip"):
        VideosTask(model, recipe_for(folder), empty, None, read_actions(CLASSES))
    adapted = recipe_for(folder, videos={"cache": tmp_path / "cache"}, freeze=["image"], lora={})
    with pytest.raises(ClaverError, match=r"set lora.parts to \[text\]"):
        make_task(adapted, model)
    quickstart = make_recipe({"task": "clips", "data": {"train": 2, "test": 2}, "steps": 1, "warmup": 0})
    with pytest.raises(ClaverError, match="of task 'clips'"):
        make_task(quickstart, model)


def test_cached_tokens_give_the_loss_of_the_central_frames(folder, tmp_path):
    recipe = recipe_for(folder, videos={"cache": tmp_path}, freeze=["image"], texts_per_step=20)
    model = talking_model()
    task = make_task(recipe, model)
    assert isinstance(task, CachedVideosTask)
    assert len(task) == 9
    rows = np.array([0, 4, 8])
    found = task.loss(model, rows, np.random.default_rng(0))
    from claver.video import load_views

    sizes: Any = {"frames": 4, "preprocess": model.config.preprocess}
    pixels = torch.cat([load_views(task.train.manifest.path(row), **sizes) for row in rows])
    logits = similarity(
        video_embedding(model.encode_video(pixels)),
        model.encode_text(task.texts.draw(20, np.random.default_rng(0))),
        model.scale,
    )
    soft = torch.eye(3) * 0.9 + 0.1 / 3
    torch.testing.assert_close(found, interpretive_loss(logits, soft), rtol=2e-3, atol=2e-3)


def test_a_run_resumed_ends_with_the_weights_of_one_never_interrupted(folder, tmp_path):
    from claver.training import Trainer

    def stop(done: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    recipe = recipe_for(folder, freeze=["image"], checkpoint_every=2, evaluate_every=4, mixed_precision="no")
    whole = talking_model()
    Trainer(recipe, whole, made(recipe, whole), tmp_path / "whole").run()
    first, second = talking_model(), talking_model()
    with pytest.raises(KeyboardInterrupt):
        Trainer(recipe, first, made(recipe, first), tmp_path / "cut", after_step=stop).run()
    Trainer(recipe, second, made(recipe, second), tmp_path / "cut").run(resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    assert not torch.equal(whole.text.position, talking_model().text.position)


@pytest.mark.parametrize("layout", ["kinetics", "ucf", "hmdb"])
def test_official_layouts_train_from_end_to_end(layout, tmp_path):
    from tests.data.layouts import trees

    from claver.data import index_folder
    from claver.training import Trainer

    tree = getattr(trees, layout)(tmp_path / layout)
    manifest = index_folder(str(tree)).manifest.only_present()
    write_manifest(manifest, tmp_path / "all.csv")
    test = next(split for split in manifest.splits if split != "train")
    section = {"train": tmp_path / "all.csv", "train_split": "train", "test": tmp_path / "all.csv", "test_split": test}
    recipe, model = recipe_for(tmp_path, videos=section, steps=1, warmup=0, evaluate_every=1), talking_model()
    trainer = Trainer(recipe, model, made(recipe, model))
    assert np.isfinite(trainer.run()).all()
    assert 0 <= trainer.figures[1]["top-1"] <= 1
