"""Appendix F: any clip, any texts, ranked as the recogniser ranks them."""

import json

import numpy as np
import pytest
from tests.training.small import small_model
from typer.testing import CliRunner

from claver.cli.main import app
from claver.errors import ClaverError
from claver.inference.recognizer import Recognizer
from claver.motion.rendering import render_clips, write_clip
from claver.studies.study import Options
from claver.studies.texts import STUDY

TEXTS = ["a shape moves left", "a shape moves right", "it grows, says a text of many words that goes on", "spins"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    small_model().save_pretrained(folder / "model")
    write_clip(folder / "clip.mp4", render_clips([1], split="test", frames=24, size=64).frames[0])
    (folder / "texts.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    return folder


def options(place, clip="clip.mp4", texts="texts.txt", model="model"):
    return Options(arguments=(str(place / clip), str(place / texts)), model=model and str(place / model))


def test_the_command_ranks_every_text_by_its_own_words_and_draws(place):
    words = ["study", "texts", str(place / "clip.mp4"), str(place / "texts.txt"), "--model", str(place / "model")]
    result = CliRunner().invoke(app, [*words, "--output", str(place / "out")], catch_exceptions=False)
    assert result.exit_code == 0
    figures = json.loads((place / "out" / "data.jsonl").read_text())["figures"]
    plain = Recognizer(str(place / "model"), {text: [text] for text in TEXTS})(place / "clip.mp4")
    assert figures["text"] == [answer.action for answer in plain.top(4)]
    np.testing.assert_allclose(figures["probability"], [answer.probability for answer in plain.top(4)], rtol=1e-5)
    assert (place / "out" / "figure.png").read_bytes()[1:4] == b"PNG"
    assert figures["text"][0] in (place / "out" / "table.md").read_text()


def test_other_texts_under_the_same_name_are_another_run(place):
    before = STUDY.runs(options(place))
    (place / "more.txt").write_text("other\n", encoding="utf-8")
    after = STUDY.runs(options(place, texts="more.txt"))
    assert len(before) == len(after) == 1
    assert before[0]["contents"] != after[0]["contents"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"model": None}, "needs --model"),
        ({"clip": "none.mp4"}, "there is no clip"),
        ({"texts": "none.txt"}, "there is no file"),
        ({"texts": "empty.txt"}, "holds no text"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(place, wrong, message):
    (place / "empty.txt").write_text("\n", encoding="utf-8")
    with pytest.raises(ClaverError, match=message):
        STUDY.check(options(place, **wrong))
