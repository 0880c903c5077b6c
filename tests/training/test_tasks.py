from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.training.small import SIZES, clips_problem, clips_recipe, small_model, tokenizer
from torch.nn import functional as F

from claver.errors import ClaverError
from claver.models.temporal import sinusoidal_time
from claver.motion.captions import class_texts, still_caption
from claver.motion.rendering import STATES, VERBS, render_clips, render_stills
from claver.motion.stills import StillsTask, captions_for
from claver.training.clips import score_clips, tokenize_classes
from claver.training.initialization import grid_sinusoid, new_model, with_temporal
from claver.training.objectives import contrastive_loss, smooth_labels
from claver.training.recipe import TemporalSettings
from claver.training.tokens import TokenClips, cache_tokens, normalized


def test_contrastive_loss_is_clips_where_all_captions_differ():
    logits = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    diagonal = torch.arange(6)
    expected = (F.cross_entropy(logits, diagonal) + F.cross_entropy(logits.T, diagonal)) / 2
    torch.testing.assert_close(contrastive_loss(logits, diagonal), expected)


def test_images_that_share_a_caption_are_not_set_against_each_other():
    right = torch.tensor([[20.0, 0], [20, 0], [0, 20]])
    owner = torch.tensor([0, 0, 1])
    shared = contrastive_loss(right, owner)
    assert shared < 0.5 * np.log(2) / 2 + 1e-4  # all that is left: one caption cannot choose between its two images
    assert contrastive_loss(right.roll(1, 0), owner) > 5


def test_smooth_labels_by_hand():
    expected = torch.tensor([[0.025, 0.925, 0.025, 0.025]])
    torch.testing.assert_close(smooth_labels(torch.tensor([1]), 4, 0.1), expected)


def test_captions_name_what_was_asked_for_and_belong_to_their_stills():
    stills = render_stills(range(40), split="train", size=16)
    rows = np.arange(5, 35)
    captions, owner = captions_for(stills, rows, ("shape", "place"), np.random.default_rng(0))
    assert len(set(captions)) == len(captions)
    for row, caption in zip(rows, owner.tolist(), strict=True):
        for name in ("shape", "place"):
            assert STATES[name][stills.states[name][row]] in captions[caption]
        assert "pointing" not in captions[caption]
        assert not any(color in captions[caption] for color in STATES["colour"])


def test_stills_name_only_the_states_they_are_told_to(monkeypatch):
    said: list[str] = []

    def noted(model, texts):
        said.extend(texts)
        return torch.randn(len(texts), 4)

    monkeypatch.setattr("claver.motion.stills.embed_texts", noted)
    monkeypatch.setattr("claver.motion.stills.embed_images", lambda model, images: torch.randn(len(images), 4))
    stills = render_stills(range(40), split="train", size=16)
    task = StillsTask(stills, stills, ("shape", "colour"))
    task.loss(SimpleNamespace(scale=1.0, device="cpu"), np.arange(30), np.random.default_rng(0))
    assert any("star" in text for text in said)
    assert any("red" in text for text in said)
    others = [word for name, words in STATES.items() if name not in task.states for word in words]
    assert not [text for text in said if any(f" {word}" in text for word in others)]


def test_still_captions_have_an_article_and_an_order():
    states = {"colour": "orange", "place": "at the top", "direction": "down"}
    assert still_caption(states) == "an orange shape at the top pointing down"
    assert still_caption(states, 2) == "at the top an orange shape pointing down"


def test_every_verb_has_as_many_texts_and_none_is_shared():
    texts = class_texts()
    assert {len(own) for own in texts.values()} == {15}
    assert len({text for own in texts.values() for text in own}) == 15 * len(VERBS)


def test_tokenizer_ends_with_the_largest_id_and_takes_any_bytes():
    own = tokenizer()
    start, *_, end = own.encode("a shape ünd 漢")
    text = new_model(SIZES, own, seed=0).config.text
    assert end == text.eot == text.vocabulary - 1
    assert start == end - 1
    assert own.encode("moves right") != own.encode("moves left")


def test_texts_of_classes_keep_their_slots():
    ids = tokenize_classes(tokenizer(), {"a": ["moves right", "moves"], "b": ["left", "moves left"]})
    assert ids.shape[:2] == (2, 2)
    expected = tokenizer()(["moves left"])[0]
    assert ids[1, 1, : len(expected)].tolist() == expected.tolist()
    with pytest.raises(ClaverError, match="same number of texts"):
        tokenize_classes(tokenizer(), {"a": ["moves right"], "b": []})


def test_cached_tokens_are_the_image_towers_and_reversal_makes_the_other_verbs_clip():
    model = small_model()
    clips = render_clips(range(4), split="train", frames=4, size=16, verbs=VERBS[:2])
    tokens = cache_tokens(model, [clips.frames[:3], clips.frames[3:]])
    settings = TemporalSettings(kind="kmt", layers=1, frames=4)  # for `mean` the model has class tokens only
    whole = with_temporal(model, settings, token_scale=1.0, seed=0)
    with torch.no_grad():
        expected = whole.image_tokens(normalized(clips.frames, model.config.preprocess))
    torch.testing.assert_close(tokens, expected)
    # 0 and 1 are a pair: rendering the second is the same as reversing the tokens of the first
    pairs = TokenClips(tokens[[0, 2]], torch.tensor([0, 0]), reverse=torch.tensor([1, 0]))
    assert len(pairs) == 4
    taken, labels = pairs.take(torch.tensor([0, 2, 3]))
    assert labels.tolist() == [0, 1, 1]
    torch.testing.assert_close(taken, tokens[[0, 1, 3]], rtol=1e-4, atol=1e-5)


def test_scores_do_not_depend_on_the_batch():
    model, task = clips_problem(clips_recipe())
    whole, labels = score_clips(model, task.test, task.texts)
    parts, _ = score_clips(model, task.test, task.texts, batch=7)
    torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-4)
    assert torch.equal(labels, task.test.labels)


def test_sinusoids_have_unit_scale_and_tell_every_place_apart():
    for table in (grid_sinusoid(4, 128), sinusoidal_time(8, 128)):
        assert table.square().mean().sqrt().item() == pytest.approx(1, abs=1e-5)
        assert (torch.cdist(table, table) + 100 * torch.eye(len(table))).min() > 0.5


def test_a_new_temporal_tower_leaves_the_rest_alone():
    model = small_model()
    made = with_temporal(model, TemporalSettings(kind="kmct", layers=1, init="sinusoidal"), token_scale=2.0, seed=0)
    for key, value in model.state_dict().items():
        assert torch.equal(value, made.state_dict()[key]), key
    assert made.temporal.embedding.square().mean().sqrt().item() == pytest.approx(2, abs=1e-4)
