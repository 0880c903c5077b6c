"""What a language model is told: a command, examples, the action; the shipped examples are themselves sound texts."""

from pathlib import Path

import pytest

from claver.errors import ClaverError
from claver.text import BENCHMARKS, Prompt, benchmark_classes
from claver.text.generator import WRITTEN_KINDS, Form, load_forms
from claver.text.record import Kind
from claver.text.validate import check_text

FORM = Form("Describe the action.", {"hopping": "A hop.", "rowing": "Oars dip.", "diving": "A leap."})


def test_a_chat_shows_each_example_as_a_turn_and_ends_with_the_action() -> None:
    messages = FORM.messages("juggling")
    assert [message["role"] for message in messages] == ["user", "assistant"] * 3 + ["user"]
    assert messages[0]["content"] == "Describe the action.\n\nhopping"
    assert [message["content"] for message in messages[1:]] == [
        *("A hop.", "rowing", "Oars dip.", "diving", "A leap.", "juggling")
    ]


def test_a_completion_is_command_examples_action_and_leaves_the_text_open() -> None:
    assert FORM.completion("juggling") == (
        "Describe the action.\n\nAction: hopping\nText: A hop.\n\nAction: rowing\nText: Oars dip.\n\n"
        "Action: diving\nText: A leap.\n\nAction: juggling\nText:"
    )


def test_an_action_is_not_shown_its_own_example_and_is_told_what_is_there_already() -> None:
    assert "A hop." not in FORM.completion("Hopping")
    messages = FORM.messages("hopping", ["Up and down."])
    assert messages[0]["content"] == "Describe the action.\n\nrowing"
    assert messages[-1]["content"] == "hopping (in other words than: Up and down.)"
    assert FORM.completion("hopping", ["a", "b"]).endswith("Action: hopping (in other words than: a | b)\nText:")


def test_the_hash_is_of_the_words() -> None:
    assert FORM.hash == Form(FORM.command, dict(FORM.examples)).hash
    assert FORM.hash != Form("Describe it.", FORM.examples).hash
    assert FORM.hash != Form(FORM.command, dict(FORM.examples) | {"diving": "A plunge."}).hash


@pytest.mark.parametrize("kind", WRITTEN_KINDS)
def test_shipped_examples_are_three_sound_texts_of_actions_on_no_benchmark(kind: Kind) -> None:
    form = load_forms()[kind]
    assert len(form.examples) == 3
    assert not set(form.examples) & {name for benchmark in BENCHMARKS for name in benchmark_classes(benchmark)}
    for action, text in form.examples.items():
        assert check_text(Prompt("own", action, kind, text)) == []


def test_own_examples_replace_those_of_their_kind(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("body:\n  command: Which parts\n    move?\n  examples: {hopping: 'A leg.', rowing: Arms.}\n")
    forms = load_forms(path)
    assert forms["body"] == Form("Which parts move?", {"hopping": "A leg.", "rowing": "Arms."})
    assert forms["synonym"] == load_forms()["synonym"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "should hold command and examples under synonym"),
        ("bodies: {}", "'bodies' is none of synonym, decomposition, body"),
        ("body: [", "not valid YAML"),
        ("body: {command: x}", "body: should hold 'command' and 'examples'"),
        ("body: {command: '', examples: {a: b, c: d}}", "'command' is empty"),
        ("body: {command: x, examples: {a: b}}", "two or more actions"),
        ("body: {command: x, examples: {a: b, c: 7}}", "the example 'c' should be an action with a text"),
    ],
)
def test_a_malformed_file_is_named_with_its_fault(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(content)
    with pytest.raises(ClaverError, match=r"own\.yaml") as refused:
        load_forms(path)
    assert sentence in str(refused.value)


def test_a_missing_file_and_one_that_is_not_text_are_named(tmp_path: Path) -> None:
    with pytest.raises(ClaverError, match=r"nowhere\.yaml: No such file"):
        load_forms(tmp_path / "nowhere.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"body: \xe9")
    with pytest.raises(ClaverError, match="not UTF-8 text"):
        load_forms(tmp_path / "latin.yaml")
