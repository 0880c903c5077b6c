import io

import pytest
from rich.console import Console
from tests.training.small import clips_problem, clips_recipe

from claver.errors import ClaverError
from claver.training.optim import freeze, groups_table, make_optimizer, parameter_groups, rate_at


@pytest.fixture(scope="module")
def grouped():
    recipe = clips_recipe(weight_decay=0.05)
    model, _ = clips_problem(recipe)
    freeze(model, recipe.freeze)
    return recipe, model, parameter_groups(model, recipe)


def test_every_parameter_is_in_exactly_one_group(grouped):
    _, model, groups = grouped
    named = [name for group in groups for name in group.names]
    assert sorted(named) == sorted(name for name, _ in model.named_parameters())
    assert sum(group.count for group in groups) == sum(parameter.numel() for parameter in model.parameters())


def test_the_temporal_tower_learns_ten_times_as_fast_and_the_image_tower_not_at_all(grouped):
    recipe, _, groups = grouped
    rates = {group.part: group.lr for group in groups}
    assert rates["temporal"] == pytest.approx(10 * recipe.lr)
    assert rates["text"] == rates["readout"] == rates["logit_scale"] == recipe.lr
    assert rates["image"] == 0


def test_decay_is_on_matrices_only(grouped):
    _, _, groups = grouped
    decaying = {name for group in groups if group.weight_decay for name in group.names}
    assert {"temporal.blocks.0.qkv.weight", "readout.projection", "text.projection"} <= decaying
    plain = {"temporal.embedding", "text.embedding.weight", "text.position", "logit_scale", "readout.norm.weight"}
    assert not plain & decaying
    assert not any(name.endswith(".bias") or "norm" in name for name in decaying)


def test_the_optimiser_holds_what_learns_and_nothing_else(grouped):
    recipe, model, groups = grouped
    held = [
        id(p)
        for group in make_optimizer(dict(model.named_parameters()), groups, recipe).param_groups
        for p in group["params"]
    ]
    assert sorted(held) == sorted(id(p) for p in model.parameters() if p.requires_grad)


def test_the_table_says_what_learns_how_much_and_how_fast(grouped):
    _, _, groups = grouped
    console = Console(file=io.StringIO(), width=100)
    console.print(groups_table(groups))
    text = console.file.getvalue()
    temporal = sum(group.count for group in groups if group.part == "temporal" and group.weight_decay)
    assert f"{temporal:,}" in text
    assert "0.002" in text
    assert "frozen" in text


def test_freezing_names_the_nearest_part_and_everything_frozen_is_an_error(grouped):
    recipe, _, _ = grouped
    model, _ = clips_problem(recipe)
    with pytest.raises(ClaverError, match="did you mean 'image'"):
        freeze(model, ("imgae",))
    freeze(model, ("image.blocks.0", "text"))
    assert not model.image.blocks[0].qkv.weight.requires_grad
    assert model.image.position.requires_grad
    freeze(model, ("image", "temporal", "text", "readout", "logit_scale"))
    with pytest.raises(ClaverError, match="nothing is left to learn"):
        make_optimizer(dict(model.named_parameters()), parameter_groups(model, recipe), recipe)


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.25), (1, 0.5), (3, 1.0), (4, 1.0), (9, 0.01 + 0.99 * 0.5), (14, 0.01)],
)
def test_schedule_at_known_steps(step, rate):
    assert rate_at(step, total=15, warmup=4, floor=0.01) == pytest.approx(rate)


def test_schedule_without_warmup_starts_at_the_top():
    assert rate_at(0, total=10, warmup=0, floor=0.01) == 1
