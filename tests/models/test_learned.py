"""What a trained model keeps of its training: classes, their texts, their order, frames and views."""

import json
from pathlib import Path

import pytest

import claver
from claver.errors import CheckpointError, ClaverError
from claver.models import Learned
from claver.models.blend import blend
from claver.models.learned import ACTIONS, read_learned
from tests.models.random_clip import random_clip
from tests.tiny import talking_model

KNOWN = Learned(("waving", "a bow"), (("a wave", "she waves"), ("er verbeugt sich – tief",)), 6, views="2x3")

REST = '"frames": 8, "sampling": "sparse", "views": "1x1"}'


def test_a_model_folder_keeps_what_was_learned(tmp_path: Path) -> None:
    model = talking_model()
    model.learned = KNOWN
    model.save_pretrained(tmp_path)
    assert claver.load(tmp_path).learned == KNOWN
    assert claver.load(tmp_path / "model.safetensors").learned == KNOWN
    assert claver.load(tmp_path, temporal="mean").learned == KNOWN
    assert blend(talking_model().state_dict(), claver.load(tmp_path), 0.5).learned == KNOWN


def test_folders_without_it_load_and_none_is_left_by_another_model(tmp_path: Path) -> None:
    talking_model().save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert claver.load(tmp_path).learned is None
    model = talking_model()
    model.learned = KNOWN
    model.save_pretrained(tmp_path)
    talking_model().save_pretrained(tmp_path)
    assert not (tmp_path / ACTIONS).exists()


def test_a_file_of_that_name_beside_another_model_is_something_else(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="transformers (extra hf) is not installed")
    random_clip(tmp_path)
    (tmp_path / ACTIONS).write_text('{"robot": ["grasp"]}')
    assert claver.load(tmp_path).learned is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not valid JSON"),
        ("[]", "is not a list of actions"),
        ('{"actions": [{"action": "a", "texts": ["b"]}]}', "is not a list of actions"),
        (f'{{"actions": [{{"action": 3, "texts": ["b"]}}], {REST}', "is not a list of actions"),
        (f'{{"actions": [], {REST}', "there must be an action"),
        (f'{{"actions": [{{"action": "a", "texts": []}}], {REST}', "needs a text"),
        (KNOWN.json().replace("sparse", "all"), "'all' is not known"),
    ],
)
def test_a_damaged_file_is_said_and_not_passed_over(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / ACTIONS).write_text(content)
    with pytest.raises(CheckpointError, match=said) as caught:
        read_learned(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_keys_of_later_versions_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / ACTIONS).write_text(json.dumps(json.loads(KNOWN.json()) | {"more": 1}))
    assert read_learned(tmp_path) == KNOWN


def test_a_recognizer_of_a_trained_model_needs_no_actions() -> None:
    model = talking_model()
    with pytest.raises(ClaverError, match="was not trained on actions that it keeps; give the actions"):
        claver.Recognizer(model)
    model.learned = KNOWN
    own = claver.Recognizer(model)
    assert own.actions == KNOWN.names
    assert own.bank.actions.texts == KNOWN.texts
    assert (own.frames, str(own.views)) == (6, "2x3")
    other = claver.Recognizer(model, ["running"])
    assert (other.actions, other.frames, str(other.views)) == (("running",), 4, "1x1")
    assert claver.Recognizer(model, texts="names").bank.actions.texts == (("waving",), ("a bow",))
    assert (claver.Recognizer(model, frames=3, views="1x1").frames, str(own.views)) == (3, "2x3")
