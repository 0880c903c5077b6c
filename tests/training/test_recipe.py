from pathlib import Path

import pytest

from claver.errors import ClaverError
from claver.training.recipe import find_recipe, load_recipe, make_recipe

CLIPS = {"task": "clips", "data": {"train": 1000, "test": 10}, "epochs": 8, "batch_size": 100}


@pytest.mark.parametrize("name", ["motion", "motion_stills"])
def test_recipes_that_come_with_the_package_are_valid_and_open_with_their_command(name):
    assert load_recipe(name).steps
    assert "claver quickstart" in find_recipe(name).read_text()


@pytest.mark.parametrize(
    ("change", "nearest"),
    [
        ("temporal_lr_facter=3", "'temporal_lr_factor'"),
        ("warm_up=3", "'warmup'"),
        ("temporal.kinds=kmt", "'temporal.kind'"),
        ("data.tran=3", "'data.train'"),
        ("model.text_widht=64", "'model.text_width'"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest_right_one(change, nearest):
    with pytest.raises(ClaverError, match=f"did you mean {nearest}"):
        load_recipe("motion_stills", [change])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("lr=-1", "lr: .*greater than 0"),
        ("temporal.kind=kmta", "temporal.kind: .*'kmt'"),
        ("epochs=3", "either steps or epochs"),
        ("warmup=501", "warmup is 501 steps, longer than the run of 500; give a shorter one"),
        ("steps=10", "warmup is 40 steps, longer than the run of 10"),
        ("accumulation=7", "batch_size 64 cannot be cut into 7 equal parts"),
        ("lr", "written key=value"),
        ("lr.top=3", "'lr' in .* is no section"),
        ("lr=[", "not valid YAML"),
    ],
)
def test_a_wrong_value_is_said_in_one_sentence(change, said):
    with pytest.raises(ClaverError, match=said) as caught:
        load_recipe("motion", [change])
    assert "\n" not in str(caught.value)


def test_changes_win_over_the_file_and_later_ones_over_earlier_ones():
    recipe = load_recipe("motion", ["lr=1e-3", "temporal.kind=kmct", "lr=2e-3"])
    assert (recipe.lr, recipe.temporal.kind) == (2e-3, "kmct")
    assert recipe.temporal.layers == load_recipe("motion").temporal.layers


def test_defaults_are_those_of_table_14():
    recipe = make_recipe(CLIPS)
    assert (recipe.lr, recipe.temporal_lr_factor, recipe.min_lr_factor) == (12e-6, 10, 0.01)
    assert (recipe.weight_decay, recipe.betas, recipe.warmup) == (0.001, (0.9, 0.98), 5)
    assert (recipe.label_smoothing, recipe.texts_per_step) == (0.1, 5)


def test_length_and_warmup_count_in_the_same_unit():
    by_epochs = make_recipe(CLIPS | {"warmup": 0.5})
    assert (by_epochs.total_steps(1000), by_epochs.warmup_steps(1000)) == (80, 5)
    by_steps = make_recipe({**CLIPS, "epochs": None, "steps": 70, "warmup": 8})
    assert (by_steps.total_steps(1000), by_steps.warmup_steps(1000)) == (70, 8)


def test_a_recipe_that_is_not_there_or_not_yaml(tmp_path: Path):
    with pytest.raises(ClaverError, match=r"no recipe 'moton'.*motion, motion_stills"):
        load_recipe("moton")
    for text, said in (("a: [", "not valid YAML"), ("- 1", "mapping of keys")):
        (tmp_path / "recipe.yaml").write_text(text)
        with pytest.raises(ClaverError, match=said):
            load_recipe(tmp_path / "recipe.yaml")
