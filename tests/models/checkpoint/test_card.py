"""The card of a published model, and what goes to the Hub."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import yaml
from tests.tiny import talking_model

from claver.errors import ClaverError
from claver.models import Claver
from claver.models.checkpoint.card import TOLD, UNTOLD, model_card
from claver.models.learned import Learned


def front(card: str) -> dict[str, Any]:
    head: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return head


def test_a_card_tells_what_the_model_is_and_what_was_told() -> None:
    model = talking_model()
    model.learned = Learned(tuple(f"action {n}" for n in range(12)), (("a", "b"),) * 12, 4, views="4x3")
    told = {name: f"about {name}" for name in TOLD} | {"license": "cc-by-4.0"}
    card = model_card(model, "me/my_model", told)
    assert front(card)["license"] == "cc-by-4.0"
    assert all(value in card for value in told.values())
    assert UNTOLD not in card
    assert "# my\\_model" in card
    assert 'claver.load("me/my_model"), ["action 0", "action 1", "action 2"]' in card
    assert "12 actions, by 24 texts, on clips of 4 frames (views 4x3): *action 0*" in card
    assert "and 2 more" in card
    config = model.config
    count = sum(parameter.numel() for parameter in model.parameters())
    assert f"{count / 1e6:,.1f} million parameters; an image tower of {config.image.layers} layers" in card
    assert "temporal tower `kmct`" in card.replace("\n", " ")


def test_what_nobody_told_is_marked_and_nothing_is_left_of_the_template() -> None:
    card = model_card(talking_model(), "me/model")
    assert front(card)["license"] == "other"
    assert card.count(UNTOLD) == len(TOLD) - 1  # limits of its own need not be
    assert "$" not in card
    for word in ("no", "1.0", "proprietary", "null"):  # no identifiers of the Hub, and YAML takes some for other things
        assert front(model_card(talking_model(), "me/model", {"license": word}))["license"] == "other"
    sentence = model_card(talking_model(), "me/model", {"license": "Research only; ask us."})
    assert front(sentence)["license"] == "other"
    assert "Research only; ask us." in sentence


def test_names_of_actions_are_words_and_no_markup() -> None:
    model = talking_model()
    model.learned = Learned(("<b>*falls*</b>\n# big", "$data"), (("a",), ("b",)), 4)
    card = model_card(model, "me/model", {"data": "clips"})
    assert "<b>" not in card.split("It was trained on")[1]
    assert "\n# big" not in card
    assert "\\$data" in card


def test_a_wrong_part_of_a_card_is_named() -> None:
    with pytest.raises(ClaverError, match="a card has no part 'licence'; did you mean 'license'"):
        model_card(talking_model(), "me/model", {"licence": "mit"})
    with pytest.raises(ClaverError, match="'data' of the card is empty"):
        model_card(talking_model(), "me/model", {"data": " "})


class Hub:
    """Keeps what is uploaded."""

    cards: frozenset[str] = frozenset()

    def __init__(self, token: str | None = None) -> None:
        self.made: list[str] = []

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> None:
        self.made.append(repo_id)

    def file_exists(self, repo_id: str, name: str) -> bool:
        assert repo_id in self.made
        return name in self.cards

    def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str) -> str:
        assert repo_id in self.made
        Hub.uploaded = {path.name: path.read_bytes() for path in Path(folder_path).iterdir()}
        return f"https://hub/{repo_id}"

    uploaded: dict[str, bytes]


def test_the_hub_gets_the_model_and_its_card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    model = talking_model()
    assert model.push_to_hub("me/model", card={"data": "my own clips"}) == "https://hub/me/model"
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} == set(Hub.uploaded)
    assert "my own clips" in Hub.uploaded["README.md"].decode()
    for name, content in Hub.uploaded.items():
        (tmp_path / name).write_bytes(content)
    again = Claver.from_pretrained(tmp_path)
    assert replace(again.config) == model.config
    monkeypatch.setattr(Hub, "cards", frozenset(["README.md"]))
    model.push_to_hub("me/model")
    assert "README.md" not in Hub.uploaded
    model.push_to_hub("me/model", card={"data": "other clips"})
    assert "other clips" in Hub.uploaded["README.md"].decode()
