"""The texts of the motion dataset's verbs: whole, each of one verb, equally many, and true to where the shapes go."""

from collections import Counter

import numpy as np
import pytest

from claver.motion.prompts import PREFIXES, SUFFIXES, aspect_texts, motion_prompts
from claver.motion.rendering import VERBS, render_clips, render_stills, verb_names
from claver.motion.rng import rng_for
from claver.motion.tasks import motion_tokenizer
from claver.motion.unseen import UNSEEN_VERBS
from claver.training.recipe import load_recipe

EVERY = ("name", "template", "decomposition", "synonym", "body")


def test_every_verb_trained_on_or_not_has_equally_many_texts_of_each_kind():
    counts = Counter((prompt.action, prompt.kind) for prompt in motion_prompts())
    names = (*verb_names(), *verb_names(UNSEEN_VERBS))
    assert len(set(names)) == 24
    assert counts == {
        (name, kind): number for name in names for kind, number in (("decomposition", 3), ("synonym", 3), ("body", 2))
    }


def test_no_text_is_said_of_two_verbs():
    said = [text for texts in aspect_texts(EVERY, (*VERBS, *UNSEEN_VERBS)).values() for text in texts]
    assert [text for text, times in Counter(said).items() if times > 1] == []


def test_texts_come_in_the_order_of_the_aspects():
    texts = aspect_texts(["synonym", "name", "template"], VERBS[:1])["moves right"]
    assert texts[0] == "slides to the right"
    assert texts[3] == "moves right"
    assert texts[4:] == tuple(form.format("moves right") for form in (*PREFIXES, *SUFFIXES))


def test_all_texts_fit_the_context_of_the_small_model_whole():
    recipe = load_recipe("motion_stills")
    captions = render_stills(range(200), split="train", size=16).captions
    tokenizer = motion_tokenizer(recipe, captions)
    for texts in aspect_texts(EVERY, (*VERBS, *UNSEEN_VERBS)).values():
        assert max(len(tokenizer.encode(text)) for text in texts) <= tokenizer.context


@pytest.mark.parametrize("verb", UNSEEN_VERBS, ids=verb_names(UNSEEN_VERBS))
def test_first_and_last_place_said_of_a_verb_are_where_its_clips_begin_and_end(verb):
    pose = verb.path((np.arange(8) + 0.5) / 8, rng_for("clips", 0, "test", np.arange(64)))
    x, y = np.broadcast_to(pose.x, (64, 8)), np.broadcast_to(pose.y, (64, 8))
    holds = {"left": x < 0.4, "right": x > 0.6, "top": y < 0.4, "bottom": y > 0.6}
    states = aspect_texts(["decomposition"], [verb])[verb.name][0].strip(".").split(", ")
    first, last = (states[-1], states[0]) if verb.backwards else (states[0], states[-1])
    for instant, state in ((0, first), (-1, last)):
        if "spirals" not in verb.name:  # they end on whichever side they come to
            assert all(holds[word][:, instant].all() for word in state.split() if word in holds), state


def test_unseen_verbs_are_others_and_come_in_pairs_of_mutual_reverses():
    assert not {verb.path for verb in UNSEEN_VERBS} & {verb.path for verb in VERBS}
    for first, second in zip(UNSEEN_VERBS[::2], UNSEEN_VERBS[1::2], strict=True):
        assert (first.reverse, second.reverse) == (second.name, first.name)
    clips = render_clips(range(len(UNSEEN_VERBS)), split="test", verbs=UNSEEN_VERBS)
    np.testing.assert_array_equal(clips.frames[0::2], clips.frames[1::2, ::-1])


def test_a_spiral_leaves_the_middle():
    verb = next(verb for verb in UNSEEN_VERBS if verb.name == "spirals outwards")
    pose = verb.path((np.arange(8) + 0.5) / 8, rng_for("clips", 0, "test", np.arange(64)))
    distance = np.hypot(np.asarray(pose.x) - 0.5, np.asarray(pose.y) - 0.5)
    assert (np.diff(distance) > 0).all()
    assert distance[:, -1].min() > 0.28
