"""Manifests: what goes in comes out, whatever the names; every mistake is named by its line."""

import hashlib
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claver.data import Manifest, Sample, overlap, read_manifest, write_manifest
from claver.data.classes import DATASETS, ClassFinder, dataset_classes
from claver.errors import ClaverError
from claver.names import plain
from claver.text import BENCHMARKS, benchmark_classes

# Any file name a system may hold: commas, quotes, blanks at either end, line breaks, bytes that are not UTF-8.
NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=("Cs",)) | st.sampled_from(' ,"\n\r;\udce4\t'),
    min_size=1,
    max_size=12,
).filter(lambda name: name.strip() and name not in (".", ".."))
LABELS = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=12).map(
    lambda name: " ".join(name.split())
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(NAMES, st.integers(0, 3), min_size=1, max_size=8),
    st.lists(LABELS.filter(lambda name: name.isprintable() and bool(name)), min_size=4, max_size=4, unique=True),
    st.booleans(),
)
def test_any_names_survive_the_way_through_a_file(
    tmp_path: Path, paths: dict[str, int], classes: list[str], with_split: bool
) -> None:
    samples = tuple(Sample(f"v/{path}", label, "train" if with_split else "") for path, label in paths.items())
    manifest = Manifest(tuple(classes), samples, tmp_path)
    write_manifest(manifest, tmp_path / "m.csv")
    again = read_manifest(tmp_path / "m.csv", classes=classes)
    assert again.samples == manifest.samples
    assert again.paths() == manifest.paths()
    assert again.classes == manifest.classes


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "m.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_classes_are_the_labels_in_order_of_the_alphabet_or_those_of_the_dataset(tmp_path: Path) -> None:
    own = read_manifest(write(tmp_path, "\ufeffpath,label\nb.mp4,waving\n\na.mp4,bowing\n"))
    assert own.classes == ("bowing", "waving")
    assert own.labels.tolist() == [1, 0]
    assert own.path(0) == str(tmp_path / "b.mp4")
    known = read_manifest(write(tmp_path, "path,label,dataset\nb.mp4,yo yo,ucf101\n"))
    assert len(known.classes) == 101
    assert known.labels.tolist() == [100]
    assert known.empty_classes()[0] == "apply eye makeup"
    with pytest.raises(ClaverError, match="class 'apply eye makeup' has no clip"):
        known.require_every_class()
    assert known.only_present().classes == ("yo yo",)


@pytest.mark.parametrize(
    "text",
    ["path;label;split\r\nb.mp4;wave, twice;train\r\n", "path\tlabel\tsplit\nb.mp4\twave, twice\ttrain\n"],
)
def test_tables_of_spreadsheets_are_read(tmp_path: Path, text: str) -> None:
    [sample] = (found := read_manifest(write(tmp_path, text))).samples
    assert (sample.path, found.classes, sample.split) == ("b.mp4", ("wave, twice",), "train")


def test_further_columns_are_kept_and_one_without_a_name_is_passed_over(tmp_path: Path) -> None:
    text = ',path,label,Person,split,note\n0,a.mp4,bow,ann,train,\n1,b.mp4,wave,"bob, jr",test,x\n'
    found = read_manifest(write(tmp_path, text))
    write_manifest(found.select("test"), tmp_path / "part.csv")
    assert (tmp_path / "part.csv").read_text() == 'path,label,split,person,note\nb.mp4,wave,test,"bob, jr",x\n'


def test_numbers_for_labels_are_told(tmp_path: Path) -> None:
    [told] = read_manifest(write(tmp_path, "path,label\na.mp4,0\nb.mp4,1\n")).warnings
    assert "m.csv: the label '0' is taken as the name of an action" in told
    assert not read_manifest(write(tmp_path, "path,label\na.mp4,4 x 100 meters\n")).warnings


def test_splits_rows_and_counts(tmp_path: Path) -> None:
    path = write(tmp_path, "path,label,split\na,x,training\nb,y,validate\nc,x,train\nd,y,test\n")
    manifest = read_manifest(path)
    assert manifest.splits == ("train", "val", "test")
    assert manifest.counts().tolist() == [2, 2]
    assert [rows.tolist() for rows in manifest.by_class()] == [[0, 2], [1, 3]]
    assert [s.path for s in manifest.subset([3, 0]).samples] == ["d", "a"]
    train = read_manifest(path, split="train")
    assert [s.path for s in train.samples] == ["a", "c"]
    assert train.classes == ("x", "y")
    assert np.array_equal(train.labels, [0, 0])
    with pytest.raises(ClaverError, match="no clip of the manifest is of split 'fold'; there are: train, val, test"):
        manifest.select("fold")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: there is no column 'path' but nothing"),
        ("path,label\n", "lists no clip"),
        ("video;label\n", "line 1: there is no column 'path' but 'video', 'label'"),
        ("path,action\na,b\n", "line 1: there is no column 'label' but 'path', 'action'"),
        ("path,label\na.mp4,x\n,y\n", "line 3: the path is empty"),
        ("path,label\na.mp4,x\nb.mp4\n", "line 3: the label is empty"),
        ("path,label\na.mp4,x,y\n", "line 2: there are more fields than columns"),
        ("path,label\na.mp4,x\na.mp4,x\n", "line 3: a.mp4 is listed before, at "),
        ("path,label\na.mp4,x\n./a.mp4,y\n", "line 3: ./a.mp4 is listed before, at "),
        ("path,label,dataset\na.mp4,yoyo,ucf101\n", "line 2: 'yoyo' is none of the 101 classes; did you mean 'yo yo'?"),
        ("path,label,dataset\na.mp4,x,ucf\n", "line 2: dataset 'ucf' is not known"),
        ("path,label,dataset\na,yo yo,ucf101\nb,yo yo,hmdb51\n", "line 3: a manifest is of one dataset"),
        ("path,label,raw_label\na,x,X\nb,x,Y\n", "line 3: 'x' has raw label 'Y' here and 'X' above"),
        (b"path,label\na.mp4,caf\xe9\n", "line 2: the label 'caf\\udce9' is not UTF-8 text"),
    ],
)
def test_mistakes_are_named_by_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ClaverError) as error:
        read_manifest(write(tmp_path, text))
    assert message in str(error.value)
    assert str(tmp_path / "m.csv") in str(error.value)


def test_missing_file_folder_and_unwritable_place(tmp_path: Path) -> None:
    with pytest.raises(ClaverError, match="does not exist; `claver data index"):
        read_manifest(tmp_path / "none.csv")
    with pytest.raises(ClaverError, match="is a folder"):
        read_manifest(tmp_path)
    manifest = Manifest(("x",), (Sample("a", 0),))
    with pytest.raises(ClaverError, match="cannot write"):
        write_manifest(manifest, tmp_path / "no" / "m.csv")
    with pytest.raises(ClaverError, match="would list no clip"):
        write_manifest(manifest.subset([]), tmp_path / "m.csv")
    assert not any(tmp_path.iterdir())


def test_a_video_in_train_and_test_is_warned_of(tmp_path: Path) -> None:
    both = read_manifest(write(tmp_path, "path,label,split\na.mp4,x,train\na.mp4,x,test\nb.mp4,x,test\n"))
    assert len(both.warnings) == 1
    assert "a.mp4 is in both 'train' and 'test'" in both.warnings[0]
    (tmp_path / "a.mp4").touch()
    (tmp_path / "link.mp4").symlink_to(tmp_path / "a.mp4")
    test = Manifest(("x",), (Sample("link.mp4", 0),), tmp_path)
    assert len(overlap(both.select("train"), test)) == 1
    assert overlap(both.select("train"), Manifest(("x",), (Sample("c.mp4", 0),), tmp_path)) == []


def test_paths_are_relative_below_the_root_and_absolute_elsewhere(tmp_path: Path) -> None:
    manifest = Manifest(("x",), (Sample("in/a.mp4", 0), Sample("/elsewhere/b.mp4", 0)), tmp_path / "data")
    write_manifest(manifest, tmp_path / "m.csv")
    assert (tmp_path / "m.csv").read_text().splitlines()[1:] == ["data/in/a.mp4,x", "/elsewhere/b.mp4,x"]
    write_manifest(manifest, tmp_path / "m.csv", root=tmp_path / "data")
    again = read_manifest(tmp_path / "m.csv", root=tmp_path / "data")
    assert again.paths() == manifest.paths()
    outside = Manifest(("x",), (Sample("data/in/a.mp4", 0),), tmp_path)
    (tmp_path / "lists").mkdir()
    write_manifest(outside, tmp_path / "lists" / "m.csv")
    assert read_manifest(tmp_path / "lists" / "m.csv").paths() == outside.paths()


# How many, and how the SHA-256 of the lines begins, of the lists that the datasets' authors published.
OFFICIAL = {
    "kinetics400": (400, "a8dafb93a1204d4e"),
    "kinetics600": (600, "5d9a560f98fcfed0"),
    "ucf101": (101, "3ec3894f84996395"),
    "hmdb51": (51, "c9009d10a488ca0f"),
    "ssv2": (174, "a31a2ad624a558d6"),
    "kinetics600-draw1": (160, "af31b25d446031c5"),
    "kinetics600-draw2": (160, "c7dd90897fb1bcde"),
    "kinetics600-draw3": (160, "08c0aa3eccfab8df"),
}


@pytest.mark.parametrize("name", DATASETS)
def test_class_lists_have_the_sums_of_the_official_ones(name: str) -> None:
    classes = benchmark_classes(name, raw=True) if name in BENCHMARKS else dataset_classes(name)
    begins = hashlib.sha256("\n".join(classes).encode()).hexdigest()[:16]
    assert (len(classes), begins) == OFFICIAL[name]


def test_class_lists_agree_with_the_official_ones(shared: Path) -> None:
    def official(name: str) -> tuple[str, ...]:
        import csv

        with (shared / "meta" / name).open() as file:
            return tuple(row["name"] for row in csv.DictReader(file))

    assert dataset_classes("ssv2") == official("ssv2_labels.csv")
    assert dataset_classes("ucf101", raw=True) == official("ucf_101_labels.csv")
    pool = set((shared / "meta" / "kinetics600" / "220_classes_outside_k400.txt").read_text().splitlines())
    for draw in (1, 2, 3):
        classes = dataset_classes(f"kinetics600-draw{draw}")
        assert classes == official(f"kinetics600/ZS_split{draw}_K600.csv")
        assert len(set(classes)) == 160
        assert set(classes) <= pool
        assert set(classes) <= set(dataset_classes("kinetics600"))


@pytest.mark.parametrize("name", DATASETS)
def test_every_spelling_of_a_class_is_found_and_none_is_taken_for_another(name: str) -> None:
    classes = dataset_classes(name)
    assert len({plain(own) for own in classes}) == len(classes)
    finder = ClassFinder(classes)
    for index, own in enumerate(classes):
        spellings = (own, own.replace(" ", "_"), own.upper(), own.title().replace(" ", ""), own.replace("'", ""))
        assert {finder.find(spelling) for spelling in spellings} == {index}


def test_labels_are_any_text_but_control_characters(tmp_path: Path) -> None:
    for name in ("می\u200cدود", "👩\u200d🍳 cooking", "lancer\u00a0le ballon", "投げる\u3000球"):
        (tmp_path / "m.csv").write_text(f"path,label\na.mp4,{name}\n")
        assert read_manifest(tmp_path / "m.csv").classes == (name,)
    (tmp_path / "m.csv").write_text("path,label\na.mp4,red\x1b[31m\n")
    with pytest.raises(ClaverError, match="holds a control character"):
        read_manifest(tmp_path / "m.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_one_name_composed_and_decomposed_in_files_as_editors_save_them(tmp_path: Path, encoding: str) -> None:
    text = f"path,label\r\na.mp4,prüfen\r\nb.mp4,{unicodedata.normalize('NFD', 'prüfen')}\r\n"
    (tmp_path / "m.csv").write_bytes(text.encode(encoding))
    manifest = read_manifest(tmp_path / "m.csv")
    assert manifest.classes == ("prüfen",)
    assert manifest.labels.tolist() == [0, 0]
    with pytest.raises(ClaverError, match="'prüfen' is listed more than once"):
        Manifest(("prüfen", unicodedata.normalize("NFD", "prüfen")), ())
    (tmp_path / "m.csv").write_bytes(text.encode("utf-16-le"))
    with pytest.raises(ClaverError, match="holds null characters, as UTF-16 without a mark does; save it as UTF-8"):
        read_manifest(tmp_path / "m.csv")
