"""From a recipe to a model at its start: here from the files that the paper's authors released."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.progress import Progress
from safetensors.torch import load_file
from tests.models.test_load import openai_names
from tests.tiny import talking_model
from tests.training.streaming import shards_in, stream_recipe

import claver
from claver.models import Claver
from claver.training import Trainer
from claver.training.build import build
from claver.training.recipe import Recipe


class Config:
    """Stands for the training config that is pickled along; were it executed, it would leave a folder."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def released_names(model: Claver) -> dict[str, torch.Tensor]:
    """Parameters as the released code names them: OpenAI's, and a temporal tower beside the image's."""
    state = model.state_dict()
    plain = {key: value for key, value in state.items() if not key.startswith("temporal.")}
    named = openai_names(SimpleNamespace(state_dict=lambda: plain))  # type: ignore[arg-type]
    inside = {"qkv": "attn.in_proj_", "out": "attn.out_proj.", "norm1": "ln_1.", "norm2": "ln_2."}
    inside |= {"up": "mlp.c_fc.", "down": "mlp.c_proj."}
    for key, value in state.items():
        if key.startswith("temporal.blocks."):
            _, _, number, part, kind = key.split(".")
            named[f"visual.transformer_t.resblocks.{number}.temporal_{inside[part]}{kind}"] = value
    return named | {"visual.temporal_embedding": state["temporal.embedding"][None]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips, and a checkpoint as released ones are: weights, optimiser, epoch, a pickled config."""
    folder = shards_in(tmp_path_factory.mktemp("released")).parent
    (folder / "model").mkdir()
    model = talking_model("kmct")
    assert model.tokenizer is not None
    assert model.tokenizer.json is not None
    (folder / "model" / "tokenizer.json").write_text(model.tokenizer.json)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0)
    model.encode_text(torch.tensor([[[98, 5, 99]]])).sum().backward()
    optimizer.step()  # weights other than those that any seed gives, and moments that must not be taken over
    kept = {"model": released_names(model), "optimizer": optimizer.state_dict(), "epoch": 29, "max_accuracy": 80.0}
    torch.save(kept | {"config": Config(folder / "executed")}, folder / "model" / "released.pth")
    return folder


def recipe_for(folder: Path, **changes: Any) -> Recipe:
    temporal = {"kind": "kmct", "frames": 4}
    start = {"init_from": str(folder / "model" / "released.pth"), "temporal": temporal, "freeze": []}
    return stream_recipe(folder, **(start | {"videos": {"stream": False}, "steps": 1} | changes))


def test_training_starts_from_exactly_the_released_weights_and_takes_nothing_else(folder: Path, tmp_path: Path) -> None:
    recipe = recipe_for(folder)
    model, task = build(recipe, Progress(disable=True), torch.device("cpu"))
    assert model.config.aggregate == "released"
    found, wanted = released_names(model), torch.load(folder / "model" / "released.pth", weights_only=False)["model"]
    (folder / "executed").rmdir()  # torch's own loading executed the config
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[key], value) for key, value in wanted.items())

    losses = Trainer(recipe, model, task, tmp_path / "run").run()
    state = json.loads((tmp_path / "run" / "last" / "state.json").read_text())
    assert (state["step"], state["losses"]) == (1, losses)
    moments = load_file(tmp_path / "run" / "last" / "optimizer.safetensors")
    assert {value.item() for key, value in moments.items() if key.endswith("/step")} == {1.0}
    assert not (folder / "executed").exists()
    assert claver.load(tmp_path / "run").config.aggregate == "released"
