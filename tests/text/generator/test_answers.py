"""The text in an answer, whatever the model put around it."""

import pytest

from claver.text.generator import clean

TEXT = "Tossing three clubs in turn, the juggler catches each by its handle."


@pytest.mark.parametrize(
    "answer",
    [
        TEXT,
        f"  {TEXT}\n",
        f'"{TEXT}"',
        f"“{TEXT}”",
        f"1. {TEXT}",
        f"1) {TEXT}\n2) Another one altogether.",
        f"- {TEXT}\n- Another.",
        f"**{TEXT}**",
        f"Sure, here is a description: {TEXT}",
        f"Sure! Here's a detailed text description corresponding to the video class:\n\n{TEXT}\n\nI hope that helps!",
        f"Certainly!\n\n{TEXT}",
        f"Of course. Here is one:\n{TEXT}",
        f"Description: {TEXT}",
        f"juggling clubs: {TEXT}",
        f"Juggling clubs – {TEXT}",
        f"Text: juggling clubs: “{TEXT}”",
        f"{TEXT}\n\nAction: rowing\nText: Oars dip.",
        f"<think>The user wants\n\na text.</think>\n\n{TEXT}",
        f"The user wants a text.\n\n</think>\n{TEXT}",
        "Tossing three clubs in turn,\nthe juggler catches each\nby its handle.",
    ],
)
def test_only_the_text_is_left(answer: str) -> None:
    assert clean(answer, "juggling clubs") == TEXT


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("rappelling\nroping down", "rappelling"),
        ("1. rappelling\n2. roping down", "rappelling"),
        ("Here are some synonyms:\n- rappelling\n- roping down", "rappelling"),
        ('Synonym: "rappelling".', "rappelling"),
        ("rappelling.", "rappelling"),
    ],
)
def test_a_synonym_is_one_line_without_a_stop(answer: str, text: str) -> None:
    assert clean(answer, "abseiling", one_line=True) == text


@pytest.mark.parametrize("answer", ["", "\n\n", "Sure!", "Here is one:", "<think>I should", "1. "])
def test_an_answer_without_a_text_is_empty(answer: str) -> None:
    assert clean(answer, "abseiling") == ""


@pytest.mark.parametrize(
    "text",
    [
        "Sure-footed climbers lean back on the rope.",
        "Here the climber leans back and walks down the wall.",
        "Great leaps carry the skater over the ice.",
        "2 hands grip the bar.",
        "Abseiling: no, abseiling is a controlled slide.",
    ],
)
def test_what_belongs_to_the_text_stays(text: str) -> None:
    assert clean(text, "rock climbing") == text
