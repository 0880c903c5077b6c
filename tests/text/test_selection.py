"""Which texts an action gets: those asked for, those that come with it, or templates, which is said."""

import logging
from pathlib import Path
from typing import Any

import pytest

from claver.errors import ClaverError
from claver.log import warn_once
from claver.text import (
    PLAIN_TEMPLATES,
    Prompt,
    PromptBank,
    benchmark_classes,
    fill,
    read_actions,
    texts_for,
    write_prompts,
)

CLASS = "brush hair"
SHIPPED = PromptBank.shipped("hmdb51")
ALL = SHIPPED.actions([CLASS]).texts[0]


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> Any:
    warn_once.cache_clear()
    caplog.set_level(logging.WARNING, "claver")
    return caplog


def of_kind(*kinds: str) -> tuple[str, ...]:
    return tuple(prompt.text for prompt in SHIPPED.prompts if prompt.action == CLASS and prompt.kind in kinds)


def test_a_benchmark_gets_what_the_paper_uses(heard: Any) -> None:
    actions = read_actions("hmdb51")
    assert actions.names == tuple(benchmark_classes("hmdb51"))
    assert set(actions.texts[0]) == set(of_kind("template", "decomposition", "synonym", "body"))
    assert actions.texts[0][: len(fill(CLASS))] == fill(CLASS)
    assert texts_for([CLASS], dataset="hmdb51").texts == (ALL,)
    assert texts_for(["abseiling"], dataset="kinetics600-draw1") == texts_for(["abseiling"], dataset="kinetics600")
    assert not heard.text


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ("names", (CLASS,)),
        ("name", (CLASS,)),
        ("templates", fill(CLASS)),
        ("names,template", fill(CLASS)),
        ("templates-plain", fill(CLASS, PLAIN_TEMPLATES)),
        ("templates-plain,synonym", (*fill(CLASS, PLAIN_TEMPLATES), *of_kind("synonym"))),
        ("interpretive", ALL),
        ("decomposition", of_kind("decomposition")),
        ("names, synonyms", (CLASS, *of_kind("synonym"))),
        ("hmdb51", ALL),
    ],
)
def test_choices(texts: str, expected: tuple[str, ...], heard: Any) -> None:
    assert texts_for([CLASS], texts, dataset="hmdb51").texts == (expected,)
    assert texts_for([CLASS], texts).texts == (expected,)  # the only list with such a class
    assert not heard.text


def test_unknown_actions_get_templates_and_that_is_said_once(heard: Any) -> None:
    assert read_actions(["petting a yak", "waving"]).texts == (fill("petting a yak"), fill("waving"))
    assert "'petting a yak' and 1 other: their names are put into templates; `claver prompts generate`" in heard.text
    said = len(heard.records)
    read_actions(["petting a yak", "waving"])
    assert len(heard.records) == said
    texts_for(["petting a yak"], "templates")  # as asked for
    texts_for(["petting a yak"], "names")
    assert len(heard.records) == said
    mixed = texts_for([CLASS, "petting a yak"], "interpretive")
    assert mixed.texts == (ALL, fill("petting a yak"))
    assert len(heard.records) == said + 1


def test_a_dataset_with_classes_of_its_own_is_no_benchmark() -> None:
    assert texts_for([CLASS, "petting a yak"], dataset="hmdb51").texts[0] == fill(CLASS)


def test_a_bank_file_is_a_list_of_actions_and_a_source_of_texts(tmp_path: Path) -> None:
    file = tmp_path / "bank.jsonl"
    own = [("waving", "synonym", "saying hi"), ("waving", "decomposition", "A wave."), ("bowing", "body", "A bow.")]
    write_prompts([Prompt("own", action, kind, text) for action, kind, text in own], file)  # type: ignore[arg-type]
    actions = read_actions(file)
    assert actions.names == ("waving", "bowing")
    assert actions.texts[0] == (*fill("waving"), "A wave.", "saying hi")
    assert read_actions(str(file), texts="synonym").texts == (("saying hi",), fill("bowing"))
    assert texts_for(["bowing"], file).texts == ((*fill("bowing"), "A bow."),)
    with pytest.raises(ClaverError, match=r"bank\.jsonl has no text about 'nodding' and 1 other$"):
        texts_for(["bowing", "nodding", "flying"], file)


def test_a_table_gives_texts_to_others_actions(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("action,text\nwaving,a wave\nbowing,\n")
    assert texts_for(["bowing", "waving"], tmp_path / "t.csv").texts == (fill("bowing"), ("a wave",))
    assert read_actions(tmp_path / "t.csv", texts="names").texts == (("waving",), ("bowing",))
    assert read_actions({"waving": ["a wave"]}, texts=tmp_path / "t.csv").texts == (("a wave",),)
    with pytest.raises(ClaverError, match=r"t\.csv has no text about 'nodding'$"):
        texts_for(["nodding"], str(tmp_path / "t.csv"))


def test_templates_of_ones_own_are_used_alone_unless_more_is_asked_for() -> None:
    assert read_actions("hmdb51", templates=["they {}"]).texts[0] == (f"they {CLASS}",)
    everything = texts_for([CLASS], "interpretive", templates=["they {}"]).texts[0]
    assert everything[0] == f"they {CLASS}"
    assert set(everything[1:]) == set(of_kind("decomposition", "synonym", "body"))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("interpretativ", "did you mean 'interpretive'"),
        ("template,decompsition", "not 'decompsition'; did you mean 'decomposition'"),
        ("template-plain", "did you mean 'templates-plain'"),
        ("nowhere.csv", "there is no file of actions nowhere.csv"),
        ("nowhere.jsonl", "there is no bank of prompts nowhere.jsonl"),
        ("ucf101", "ucf101 has no text about 'brush hair'"),
    ],
)
def test_other_choices_are_answered(texts: str, message: str) -> None:
    with pytest.raises(ClaverError) as caught:
        texts_for([CLASS], texts)
    assert message in str(caught.value)


def test_rewritten_names_are_before_every_sentence() -> None:
    names = ("archery", "abseiling")
    found = read_actions(names, texts="rewritten")
    sentences = read_actions(names, texts="decomposition,body")
    assert found.names == names
    for name, own, plain in zip(names, found.texts, sentences.texts, strict=True):
        assert own == tuple(f"{name}: {text}" for text in plain)
        assert len(own) > 3
    with pytest.raises(ClaverError, match="stand alone"):
        read_actions(names, texts="names,rewritten")
    with pytest.raises(ClaverError, match="qqq"):
        read_actions(("archery", "qqq"), texts="rewritten")
