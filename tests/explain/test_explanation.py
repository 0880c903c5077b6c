"""From a clip and an action to what made their score."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from tests.explain.conftest import ACTIONS, EVIL, explained
from tests.tiny import talking_model

from claver.errors import ClaverError, VideoError
from claver.explain import Explanation, explain
from claver.explain.explanation import MOST_TEXTS
from claver.inference.recognizer import Recognizer
from claver.models.config import Temporal
from claver.video import read_video


@pytest.mark.parametrize("aggregate", ["paper", "released"])
@pytest.mark.parametrize("kind", get_args(Temporal))
def test_the_last_scores_are_the_answer(kind: Temporal, aggregate: str, clip: Path) -> None:
    recognizer = Recognizer(talking_model(kind, aggregate=aggregate), {"waving": ["waving"], "bowing": ["a bow"]})
    explanation, prediction = explain(recognizer, clip, "waving", "bowing"), recognizer(clip)
    np.testing.assert_allclose(explanation.scores[-1], prediction.scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(explanation.probabilities[-1], prediction.probabilities, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(explanation.prediction.frames, prediction.frames)
    assert explanation.scores.shape == (4, 2)
    assert explanation.combined.shape == (4, 4, 4)
    assert explanation.moments.sum() == pytest.approx(1, abs=1e-5)
    if aggregate == "paper":
        assert explanation.similarity == pytest.approx(float(prediction.scores[0] - prediction.scores[1]), abs=1e-4)


@pytest.mark.parametrize("kind", get_args(Temporal))
def test_only_causal_scores_do_not_know_later_frames(kind: Temporal, clip: Path) -> None:
    recognizer = Recognizer(talking_model(kind), ACTIONS)
    frames = read_video(clip)
    changed = frames.copy()
    changed[-1] = 255 - changed[-1]  # T is 4: of 12 frames the last is not looked at, so the last three are changed
    changed[-3:] = 255 - frames[-3:]
    one, two = (explain(recognizer, pixels, "waving") for pixels in (frames, changed))
    same = np.allclose(one.scores[:3], two.scores[:3], atol=1e-5)
    assert same is not one.looks_ahead
    assert not np.allclose(one.scores[3], two.scores[3], atol=1e-5)


def test_an_action_of_the_list_has_its_texts_and_any_other_is_its_own(clip: Path, causal: Explanation) -> None:
    assert {text.text for text in causal.texts} == set(ACTIONS["waving"])
    similarities = [text.similarity for text in causal.texts]
    assert similarities == sorted(similarities, reverse=True)
    assert [text.text for text in causal.against_texts] == ACTIONS[EVIL]
    explanation = explained(clip, "kmct", "someone jumps high")
    assert [text.text for text in explanation.texts] == ["someone jumps high"]
    assert explanation.prediction.actions == (*ACTIONS, "someone jumps high")
    assert explanation.against_texts == ()
    many = Recognizer(talking_model(), {"waving": [f"{'a ' * count}wave" for count in range(1, 12)]})
    assert len(explain(many, clip, "waving").texts) == MOST_TEXTS


def test_a_text_s_similarity_is_the_score_of_an_action_with_that_text(clip: Path) -> None:
    explanation = explained(clip, "kmt")
    alone = explain(Recognizer(talking_model("kmt"), ["other"]), clip, explanation.texts[0].text)
    assert alone.similarity == pytest.approx(explanation.texts[0].similarity, abs=1e-4)
    assert alone.texts[0].words == explanation.texts[0].words
    assert np.mean([text.similarity for text in explanation.texts]) == pytest.approx(explanation.similarity, abs=1e-4)


def test_words_share_the_relevance(causal: Explanation) -> None:
    for text in (*causal.texts, *causal.against_texts):
        assert "".join(word.text for word in text.words) == "".join(text.text.split())
        assert sum(word.share for word in text.words) == pytest.approx(1)
    assert any(word.kind == "verb" for text in causal.texts for word in text.words)


def test_a_model_will_do(clip: Path, tmp_path: Path) -> None:
    model = talking_model("kmct")
    model.save_pretrained(tmp_path / "model")
    explanation = explain(tmp_path / "model", clip, "waving", against="bowing")
    assert explanation.prediction.actions == ("waving", "bowing")
    expected = explain(model, clip, "waving", "bowing")
    np.testing.assert_allclose(explanation.combined, expected.combined, rtol=1e-4, atol=1e-6)
    assert "rather than 'bowing'" in repr(explanation)


def test_the_difference_is_neither_of_the_two(clip: Path, causal: Explanation) -> None:
    alone, back = explained(clip, "kmct"), explained(clip, "kmct", EVIL, "waving")
    assert back.similarity == pytest.approx(-causal.similarity, abs=1e-4)
    assert not np.allclose(alone.combined, causal.combined)
    assert not np.allclose(back.combined, causal.combined)


def test_bad_input(clip: Path) -> None:
    with pytest.raises(ClaverError, match="cannot be compared with itself"):
        explained(clip, "kmct", "waving", "waving ")
    with pytest.raises(ClaverError, match="empty text"):
        explained(clip, "kmct", "  ")
    with pytest.raises(ClaverError, match="empty text"):
        explained(clip, "kmct", "waving", "")
    with pytest.raises(VideoError, match="no such file"):
        explained(clip.with_name("missing.mp4"), "kmct")
