"""Own words of visitors: never a file, bounded, encoded once."""

from pathlib import Path

import pytest
from tests.app.conftest import ACTIONS
from tests.tiny import talking_model

from claver.app.job import Job, StoppedError
from claver.app.limits import Limits
from claver.app.words import Recognizers, parsed
from claver.errors import ClaverError
from claver.inference import Recognizer


def test_words_are_separated_by_commas_and_lines_each_once() -> None:
    assert parsed(" waves,\n bows ;waves,, ", Limits()) == ("waves", "bows")
    assert parsed("e\u0301clair", Limits()) == ("éclair",)
    assert parsed("a\u202eb", Limits()) == ("a\\u202eb",)
    with pytest.raises(ClaverError, match="these are 3 actions; at most 2 are compared here"):
        parsed("a, b, c", Limits(words=2))
    with pytest.raises(ClaverError, match="has 11 letters; at most 10 are taken"):
        parsed("x" * 11, Limits(letters=10))


def test_names_of_files_and_benchmarks_are_words(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("secret\n")
    made = Recognizers(talking_model(), None, Limits()).of(f"{tmp_path}/list.txt, kinetics400", Job())
    assert made.actions == (f"{tmp_path}/list.txt", "kinetics400")


def test_recognisers_are_kept_and_say_what_is_known_of_an_action() -> None:
    model = talking_model()
    usual = Recognizer(model, {"waves": ["a hand goes up"], "bows": ["a head goes down"]}, cache=False)
    all_of_them = Recognizers(model, usual, Limits())
    assert all_of_them.of("", Job()) is usual
    assert all_of_them.of("waves, bows", Job()) is usual
    other = all_of_them.of("waves, jumps", Job())
    assert other is all_of_them.of("waves,jumps", Job())
    assert other.model is model
    assert other.texts.texts[0] == ("a hand goes up",)
    assert len(other.texts.texts[1]) > 1  # templates
    assert other.open_set is not None


def test_without_words_and_without_actions_some_must_be_written() -> None:
    with pytest.raises(ClaverError, match="write some actions first"):
        Recognizers(talking_model(), None, Limits()).of(" , ", Job())


def test_a_stopped_job_makes_no_recogniser() -> None:
    job = Job()
    job.stop()
    with pytest.raises(StoppedError):
        Recognizers(talking_model(), None, Limits()).of(", ".join(ACTIONS), job)
