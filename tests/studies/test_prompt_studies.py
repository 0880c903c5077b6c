"""Models that learn verbs from chosen texts, and the verbs that they never saw; small enough for a test."""

import pytest
import torch

from claver.motion.prompts import aspect_texts
from claver.motion.rendering import VERBS
from claver.motion.unseen import UNSEEN_VERBS
from claver.studies import bench, prompt_studies
from claver.studies.bench import stills
from claver.studies.prompt_studies import encode_aspects, fresh, learned, measure, settings_of, unseen
from claver.studies.study import Options

TINY = {
    "stills.steps": 2,
    "stills.warmup": 1,
    "stills.data.train": 256,
    "stills.data.test": 20,
    "stills.batch_size": 16,
    "motion.steps": 3,
    "motion.warmup": 1,
    "motion.data.train": 48,
    "motion.data.test": 48,
    "motion.batch_size": 12,
}


def tiny(kind="kmt", texts=("name",)):
    return settings_of(Options(quick=True), 0, kind, texts) | TINY


def test_all_but_the_image_tower_learns_and_is_kept(tiny_bench, monkeypatch):
    model = learned(tiny(), tiny_bench)
    start = stills(prompt_studies.bench_part(tiny()), tiny_bench)
    for name, value in start.image.state_dict().items():
        assert torch.equal(value, model.image.state_dict()[name])
    assert not torch.equal(start.text.projection, model.text.projection)
    assert model.config.temporal.kind == "kmt"
    monkeypatch.setattr(prompt_studies, "train", None)  # a second training would fail
    assert torch.equal(learned(tiny(), tiny_bench).text.projection, model.text.projection)


def test_other_texts_make_another_model(tiny_bench):
    by_name, by_two = learned(tiny(), tiny_bench), learned(tiny(texts=("name", "decomposition")), tiny_bench)
    assert not torch.equal(by_name.text.projection, by_two.text.projection)


def test_another_recipe_or_other_texts_make_another_model_and_other_tokens(tmp_path, monkeypatch):
    first, tokens = learned(tiny(), tmp_path), unseen(tiny(), tmp_path, "test", 24).tokens
    texts = prompt_studies.aspect_texts

    def longer(aspects, verbs):
        return {name: [f"{text} now" for text in own] for name, own in texts(aspects, verbs).items()}

    with monkeypatch.context() as patch:
        patch.setattr(prompt_studies, "aspect_texts", longer)
        assert not torch.equal(learned(tiny(), tmp_path).text.projection, first.text.projection)
    plain = bench.motion_recipes

    def changed(seed, changes=()):
        stills, motion = plain(seed, changes)
        return stills.model_copy(update={"lr": stills.lr * 10}), motion

    monkeypatch.setattr(bench, "motion_recipes", changed)
    assert not torch.equal(unseen(tiny(), tmp_path, "test", 24).tokens, tokens)
    assert not torch.equal(learned(tiny(), tmp_path).image.position, first.image.position)


def test_unseen_clips_come_verb_after_verb_and_a_pair_is_one_clip_both_ways(tiny_bench):
    clips = unseen(tiny(), tiny_bench, "test", 24)
    assert clips.labels.tolist() == [*range(12), *range(12)]
    torch.testing.assert_close(clips.tokens[0::2], clips.tokens[1::2].flip(1))
    assert clips.tokens.shape[2] > 1  # patches too, though the towers that know stills read class tokens alone
    more = unseen(tiny(), tiny_bench, "test", 36)
    torch.testing.assert_close(more.tokens[:24], clips.tokens)


def test_measured_is_the_sum_of_cosines_over_the_texts_of_a_verb(tiny_bench):
    model, clips = fresh(tiny(), tiny_bench).eval(), unseen(tiny(), tiny_bench, "test", 24)
    texts = aspect_texts(("name", "synonym"), UNSEEN_VERBS)
    with torch.no_grad():
        video = model.encode_tokens(clips.tokens.float()).mean(1)
        scores = torch.stack(
            [
                sum(torch.cosine_similarity(video, model.encode_text(model.tokenizer([text]))) for text in own)
                for own in texts.values()
            ],
            dim=1,
        )
    expected = (scores.argmax(1) == clips.labels).double().mean().item()
    assert measure(model, clips, ("name", "synonym"), UNSEEN_VERBS)["top1"] == pytest.approx(expected)


def test_a_model_blind_to_order_is_right_within_half_of_the_pairs(tiny_bench):
    clips = unseen(tiny("mean"), tiny_bench, "test", 24)
    model = fresh(tiny("mean"), tiny_bench).eval()
    found = measure(model, clips, ("name",), UNSEEN_VERBS)
    assert found["within_pair"] == pytest.approx(0.5, abs=0.1)


def test_texts_of_a_slot_are_of_one_kind(tiny_bench):
    model = fresh(tiny(), tiny_bench)
    ids = encode_aspects(model, ("name", "decomposition"), VERBS)
    assert ids.shape[:2] == (4, 12)
    assert torch.equal(ids[0, :, : ids.shape[2]], _padded(model.tokenizer([verb.name for verb in VERBS]), ids.shape[2]))


def _padded(ids, length):
    return torch.nn.functional.pad(ids, (0, length - ids.shape[1]))
