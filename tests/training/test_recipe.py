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


def test_what_is_wrong_is_told_where_it_was_written(tmp_path):
    (tmp_path / "mine.yaml").write_text("base: motion\nlr: -1\n")
    said = r"^in the change 'epocs=3': unknown key 'epocs'; did you mean 'epochs'\?$"
    with pytest.raises(ClaverError, match=said):
        load_recipe("motion", ["seed=1", "epocs=3"])
    with pytest.raises(ClaverError, match=r"^in the change 'temporal.layers=x': temporal.layers: "):
        load_recipe("motion", ["temporal.layers=2", "temporal.layers=x"])
    with pytest.raises(ClaverError, match=r"^\S*mine.yaml: lr: "):
        load_recipe(tmp_path / "mine.yaml", ["seed=1", "lora.rank=4"])


def test_a_misspelt_recipe_is_answered_with_the_nearest():
    with pytest.raises(ClaverError, match=r"there is no recipe 'own_clip'; did you mean 'own_clips'\?$"):
        find_recipe("own_clip")
    with pytest.raises(ClaverError, match=r"give a YAML file or one of few_shot.*, motion, motion_stills, own_clips$"):
        find_recipe("xyz")


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


VIDEOS = {"task": "videos", "videos": {"train": "a.csv"}, "epochs": 8}
KEPT_BY_0_2 = {"source": "motion", "train": 0, "test": 0, "states": ["shape", "colour", "size"]}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (CLIPS | {"videos": {"train": "a.csv"}}, "videos: task clips reads section data, not this one"),
        (VIDEOS | {"data": {"train": 3, "test": 0}}, "data: task videos reads section videos, not this one"),
        (VIDEOS | {"videos": None}, "task videos needs videos.train"),
        (CLIPS | {"data": {"train": 3}}, "task clips needs data.test"),
        (CLIPS | {"data": {"train": 0, "test": 3}}, "data.train: .* greater than or equal to 1"),
        (CLIPS | {"data": {"tran": 3, "test": 3}}, r"unknown key 'data.tran'; did you mean 'data.train'\?"),
        (
            CLIPS | {"data": {"train": 1, "test": 1, "states": ["hue", "size"]}},
            "data.states: there is no state 'hue'; .*",
        ),
        (CLIPS | {"task": ["clips"]}, "task: .* string"),
        ({"epochs": 8}, "task: Field required"),
    ],
)
def test_a_recipe_has_the_section_that_its_task_reads_and_no_other(values, said):
    with pytest.raises(ClaverError, match=f"^recipe: {said}$"):
        make_recipe(values)


def test_what_version_0_2_kept_with_runs_is_read_as_the_same_recipe():
    assert make_recipe(VIDEOS | {"data": KEPT_BY_0_2}) == make_recipe(VIDEOS)
    assert make_recipe(CLIPS | {"videos": None}) == make_recipe(CLIPS)


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
    with pytest.raises(ClaverError, match=r"no recipe 'moton'; did you mean 'motion'"):
        load_recipe("moton")
    for text, said in (("a: [", "not valid YAML"), ("- 1", "mapping of keys")):
        (tmp_path / "recipe.yaml").write_text(text)
        with pytest.raises(ClaverError, match=said):
            load_recipe(tmp_path / "recipe.yaml")


def chain(folder: Path, **texts: str) -> Path:
    """Recipe files of these names and texts; the path of `first`."""
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / "first.yaml"


def test_a_recipe_takes_over_what_its_base_beside_it_or_in_the_package_says_and_own_keys_win(tmp_path: Path):
    path = chain(
        tmp_path,
        first="base: second\nlr: 0.5\ntemporal: {kind: kmct}\nwarmup: 4",
        second="{base: motion, lr: 0.25, steps: 70}",
    )
    recipe, motion = load_recipe(path, ["warmup=3"]), load_recipe("motion")
    assert (recipe.lr, recipe.steps, recipe.warmup, recipe.temporal.kind) == (0.5, 70, 3, "kmct")
    theirs = motion.model_dump() | {"lr": 0.5, "steps": 70, "warmup": 3}
    assert recipe.model_dump() == theirs | {"temporal": motion.temporal.model_dump() | {"kind": "kmct"}}


def test_what_a_run_keeps_does_not_depend_on_the_base(tmp_path: Path):
    kept = load_recipe(chain(tmp_path, first="base: motion\nlr: 0.5")).model_dump(mode="json")
    assert "base" not in kept
    assert make_recipe(kept) == load_recipe("motion", ["lr=0.5"])


def test_a_base_beside_the_file_comes_before_one_of_the_package_and_a_null_takes_a_key_away(tmp_path: Path):
    path = chain(tmp_path, first="base: own_clips\nsteps: null\nepochs: 2", own_clips="base: motion\nwarmup: 1")
    assert (load_recipe(path).task, load_recipe(path).steps, load_recipe(path).epochs) == ("clips", None, 2)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"first": "base: first"}, r"first.yaml takes itself over: first.yaml → first.yaml$"),
        (
            {"first": "base: second", "second": "base: third.yaml", "third": "base: second"},
            r"takes itself over: first.yaml → second.yaml → third.yaml → second.yaml$",
        ),
        ({"first": "base: moton"}, r"first.yaml: there is no base 'moton'.*; did you mean 'motion'\?$"),
        ({"first": "base: second", "second": "base: mution"}, r"second.yaml: there is no base 'mution'"),
        ({"first": "base: ../first.yaml"}, r"base is '../first.yaml'; give the name of a recipe"),
        ({"first": "base: [motion]"}, r"base is \['motion'\]; give the name"),
        ({"first": "base:"}, r"base is None; give the name"),
        ({"first": "base: second", "second": "- 1"}, r"second.yaml should be a mapping"),
        ({"first": "base: own_clips\nvideos: {base: own_clips}"}, "unknown key 'videos.base'"),
    ],
)
def test_a_base_that_cannot_be_is_said_in_one_sentence(texts: dict[str, str], said: str, tmp_path: Path):
    with pytest.raises(ClaverError, match=said) as caught:
        load_recipe(chain(tmp_path, **texts))
    assert "\n" not in str(caught.value)


def test_a_base_is_not_looked_for_where_the_command_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "inner").mkdir()
    path = chain(tmp_path / "inner", first="base: elsewhere.yaml")
    chain(tmp_path, elsewhere="base: motion")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ClaverError, match=r"there is no base 'elsewhere.yaml'"):
        load_recipe(path)


def test_bases_of_bases_come_to_an_end(tmp_path: Path):
    texts = {f"r{i}": f"base: r{i + 1}" for i in range(8)} | {"r7": "base: motion"}
    assert load_recipe(chain(tmp_path, first="base: r1", **texts)).task == "clips"
    with pytest.raises(ClaverError, match="more than 8 bases"):
        load_recipe(chain(tmp_path, first="base: r0", **texts))


def test_a_base_is_not_changed_on_the_command_line():
    with pytest.raises(ClaverError, match="base is no change of a recipe"):
        load_recipe("motion", ["base=own_clips"])
