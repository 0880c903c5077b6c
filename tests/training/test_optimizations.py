"""Averaged weights, adapters, recomputed activations, compilation: what each must leave alone."""

import pytest
import torch
from tests.training.small import clips_problem, clips_recipe, small_model
from tests.training.test_engine import same_weights, train

import claver
from claver.errors import CheckpointError, ClaverError
from claver.log import warn_once
from claver.models.compiling import compile_towers
from claver.training import Trainer
from claver.training.ema import Ema
from claver.training.lora import add_lora, merge_lora, plain_model
from claver.training.memory import recomputed_blocks
from claver.training.recipe import Lora

TOKENS = torch.tensor([[298, 5, 6, 7, 299, 0], [298, 9, 299, 0, 0, 0]])


def test_averages_by_hand():
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    ema = Ema(model, 0.5)
    for step, value in enumerate([1.0, 2.0, 0.0]):
        torch.nn.init.constant_(model.weight, value)
        ema.update(step)
    with ema.applied():
        averaged = model.weight.item()
    assert model.weight.item() == 0.0
    first = 1 - 1 / 10  # d = (1 + step) / (10 + step)
    second = first + (2 - first) * (1 - 2 / 11)
    assert averaged == pytest.approx(second + (0 - second) * (1 - 3 / 12))


def test_averaged_weights_are_evaluated_saved_and_resumed_exactly(tmp_path):
    whole = train(tmp_path / "whole", ema=0.9, evaluate_every=6, checkpoint_every=5)

    def interrupt(done):
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", ema=0.9, evaluate_every=6, checkpoint_every=5, after_step=interrupt)
    resumed = train(tmp_path / "cut", resume=True, ema=0.9, evaluate_every=6, checkpoint_every=5)
    assert resumed.figures == whole.figures
    for place in ("last", "last/ema", "best"):
        mine, other = (claver.load(tmp_path / run / place) for run in ("whole", "cut"))
        assert same_weights(mine, other), place
    averaged = claver.load(tmp_path / "whole/last/ema")
    assert not same_weights(averaged, whole.model)
    assert whole.task.evaluate(averaged) == whole.figures[12]
    train(tmp_path / "plain", steps=2)
    with pytest.raises(CheckpointError, match="ema None, but the recipe now says"):
        train(tmp_path / "plain", steps=2, ema=0.9, resume=True)


def test_best_is_the_first_of_the_best_figures(tmp_path):
    trainer = train(tmp_path, evaluate_every=4)
    best = max(trainer.figures, key=lambda step: trainer.figures[step]["top-1"])
    assert f'"step": {best}' in (tmp_path / "best" / "figures.json").read_text()


def test_what_accelerate_finds_in_the_environment_changes_nothing_and_is_said(monkeypatch, caplog):
    plain = train(steps=4)
    for key, value in {"GRADIENT_ACCUMULATION_STEPS": "4", "MIXED_PRECISION": "bf16", "USE_FSDP": "true"}.items():
        monkeypatch.setenv(f"ACCELERATE_{key}", value)
    warn_once.cache_clear()
    again = train(steps=4)
    assert same_weights(plain.model, again.model)
    assert again.losses == plain.losses
    assert [record.message for record in caplog.records] == [
        "ACCELERATE_GRADIENT_ACCUMULATION_STEPS, ACCELERATE_MIXED_PRECISION, ACCELERATE_USE_FSDP in the environment "
        "changes nothing: how to train is said by the recipe"
    ]


@pytest.mark.parametrize("kind", ["kmct", "mean"])
def test_recomputed_activations_give_the_same_gradients(kind):
    gradients = []
    for wanted in (False, True):
        model = small_model()
        video = torch.randn(2, 3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
        with recomputed_blocks(model, wanted):
            model(video, TOKENS[None]).logits.square().sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
        assert "forward" not in vars(model.image.blocks[0])
    for name, gradient in gradients[0].items():
        assert gradient is None or torch.equal(gradient, gradients[1][name]), name


def test_a_run_with_recomputed_activations_is_the_same_run():
    assert same_weights(train(steps=2).model, train(steps=2, activation_checkpointing=True).model)


def test_adapters_start_as_nothing_and_merge_into_the_layers():
    model = small_model().eval()
    video = torch.randn(2, 3, 3, 16, 16)
    with torch.no_grad():
        before = model(video, TOKENS[None]).logits
        add_lora(model, Lora(rank=2, alpha=4))
        torch.testing.assert_close(model(video, TOKENS[None]).logits, before)
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=0.1)
        adapted = model(video, TOKENS[None]).logits
        assert not torch.allclose(adapted, before, atol=1e-3)
        torch.testing.assert_close(plain_model(model)(video, TOKENS[None]).logits, adapted, rtol=1e-4, atol=1e-4)
        merge_lora(model)
        torch.testing.assert_close(model(video, TOKENS[None]).logits, adapted, rtol=1e-4, atol=1e-4)
    assert model.state_dict().keys() == small_model().state_dict().keys()


def test_a_run_with_adapters_resumes_exactly_and_saves_a_plain_model(tmp_path):
    lora = {"rank": 2, "alpha": 4, "parts": ["text"]}
    settings = {"lora": lora, "checkpoint_every": 5, "steps": 8, "ema": 0.9}
    start, _ = clips_problem(clips_recipe())
    whole = train(tmp_path / "whole", **settings)

    def interrupt(done):
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", after_step=interrupt, **settings)
    train(tmp_path / "cut", resume=True, **settings)
    one, other = (claver.load(tmp_path / run / "last") for run in ("whole", "cut"))
    assert same_weights(one, other)
    for key, value in whole.model.state_dict().items():
        torch.testing.assert_close(one.state_dict()[key], value, rtol=1e-5, atol=1e-6)
    learned = {key for key, value in one.state_dict().items() if not torch.equal(value, start.state_dict()[key])}
    own = {key for key in learned if key.startswith("text.")}
    assert own
    assert all(key.split(".")[3] in ("qkv", "out", "up", "down") and key.endswith("weight") for key in own)
    assert any(key.startswith("temporal.") for key in learned)


def test_compiled_towers_compute_the_same():
    model = small_model()
    video = torch.randn(2, 3, 3, 16, 16)
    expected = model.encode_video(video)
    compile_towers(model, backend="eager")
    torch.testing.assert_close(model.encode_video(video), expected)
    assert model.state_dict().keys() == small_model().state_dict().keys()


def test_bf16_learns_nearly_the_same():
    losses = train(steps=3).losses
    assert train(steps=3, mixed_precision="bf16").losses == pytest.approx(losses, rel=0.05)


def test_trackers_are_named_rightly_or_refused(tmp_path):
    with pytest.raises(ClaverError, match="trackers: there is no 'tensorbord'"):
        train(tmp_path, trackers=["tensorbord"])
    with pytest.raises(ClaverError, match="wandb is not installed"):
        train(tmp_path, trackers=["wandb"])
    train(tmp_path, steps=1, trackers=[])
    assert not (tmp_path / "logs").exists()
    Trainer(clips_recipe(steps=1), *clips_problem(clips_recipe()), tmp_path).run()
    assert list((tmp_path / "logs").glob("events*"))
