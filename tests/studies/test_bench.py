import pytest
import torch
from tests.studies.small import SMALL

from claver.errors import ClaverError
from claver.models import Claver
from claver.motion.tasks import pixels_task
from claver.studies import bench
from claver.studies.bench import written


def test_a_trained_model_is_kept_and_not_trained_again(tmp_path, monkeypatch):
    made = bench.verbs(SMALL, tmp_path)
    assert set(made.figures) == {"top1", "top_pair", "within_pair", "seconds"}
    assert made.model.temporal.kind == "kmct"
    monkeypatch.setattr(bench, "learn_verbs", None)
    monkeypatch.setattr(bench, "learn_stills", None)
    again = bench.verbs(dict(reversed(SMALL.items())), tmp_path)
    assert again.figures == made.figures
    for name, value in again.model.state_dict().items():
        assert torch.equal(value, made.model.state_dict()[name]), name


def test_what_an_interruption_left_unfinished_is_not_taken_for_whole(tmp_path):
    def interrupted(folder):
        (folder / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.kept(tmp_path, "thing", {"seed": 0}, interrupted)
    folder = bench.kept(tmp_path, "thing", {"seed": 0}, lambda folder: (folder / "whole").write_text("whole"))
    assert (folder / "whole").read_text() == "whole"


def test_other_settings_are_other_things(tmp_path):
    def make(folder):
        (folder / "made").touch()

    first, second = (bench.kept(tmp_path, "thing", {"seed": seed}, make) for seed in (0, 1))
    assert first != second


def test_pixels_are_the_same_clips_as_tokens(tmp_path):
    start, motion = bench.stills(SMALL, tmp_path), bench.recipes(SMALL)[1]
    train, test = bench.tokens(SMALL, tmp_path)
    task = pixels_task(motion, start)
    for kept, pixels in ((train, task.train), (test, task.test)):
        rows = torch.tensor([0, 3, len(kept) - 1])  # of the clips to learn from the last is a reversed one
        (tokens, labels), (frames, same) = kept.take(rows), pixels.take(rows)
        assert torch.equal(labels, same)
        with torch.no_grad():
            torch.testing.assert_close(
                task.encode(start, frames), start.encode_tokens(tokens), rtol=0.02, atol=0.02
            )  # tokens are kept in half precision


def test_the_image_tower_learns_if_it_is_not_frozen(tmp_path):
    settings = SMALL | {"motion.freeze": ["text"], "motion.texts_per_step": 1}
    before, after = bench.stills(settings, tmp_path), bench.verbs(settings, tmp_path).model

    def changed(part: str) -> bool:
        old, new = ({k: v for k, v in m.state_dict().items() if k.startswith(part)} for m in (before, after))
        return any(not torch.equal(old[key], new[key]) for key in old)

    assert isinstance(after, Claver)
    assert changed("image.")
    assert not changed("text.")


def test_a_setting_no_recipe_takes_is_said(tmp_path):
    with pytest.raises(ClaverError, match=r"did you mean 'steps'"):
        bench.recipes(SMALL | {"motion.stesp": 3})


def test_models_made_by_another_recipe_are_not_used(monkeypatch):
    settings = {"seed": 0, "motion.steps": 3, "motion.warmup": 1}
    known = written(settings)
    assert known == written(settings | {"clips": 5})  # of the study alone
    assert known != written(settings | {"motion.steps": 4})
    assert written(settings, stills_alone=True) == written(settings | {"motion.steps": 4}, stills_alone=True)
    assert written(settings, stills_alone=True) != written(settings | {"stills.lr": 1e-5}, stills_alone=True)
    monkeypatch.setattr(bench, "verb_class_texts", lambda: {"grows": ["it becomes large"]})
    assert known != written(settings)


def test_a_recipe_that_was_changed_makes_new_stills_tokens_and_models(tmp_path, monkeypatch):
    """The settings of a run are the same; the recipes that come with the package say something else."""
    before = bench.verbs(SMALL, tmp_path)
    tokens = bench.tokens(SMALL, tmp_path)[0].tokens
    plain = bench.motion_recipes

    def changed(seed, changes=()):
        stills, motion = plain(seed, changes)
        return stills.model_copy(update={"lr": stills.lr * 10}), motion

    monkeypatch.setattr(bench, "motion_recipes", changed)
    assert not torch.equal(bench.tokens(SMALL, tmp_path)[0].tokens, tokens)
    after = bench.verbs(SMALL, tmp_path)
    assert not torch.equal(after.model.image.position, before.model.image.position)
