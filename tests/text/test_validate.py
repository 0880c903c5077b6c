"""A text is refused for what it is told to be refused for, and a whole bank for what no single text shows."""

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claver.log import warn_once
from claver.text import benchmark_classes
from claver.text.record import Kind, Prompt
from claver.text.templates import fill
from claver.text.validate import check_text, validate
from claver.text.words import longest_common_run, nearly_equal, normalized, share_a_stem, stem, stems

GOOD = "Tossing three clubs in turn, the juggler catches each by its handle and sends it up again."
BACK = "Hands scoop and flick at the waist while the juggling eyes stay on the highest point of the arc."


def juggling(text: str, kind: Kind = "decomposition") -> Prompt:
    return Prompt("circus", "juggling balls", kind, text)


def test_good_texts_pass() -> None:
    others = [juggling(GOOD)]
    assert check_text(juggling(GOOD)) == []
    assert check_text(juggling(BACK, "body"), others=others, examples=["A drone lifts off."]) == []
    assert check_text(juggling("keeping three balls in the air", "synonym"), others=others) == []
    assert check_text(juggling("hands, wrists and the ball", "body")) == []  # a list of parts is no sentence
    for text in fill("juggling balls"):
        assert check_text(juggling(text, "template"), others=[juggling(text, "template")]) == []


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("…", "decomposition", "holds no word"),
        ("The juggler " + "throws and " * 40 + "catches.", "decomposition", "tokens, and only 77 fit"),
        ("The **juggler** tosses clubs.", "decomposition", "markup"),
        ("The `juggler` tosses clubs.", "decomposition", "markup"),
        ("<b>The juggler</b> tosses clubs.", "decomposition", "markup"),
        ("- The juggler tosses clubs.", "decomposition", "markup"),
        ("2. The juggler tosses clubs.", "decomposition", "markup"),
        ("# juggling", "synonym", "markup"),
        ("Description: the juggler tosses clubs.", "decomposition", "markup"),
        ("The juggler tosses clubs.\nThe crowd claps.", "decomposition", "more than one line"),
        ('"The juggler tosses clubs."', "decomposition", "in quotes"),
        ("The juggler tosses clubs and", "decomposition", "cut in mid-sentence"),
        ("The juggler tosses clubs and the.", "decomposition", "cut in mid-sentence"),
        ("The juggler tosses clubs", "decomposition", "cut in mid-sentence"),
        ("The hands of a juggler", "body", "cut in mid-sentence"),
        ("tossing, catching,", "synonym", "cut in mid-sentence"),
        ("A cook breaks eggs into a bowl.", "decomposition", "neither names nor paraphrases"),
        ("Wrists turn and the knees bend.", "body", "neither names nor paraphrases"),
        ("juggling balls", "synonym", "own name"),
        ("juggle a ball", "synonym", None),  # longer than the name: another way to say it
        ("ball juggling", "synonym", "own name"),
    ],
)
def test_each_fault_is_named(text: str, kind: Kind, reason: str | None) -> None:
    pytest.importorskip("instant_clip_tokenizer")
    reasons = check_text(juggling(text, kind))
    assert bool(reasons) == (reason is not None)
    assert any((reason or "") in found for found in reasons) or reason is None


def test_a_synonym_may_stand_for_the_name() -> None:
    text = juggling("Clubs cross in the air as the passer sends each on.")
    assert check_text(text) == ["neither names nor paraphrases its action"]
    assert check_text(text, synonyms=["passing clubs"]) == []


def test_a_name_of_words_without_meaning_or_of_another_script_is_found_again() -> None:
    assert check_text(Prompt("own", "up and over", "decomposition", "The cat climbs up on the shelf.")) == []
    assert check_text(Prompt("own", "打篮球", "decomposition", "一个人在打篮球.")) == []
    assert check_text(Prompt("own", "打篮球", "decomposition", "一个人在游泳.")) != []


def test_examples_and_other_texts_are_not_said_again() -> None:
    assert check_text(juggling(GOOD), examples=[GOOD.upper()]) == ["echoes an example"]
    run = "The clown juggles: tossing three clubs in turn, the juggler falls."
    assert check_text(juggling(run), examples=[GOOD]) == ["echoes an example"]
    again = juggling(GOOD.replace("three", "four"))
    assert check_text(again, others=[juggling(GOOD)]) == [f"says nearly the same as {GOOD!r}"]


def test_without_clips_tokenizer_that_is_said(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    from claver.text import validate as module

    monkeypatch.setattr("claver.models.tokenizer.packaged_clip_tokenizer", lambda: None)
    module._clip_tokenizer.cache_clear()
    warn_once.cache_clear()
    with caplog.at_level(logging.WARNING, "claver"):
        assert check_text(juggling("The juggler " + "throws and " * 40 + "catches.")) == []
    module._clip_tokenizer.cache_clear()
    assert "length of texts is not checked" in caplog.text


def bank(name: str, texts: dict[str, list[str]], kind: Kind = "synonym") -> list[Prompt]:
    return [Prompt(name, action, kind, text) for action, own in texts.items() for text in own]


def test_a_whole_bank_is_held_against_its_list() -> None:
    prompts = bank("own", {"waving": ["greeting by hand"], "bowing": ["Greeting, by hand!", "curtsying"]})
    prompts += bank("own", {"waveing": ["saying hello"]}) + bank("own", {"flying": ["being aloft"]})
    prompts += bank("own", {"waving": ["The hand waves to and fro."]}, "decomposition")
    findings = validate(prompts, ["waving", "bowing", "running"])
    told = [(found.row, found.action, found.reason) for found in findings]
    assert told == [
        (3, "waveing", "is of an action that is not on the list; did you mean 'waving'?"),
        (4, "flying", "is of an action that is not on the list"),
        (1, "bowing", "is also a text of 'waving'"),
        (None, "bowing", "has no decomposition text, of own (1 or more wanted)"),
        (None, "running", "has no synonym text, of own (1 or more wanted)"),
        (None, "running", "has no decomposition text, of own (1 or more wanted)"),
    ]
    few = validate(prompts, ["waving", "bowing"], kinds=["synonym"], least=2)
    assert (None, "waving", "has 1 synonym text, of own (2 or more wanted)") in [
        (found.row, found.action, found.reason) for found in few
    ]


def test_a_benchmark_is_known_by_its_name() -> None:
    whole = bank("hmdb51", {action: [f"texts {row}"] for row, action in enumerate(benchmark_classes("hmdb51"))})
    assert validate(whole) == []
    assert [found.action for found in validate(whole[1:])] == [whole[0].action]


def test_classes_renamed_between_the_kinetics_may_share_a_text() -> None:
    names = [*benchmark_classes("kinetics400"), *benchmark_classes("kinetics600")]
    own = {action: [f"texts {row}"] for row, action in enumerate(dict.fromkeys(names))}
    only_400, only_600 = "making bed", "archery"
    if "making the bed" in own:
        own["making the bed"] = own[only_400]
    assert validate(bank("kinetics", own)) == []
    own["abseiling"] = own[only_600]  # both are in both lists
    assert {found.reason for found in validate(bank("kinetics", own))} == {"is also a text of 'abseiling'"}
    missing = {action: texts for action, texts in own.items() if action != "abseiling"}
    assert [found.reason.split(" (")[0] for found in validate(bank("kinetics", missing))] == [
        "has no synonym text, of kinetics400",
        "has no synonym text, of kinetics600",
    ]


TEXT = st.text(alphabet="ab C,.-'é", max_size=40)


@given(TEXT)
def test_normalised_is_idempotent_and_blind_to_case_and_marks(text: str) -> None:
    assert normalized(normalized(text)) == normalized(text)
    assert normalized(text.upper() + " !") == normalized(text)


@given(TEXT, TEXT)
def test_alike_is_symmetric(first: str, second: str) -> None:
    assert nearly_equal(first, second) == nearly_equal(second, first)
    assert longest_common_run(first, second) == longest_common_run(second, first)
    assert nearly_equal(first, first)
    assert longest_common_run(first, first) == len(normalized(first).split())


def test_stems_bring_inflections_together() -> None:
    for forms in (
        ["juggle", "juggles", "juggling", "juggler"],
        ["swim", "swimming", "swims"],
        ["carry", "carries"],
        ["watering", "waters"],
    ):
        assert all(share_a_stem(stems(forms[0]), stems(form)) for form in forms), forms
    assert not share_a_stem(stems("pull ups"), stems("pushing"))
    assert stem("tie") == "tie"
