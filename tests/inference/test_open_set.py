"""None of these: the bar, what is left out of the background, and what never changes."""

from functools import lru_cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tiny import talking_model
from torch import Tensor
from torch.nn import functional as F

from claver.errors import ClaverError
from claver.inference.encoder import VideoEmbedding
from claver.inference.open_set import Background, OpenSet, known_actions, rank_of_bar
from claver.inference.recognizer import Recognizer
from claver.models import Claver
from claver.text.selection import read_actions
from claver.text.text_bank import TextBank

WIDTH, OTHERS = 512, 300
NOUNS = ["apple", "window", "bottle", "river"]
NONSENSE = ["blorf", "quixle", "zantor", "mibbly"]


@lru_cache(maxsize=1)
def model() -> Claver:
    return talking_model()


def background(seed: int = 0) -> Background:
    torch.manual_seed(seed)
    return Background(tuple(f"other {row}" for row in range(OTHERS)), unit(torch.randn(OTHERS, WIDTH)))


def unit(vectors: Tensor) -> Tensor:
    return F.normalize(vectors, dim=-1)


def test_the_shipped_names_are_some_nine_hundred_each_in_one_spelling() -> None:
    names = known_actions()
    assert 900 <= len(names) <= 1400
    assert "abseiling" in names
    assert ("applying eye makeup" in names) != ("apply eye makeup" in names)
    assert len(names) == len(set(names))


def test_the_bar_is_as_high_as_the_chance_asks() -> None:
    """Of 30 and 270 exchangeable numbers the best of the 30 is above the m-th of the 270 as often as is said."""
    draws = torch.randn(20_000, 30, generator=torch.Generator().manual_seed(0)), torch.randn(20_000, 270)
    for chance in (0.1, 0.3, 0.6):
        rank = rank_of_bar(30, 270, chance)
        above = [(draws[0].amax(1) > draws[1].topk(m).values[:, -1]).float().mean().item() for m in (rank, rank + 1)]
        assert above[0] <= chance + 0.01 < above[1] + 0.02
    assert rank_of_bar(400, 500) == 1, "a bar that is out of reach is the best of all"
    assert rank_of_bar(1, 900) > rank_of_bar(5, 900) > rank_of_bar(50, 900)


def test_right_words_are_known_and_nonsense_is_none_of_these() -> None:
    """A video whose embedding lies by an action, beside words of random directions."""
    right, nonsense = unit(torch.randn(3, WIDTH)), unit(torch.randn(3, WIDTH))
    videos = unit(right + 0.1 * torch.randn(3, WIDTH))
    assert (OpenSet(background(), right, 100.0).unknown(videos) < 0.01).all()
    told = OpenSet(background(), nonsense, 100.0).unknown(videos)
    assert told.mean() > 0.5


@given(st.integers(0, 10_000), st.floats(0.05, 30), st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_a_longer_embedding_or_prototype_changes_nothing(seed: int, length: float, count: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    own, videos = unit(torch.randn(count, WIDTH, generator=generator)), torch.randn(4, WIDTH, generator=generator)
    sets = OpenSet(background(), own, 20.0)
    torch.testing.assert_close(sets.relative(videos), sets.relative(length * videos), rtol=1e-3, atol=1e-3)
    assert ((sets.unknown(videos) >= 0) & (sets.unknown(videos) <= 1)).all()
    order = sets.relative(videos).argsort(-1)
    assert torch.equal(order, (unit(videos) @ own.T).argsort(-1)), "the bar is one for all actions"


@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_a_better_fit_is_never_more_unknown(seed: int, first: float, second: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    video = unit(torch.randn(1, WIDTH, generator=generator))
    away = torch.randn(1, WIDTH, generator=generator)
    away = unit(away - (away @ video.T) * video)
    less, more = sorted((first, second))
    told = [
        OpenSet(background(), fit * video + (1 - fit**2) ** 0.5 * away, 50.0).unknown(video).item()
        for fit in (less, more)
    ]
    assert told[1] <= told[0] + 1e-6
    assert OpenSet(background(), video, 50.0, threshold=3).unknown(video) >= OpenSet(background(), video, 50.0).unknown(
        video
    )


def test_percentiles_count_what_fits_less_well() -> None:
    own, videos = unit(torch.randn(5, WIDTH)), unit(torch.randn(7, WIDTH))
    found = OpenSet(background(), own, 100.0)
    expected = ((videos @ background().prototypes.T)[:, None] < (videos @ own.T)[:, :, None]).float().mean(-1)
    torch.testing.assert_close(found.percentile(videos), expected)


def test_names_that_mean_the_users_words_are_left_out() -> None:
    bank = TextBank.encode(model(), read_actions(["juggling", "apply eye makeup", "playing guitar"]), cache=False)
    names = ["juggling balls", "applying eye makeup", "play guitar", "playing bass guitar", "abseiling", "surfing"]
    names.append("walking " * 20)  # longer than the model's texts
    assert Background.encode(model(), bank, names=names, cache=False).names == ("abseiling", "surfing")
    assert len(Background.encode(model(), bank, names=names[:2], cache=False)) == 0


def test_texts_that_are_alike_are_left_out_by_the_models_own_measure() -> None:
    own = known_actions()[7]
    bank = TextBank.encode(model(), read_actions({"what I call it": [own, f"a video of {own}."]}), cache=False)
    names = Background.encode(model(), bank, cache=False).names
    assert own not in names
    assert len(names) > 300, "to a model of random weights all names are much alike, and most stay all the same"


def test_too_few_other_names_are_said_once_and_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    recognizer = Recognizer(model(), [name for name in known_actions() if name.isascii()], texts="names", cache=False)
    assert recognizer.open_set is None
    assert "'none of these' is not told: the actions leave only" in caplog.text
    with pytest.raises(ClaverError, match="not compared with others"):
        _ = recognizer.conditions


@pytest.mark.parametrize("aggregate", ["paper", "released"])
def test_the_ranking_is_the_same_with_and_without(aggregate: str) -> None:
    own = talking_model(aggregate=aggregate)
    frames = np.random.default_rng(0).integers(0, 255, (6, 40, 40, 3), dtype=np.uint8)
    told, silent = (Recognizer(own, NOUNS, unknown=unknown, cache=False)(frames) for unknown in (True, False))
    np.testing.assert_array_equal(told.scores, silent.scores)
    np.testing.assert_array_equal(told.probabilities, silent.probabilities)
    assert told.top() == silent.top()
    assert silent.unknown is None
    assert not silent.none_of_these
    assert told.unknown is not None
    assert 0 <= told.unknown <= 1


def test_a_clip_whose_words_are_all_nonsense_says_none_of_these() -> None:
    """The frames of the clip lie where the model puts one of the other names."""
    recognizer = Recognizer(model(), NONSENSE, cache=False)
    assert recognizer.open_set is not None
    frames = recognizer.open_set.background.prototypes[100].expand(1, 4, -1)
    shown = torch.zeros(1, 4, 3, 32, 32, dtype=torch.uint8)
    answer = recognizer.predict(VideoEmbedding("clip.mp4", frames, shown))
    assert answer.none_of_these
    assert "none of these" in str(answer)
    assert answer.action in NONSENSE
    assert answer.to_dict()["none_of_these"] is True
    assert "none of these" in answer._repr_html_()
    own = recognizer.predict(VideoEmbedding("clip.mp4", recognizer.open_set.prototypes[2].expand(1, 4, -1), shown))
    assert not own.none_of_these
    assert own.action == NONSENSE[2]
    assert "none of these" not in str(own) + own._repr_html_()
