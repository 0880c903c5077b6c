"""The text bank scores as Eq. 10 written out."""

import pytest
import torch
from tests.tiny import talking_model, tiny_model
from torch.nn import functional as F

from claver.errors import ClaverError
from claver.models import class_scores, similarity, video_embedding
from claver.text import read_actions
from claver.text.text_bank import TextBank

ACTIONS = {"waving": ["a wave", "she waves"], "bowing": ["a bow", "he bows"], "running": ["a run", "they run"]}
FRAMES = torch.randn(4, 3, 32, generator=torch.Generator().manual_seed(0))  # [V, T, E]


def test_scores_rank_and_scale_as_equation_10() -> None:
    model = talking_model()
    bank = TextBank.encode(model, read_actions(ACTIONS))
    with torch.no_grad():
        texts = torch.stack([model.encode_text(model.tokenizer([a[k] for a in ACTIONS.values()])) for k in range(2)])
        logits = similarity(video_embedding(FRAMES), texts, model.scale)  # [V, K, C]
        expected = class_scores(logits).mean(0) / 2
        torch.testing.assert_close(bank.scores(FRAMES, model.scale), expected)
        logits = similarity(video_embedding(FRAMES, "released"), texts, model.scale, "released")
        expected = class_scores(logits, "released").sum(0)
        torch.testing.assert_close(bank.scores(FRAMES, model.scale, "released"), expected)


def test_scores_are_the_same_under_autocast() -> None:
    model = talking_model()
    bank = TextBank.encode(model, read_actions(ACTIONS))
    for aggregate in ("paper", "released"):
        with torch.autocast("cpu", torch.bfloat16):
            found = bank.scores(FRAMES, torch.tensor(100.0), aggregate)
        torch.testing.assert_close(found, bank.scores(FRAMES, torch.tensor(100.0), aggregate), rtol=0, atol=1e-5)


def test_actions_may_have_different_numbers_of_texts() -> None:
    model = talking_model()
    bank = TextBank.encode(model, read_actions({"waving": ["a wave", "she waves", "a wave"], "bowing": ["a bow"]}))
    assert bank.embeddings.shape == (4, 32)
    torch.testing.assert_close(bank.embeddings[0], bank.embeddings[2])
    torch.testing.assert_close(bank.embeddings.norm(dim=-1), torch.ones(4))
    torch.testing.assert_close(bank.prototypes[0], bank.embeddings[:3].mean(0))
    unit = F.normalize(video_embedding(FRAMES), dim=-1)
    scores = bank.scores(FRAMES, torch.tensor(10.0))
    torch.testing.assert_close(scores[1], 10 * (unit @ bank.embeddings[3]).mean())


def test_the_released_arithmetic_begins_short_lists_again() -> None:
    model = talking_model()
    ragged = TextBank.encode(model, read_actions({"waving": ["a wave", "she waves"], "bowing": ["a bow"]}))
    even = TextBank.encode(model, read_actions({"waving": ["a wave", "she waves"], "bowing": ["a bow", "a bow"]}))
    scale = torch.tensor(10.0)
    torch.testing.assert_close(ragged.scores(FRAMES, scale, "released"), even.scores(FRAMES, scale, "released"))


def test_a_model_without_tokenizer_says_what_to_do() -> None:
    with pytest.raises(ClaverError, match=r"put its tokenizer.json beside the weights"):
        TextBank.encode(tiny_model(), read_actions("waving"))


def test_actions_come_and_go_and_the_rest_stays() -> None:
    model = talking_model()
    bank = TextBank.encode(model, read_actions(ACTIONS))
    fewer = bank.remove(["bowing"])
    assert fewer.actions.names == ("waving", "running")
    again = fewer.add({"bowing": ACTIONS["bowing"]}, model).select(ACTIONS)
    assert again.actions == bank.actions
    torch.testing.assert_close(again.embeddings, bank.embeddings)
    torch.testing.assert_close(again.prototypes, bank.prototypes)
    turned = bank.select(["running", "waving"])
    expected = bank.scores(FRAMES, torch.tensor(10.0))[[2, 0]]
    torch.testing.assert_close(turned.scores(FRAMES, torch.tensor(10.0)), expected)
    with pytest.raises(ClaverError, match="no action 'bowin'; did you mean 'bowing'"):
        bank.remove(["bowin"])
    with pytest.raises(ClaverError, match="'waving' already"):
        bank.add(["waving"], model)
    with pytest.raises(ClaverError, match="empty"):
        bank.remove(ACTIONS)


def test_only_what_is_new_is_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    model = talking_model()
    bank = TextBank.encode(model, read_actions(ACTIONS))
    seen: list[int] = []
    forward = type(model.text).forward
    monkeypatch.setattr(type(model.text), "forward", lambda self, x: seen.append(len(x)) or forward(self, x))
    bank.remove(["waving"]).add({"nodding": ["a nod"]}, model).select(["nodding", "bowing"])
    assert seen == [1]
