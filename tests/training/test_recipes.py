"""The recipes of the paper's rows, as they come with the package."""

import json
import re
from pathlib import Path

import pytest

from claver.errors import ClaverError
from claver.evaluation.paper import PaperRow, paper_rows
from claver.training.recipe import find_recipe, load_recipe, make_recipe
from claver.training.recipe_file import read_recipe

FILES = (Path(__file__).parents[2] / "recipes").glob("*.yaml")
KEEPS = "k400_b16_8_zero_shot_"
RECIPES = sorted(path for path in FILES if not path.stem.startswith(("motion", "own_clips", KEEPS)))
ROWS = [row for row in paper_rows() if row.is_claver and row.table in "12345"]
WRITTEN_OUT = json.loads((Path(__file__).parent / "paper_recipes.json").read_text(encoding="utf-8"))
ZERO_SHOT = "k400_b16_32_kmt_zero_shot"


def recipe_of(row: PaperRow) -> str:
    if row.setting == "zero-shot":
        return ZERO_SHOT
    if row.setting.startswith("few-shot"):
        return f"few_shot_{row.benchmark}_k{row.setting.split()[1]}"
    size = re.search(r"-([BL])/(\d+)( \(336\))?", row.method)
    assert size is not None
    name = f"{size[1].lower()}{size[2]}" + ("_336" if size[3] else "")
    kind = "kmct" if "KMCT" in row.method else "kmt"
    return f"{row.benchmark.replace('kinetics', 'k')}_{name}_{row.frames}_{kind}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.table}-{recipe_of(row)}-{row.benchmark}")
def test_every_row_of_tables_1_to_5_has_a_recipe_that_says_what_to_type_and_what_it_costs(row):
    name = recipe_of(row)
    recipe = load_recipe(name)
    assert recipe.temporal.frames == row.frames
    assert recipe.temporal.kind == ("kmct" if "KMCT" in row.method else "kmt")
    opening = re.split(r"^(?!#)", find_recipe(name).read_text(encoding="utf-8"), maxsplit=1, flags=re.M)[0]
    assert f"-m claver train {name}\n" in opening
    assert "Cost, estimated and not measured: " in opening
    assert f"{row.top1:.1f}" not in opening  # accuracies are in evaluation/paper.csv alone
    assert f"Table {row.table}" in opening or (row.setting == "zero-shot" and "Tables 4 and 5" in opening)


def test_there_is_no_recipe_without_a_row():
    assert {path.stem for path in RECIPES} == {recipe_of(row) for row in ROWS}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_with_its_bases_a_recipe_is_what_it_was_when_it_was_written_out(path):
    assert read_recipe(path) == WRITTEN_OUT[path.stem]


def test_the_recipe_for_own_clips_is_valid():
    recipe = load_recipe("own_clips", ["videos.cache=true", "videos.test=null"])
    assert recipe.videos is not None
    assert "claver train own_clips\n" in find_recipe("own_clips").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_settings_are_those_of_table_14(path):
    recipe = load_recipe(path)
    assert recipe.videos is not None
    large, few, zero = "_l14_" in path.stem, path.stem.startswith("few_shot"), path.stem == ZERO_SHOT
    assert recipe.batch_size == (32 if large else 128)
    assert recipe.epochs == (80 if few else 20 if zero else 40 if large else 60)
    assert recipe.lr == (2e-6 if few else 12e-6)
    assert (recipe.temporal_lr_factor, recipe.warmup, recipe.min_lr_factor) == (10, 5, 0.01)
    assert (recipe.weight_decay, recipe.betas, recipe.label_smoothing) == (0.001, (0.9, 0.98), 0.1)
    assert (recipe.texts_per_step, recipe.videos.texts) == (5, "interpretive")
    assert recipe.freeze == ("image",)
    augment = recipe.augment
    assert (augment.flip, augment.jitter, augment.greyscale) == (0.5, 0.8, 0.2)
    assert (augment.mixup, augment.cutmix, augment.mix_switch) == (0.8, 1.0, 0.5)
    assert augment.crop_scales == (1, 0.875, 0.75, 0.66)
    shots = int(path.stem.rpartition("_k")[2]) if few else None
    assert recipe.videos.shots == shots
    assert recipe.init_from == (f"runs/{ZERO_SHOT}" if few else recipe.init_from)


WAYS = {
    "average": {},
    "interpolate": {"interpolate": {"up_to": 0.6, "weight": 0.5}},
    "feature": {"distill": {"kind": "feature", "weight": 2.0}},
    "relational": {"distill": {"kind": "relational", "weight": 0.4, "decay": 0.9998, "directions": 200}},
}


@pytest.mark.parametrize("way", WAYS)
def test_recipes_that_keep_what_clip_knew_say_what_to_type_what_to_reach_and_what_it_costs(way):
    name = KEEPS + way
    recipe, opening = load_recipe(name), find_recipe(name).read_text(encoding="utf-8").partition("base:")[0]
    values = recipe.model_dump(exclude_none=True, include={"distill", "interpolate"})
    assert all(values[key].items() >= value.items() for key, value in WAYS[way].items())
    assert values.keys() == WAYS[way].keys()
    assert recipe.average is not None
    assert (recipe.average.from_epoch, recipe.freeze, recipe.temporal.init) == (2, (), "zero")
    for said in (
        f"-m claver train {name}\n",
        "Cost, estimated and not measured: ",
        "60.0 / 85.6 / 78.1",
        "plain",
        "blend",
    ):
        assert said in opening
    assert f"runs/{name}/last/average" in opening


def test_every_way_has_a_recipe_and_the_relational_one_its_authors_rates():
    found = {path.stem.removeprefix(KEEPS) for path in (Path(__file__).parents[2] / "recipes").glob(f"{KEEPS}*.yaml")}
    assert found == WAYS.keys()
    recipe = load_recipe(f"{KEEPS}relational")
    assert recipe.lr * recipe.temporal_lr_factor == pytest.approx(5e-5)
    assert recipe.lr == pytest.approx(0.075 * 5e-5)
    assert (recipe.epochs, recipe.warmup, recipe.weight_decay) == (15, 5, 0.2)


EVERY = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
def test_what_a_run_keeps_of_its_recipe_is_that_recipe(path):
    """Else a run is refused when a newer version knows more keys."""
    recipe = load_recipe(path)
    assert make_recipe(recipe.model_dump(mode="json")) == recipe


def test_what_distils_says_its_authors_numbers_and_null_means_them():
    relational = load_recipe(f"{KEEPS}relational").distill
    assert (relational.weight, relational.decay, relational.directions) == (0.4, 0.9998, 200)
    feature = load_recipe(f"{KEEPS}feature", ["distill.weight=null"]).distill
    assert (feature.weight, feature.decay, feature.directions) == (2.0, None, None)
    with pytest.raises(ClaverError, match="decay is of kind relational"):
        load_recipe(f"{KEEPS}feature", ["distill.decay=0.9"])
    with pytest.raises(ClaverError, match=r"distill\.weight"):
        load_recipe(f"{KEEPS}feature", ["distill.weight=0"])


@pytest.mark.parametrize("change", ["temporal.init=random", "temporal.kind=pipeline"])
def test_a_relational_teacher_that_would_not_start_as_clip_is_refused(change):
    with pytest.raises(ClaverError, match="starts as CLIP"):
        load_recipe(f"{KEEPS}relational", [change])
