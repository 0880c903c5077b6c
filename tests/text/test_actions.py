"""Lists of actions from names, files and words, and what is refused."""

import csv
import unicodedata
from pathlib import Path

import pytest

from claver.data.action_files import read_class_file
from claver.data.classes import split_camel_case
from claver.errors import ClaverError
from claver.text import (
    BENCHMARKS,
    DEFAULT_TEMPLATES,
    Actions,
    Prompt,
    benchmark_classes,
    fill,
    read_actions,
    texts_for,
)

LABELS = {"kinetics400": "kinetics_400", "kinetics600": "kinetics_600", "ucf101": "ucf_101", "hmdb51": "hmdb_51"}


@pytest.mark.parametrize(
    ("name", "count"), [("kinetics400", 400), ("kinetics600", 600), ("ucf101", 101), ("hmdb51", 51)]
)
def test_benchmarks_have_their_official_classes_in_order(name: str, count: int, shared: Path) -> None:
    rows = csv.DictReader((shared / "meta" / f"{LABELS[name]}_labels.csv").open())
    assert benchmark_classes(name, raw=True) == [row["name"] for row in rows]
    actions = read_actions(name)
    assert len(actions) == count
    assert all(texts[0] == action for action, texts in zip(actions.names, actions.texts, strict=True))


def test_ucf_names_become_words() -> None:
    assert split_camel_case("ApplyEyeMakeup") == "apply eye makeup"
    assert split_camel_case("YoYo") == "yo yo"
    assert "handstand pushups" in read_actions("ucf101").names


def test_words_lists_and_mappings() -> None:
    assert read_actions("waving, shaking hands ,").names == ("waving", "shaking hands")
    assert read_actions(["waving"]).texts == (fill("waving"),)
    assert len(fill("waving")) == len(DEFAULT_TEMPLATES)
    own = read_actions({"waving": ["a hand goes to and fro"], "bowing": ["a bow", "someone bends"]})
    assert own.texts == (("a hand goes to and fro",), ("a bow", "someone bends"))
    assert read_actions(own) is own
    assert read_actions(["waving"], templates=["they are {}!"]).texts == (("they are waving!",),)


def test_pairs_of_a_name_and_its_texts() -> None:
    actions = read_actions(
        [("waving", ["a hand goes to and fro", "hello"]), ("bowing", "a bow"), ["nodding", []], "running"]
    )
    assert actions.names == ("waving", "bowing", "nodding", "running")
    assert actions.texts == (("a hand goes to and fro", "hello"), ("a bow",), fill("nodding"), fill("running"))
    assert read_actions([("waving", "a wave")], texts="names").texts == (("waving",),)
    with pytest.raises(ClaverError, match="'waving' is listed more than once"):
        read_actions([("waving", "a wave"), ("waving", "a hand")])
    for wrong in (3, ("waving", 3), ("a", "b", "c"), ("waving", [3]), ("", "a")):
        with pytest.raises(ClaverError, match="an action is a name, or a pair of a name and its texts, not"):
            read_actions([wrong])  # type: ignore[list-item]


def test_text_files_and_tables(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("waving\n\n shaking hands\n")
    assert read_actions(tmp_path / "a.txt").names == ("waving", "shaking hands")
    (tmp_path / "a.csv").write_text("\ufeffid,action,text\n0,waving,a hand moves\n1,bowing,\n0,waving,she waves\n")
    actions = read_actions(str(tmp_path / "a.csv"))
    assert actions.names == ("waving", "bowing")
    assert actions.texts == (("a hand moves", "she waves"), fill("bowing"))
    (tmp_path / "labels.csv").write_text('id,name\n0,"throw, catch"\n')
    assert read_actions(tmp_path / "labels.csv").names == ("throw, catch",)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ("label,x\na,b\n", "one of them must be 'action'"),
        ('action\nwaving\n""\n', "line 3: the action is empty"),
        ("action\nwaving\nwaving\n", "line 3: action 'waving' is listed more than once"),
        ("action\n", "the list of actions is empty"),
    ],
)
def test_tables_that_are_wrong_say_where(tmp_path: Path, contents: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(contents)
    with pytest.raises(ClaverError, match=message):
        read_actions(tmp_path / "a.csv")


def test_class_files_with_numbers_and_header_give_the_names(tmp_path: Path) -> None:
    for name, text in (("a.csv", "id,name\n0,abseiling\n1,tai chi\n"), ("a.txt", "0 abseiling\n1 tai chi\n")):
        (tmp_path / name).write_text(text)
        assert read_actions(tmp_path / name).names == ("abseiling", "tai chi")


def test_the_class_file_of_ucf_gives_its_names(shared: Path) -> None:
    lines = (shared / "meta" / "ucf101" / "classInd.txt").read_text().splitlines()
    names = tuple(split_camel_case(line.split()[1]) for line in lines)
    assert read_actions(shared / "meta" / "ucf101" / "classInd.txt").names == names


def test_a_table_without_header_and_a_list_of_distances(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('0,abseiling\n1,"throw, catch"\n')
    assert read_actions(tmp_path / "a.csv").names == ("abseiling", "throw, catch")
    (tmp_path / "a.txt").write_text("100 meters running\n200 meters running\n")
    assert read_actions(tmp_path / "a.txt").names == ("100 meters running", "200 meters running")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_as_editors_save_them(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.txt").write_bytes("prüfen\r\ntai chi\r\n".encode(encoding))
    assert read_actions(tmp_path / "a.txt").names == ("prüfen", "tai chi")
    (tmp_path / "a.csv").write_bytes("action,text\r\nprüfen,sie prüft\r\n".encode(encoding))
    assert read_actions(tmp_path / "a.csv").texts == (("sie prüft",),)


def test_composed_and_decomposed_letters_are_one_name(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "prüfen")
    for source in ([decomposed], decomposed, {decomposed: [f"sie {decomposed}"]}):
        actions = read_actions(source)
        assert actions.names == ("prüfen",)
        assert "prüfen" in actions.texts[0][0]
    (tmp_path / "a.txt").write_text(f"prüfen\n{decomposed}\n")
    for twice in (["prüfen", decomposed], tmp_path / "a.txt"):
        with pytest.raises(ClaverError, match="'prüfen' is listed more than once"):
            read_actions(twice)
    with pytest.raises(ClaverError, match="given twice"):
        read_actions({"prüfen": ["a"], decomposed: ["b"]})
    (tmp_path / "bank.jsonl").write_text(Prompt("own", decomposed, "synonym", "sie prüft").to_json() + "\n")
    assert texts_for(["prüfen"], tmp_path / "bank.jsonl").texts[0][-1] == "sie prüft"


def test_a_manifest_s_classes_are_actions(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path,label,split\na.mp4,wave,train\nb.mp4,bow,test\n")
    assert read_actions(tmp_path / "m.csv").names == ("bow", "wave")
    (tmp_path / "k.csv").write_text("path,label,dataset\na.mp4,brush hair,hmdb51\n")
    assert read_actions(str(tmp_path / "k.csv")) == read_actions("hmdb51")
    (tmp_path / "q.csv").write_text('"path","label"\n"a.mp4","wave, twice"\n')
    assert read_actions(tmp_path / "q.csv").names == ("wave, twice",)
    with pytest.raises(ClaverError, match="is a manifest, and holds no texts"):
        read_actions(["bow"], texts=tmp_path / "m.csv")


def test_other_bad_lists(tmp_path: Path) -> None:
    with pytest.raises(ClaverError, match="there is no file of actions"):
        read_actions("missing.csv")
    with pytest.raises(ClaverError, match="'waving' is listed more than once"):
        read_actions("waving,waving")
    with pytest.raises(ClaverError, match="empty"):
        read_actions(" , ")
    with pytest.raises(ClaverError, match="'waving' has no text"):
        read_actions({"waving": []})
    with pytest.raises(ClaverError, match=r"should hold \{\} once"):
        read_actions("waving", templates=["a video"])
    with pytest.raises(ClaverError, match="there is no benchmark 'k400'; known are kinetics400"):
        benchmark_classes("k400")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(ClaverError, match=r"not UTF-8 text \(byte 3\)"):
        read_actions(tmp_path / "latin.txt")
    assert isinstance(read_actions("ucf101"), Actions)
    assert len(BENCHMARKS) == 4


@pytest.mark.parametrize("word", ["kinetics-400", "UCF-101", "hmdb_51", "kinetics 600"])
def test_a_misspelt_benchmark_is_no_action(word: str) -> None:
    with pytest.raises(ClaverError, match="did you mean"):
        read_actions(word)


def test_odd_sources(tmp_path: Path) -> None:
    with pytest.raises(ClaverError, match="is a folder"):
        read_actions(str(tmp_path))
    assert read_actions(" ucf101 ").names == read_actions("ucf101").names
    assert read_actions("x" * 300).names == ("x" * 300,)
    assert read_actions({"grows": "gets bigger"}).texts == (("gets bigger",),)
    (tmp_path / "excel.csv").write_text('Action;Text\nwaving;"a hand,\nmoving"\n')
    assert read_actions(tmp_path / "excel.csv").texts == (("a hand, moving",),)
    (tmp_path / "long.csv").write_text(f"action,text\nwaving,{'x' * 200_000}\n")
    with pytest.raises(ClaverError, match="line 2: not valid CSV"):
        read_actions(tmp_path / "long.csv")


def test_the_list_of_ucf101_gives_words_and_their_texts(tmp_path: Path) -> None:
    raw = benchmark_classes("ucf101", raw=True)
    (tmp_path / "classInd.txt").write_text("".join(f"{n} {name}\n" for n, name in enumerate(raw, 1)))
    assert read_actions(tmp_path / "classInd.txt") == read_actions("ucf101")


def test_a_manifest_of_a_spreadsheet_names_its_classes(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path;label\na.mp4;wave\nb.mp4;bow\n")
    assert read_actions(tmp_path / "m.csv").names == ("bow", "wave")


@pytest.mark.parametrize("text", ['{"bow": 0, "wave": 1}', '\n["bow", "wave"]'])
def test_json_is_no_list_of_lines(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(ClaverError, match=r"labels.json looks like JSON; actions come from a .txt"):
        read_actions(tmp_path / "labels.json")


@pytest.mark.parametrize("header", ["label,name", "class_id,class_name", "name,idx"])
def test_class_files_number_classes_by_columns_of_many_names(tmp_path: Path, header: str) -> None:
    rows = ("archery,1", "abseiling,0") if header.startswith("name") else ("1,archery", "0,abseiling")
    (tmp_path / "classes.csv").write_text("\n".join((header, *rows)) + "\n")
    assert read_class_file(tmp_path / "classes.csv") == (("abseiling", "archery"), 0)


def test_a_column_of_words_numbers_nothing(tmp_path: Path) -> None:
    (tmp_path / "classes.csv").write_text("name,label\nbow,sports\nwave,daily\n")
    assert read_class_file(tmp_path / "classes.csv") == (("bow", "wave"), None)


def test_numbers_with_a_gap_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "gap.txt").write_text("1 bow\n2 wave\n4 run\n")
    assert read_actions(tmp_path / "gap.txt").names == ("1 bow", "2 wave", "4 run")
    assert "gap.txt: the numbers of its lines do not count from 0 or 1 without a gap: they are left" in caplog.text
