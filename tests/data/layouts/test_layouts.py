"""Official layouts on fabricated trees of real files, and the real official lists."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.data.layouts import trees

from claver.data import detect_layout, index_folder, read_manifest, write_manifest
from claver.data.classes import dataset_classes
from claver.data.layouts.registry import Indexed
from claver.errors import ClaverError


def test_kinetics_with_renamed_missing_and_unlisted_files(tmp_path: Path) -> None:
    root = trees.kinetics(tmp_path / "k")
    (root / "train/abseiling/-0_0-abcdef_000000_000010.mp4").rename(root / "train/abseiling/-0_0-abcdef.mp4")
    (root / "train/abseiling/-0_1-abcdef_000010_000020.mp4").rename(root / "-0_1-abcdef_10_20.mkv")
    (root / "val/playing_guitar/-1_2-abcdef_000020_000030.mp4").unlink()
    trees.videos([root / "train/abseiling/unknown.mp4"])
    found = index_folder(root)
    assert found.detected.layout == "kinetics"
    manifest = found.manifest
    assert manifest.dataset == "kinetics400"
    assert manifest.classes == dataset_classes("kinetics400")
    assert found.missing == ("-1_2-abcdef_000020_000030.mp4",)
    assert found.unlisted == ("train/abseiling/unknown.mp4",)
    assert sorted(manifest.only_present().classes) == sorted(trees.KINETICS)
    assert {s.split: manifest.select(s.split).__len__() for s in manifest.samples} == {"train": 6, "val": 2}
    assert {manifest.classes[s.label] for s in manifest.samples if "football" in s.path} == {trees.KINETICS[2]}
    assert all(Path(path).is_file() for path in manifest.paths())
    assert len(index_folder(root, split="val").manifest) == 2


def test_a_video_cut_twice_is_not_found_by_its_id_alone(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(
        "label,youtube_id,time_start,time_end,split\nabseiling,AAAAAAAAAAA,0,10,train\nabseiling,AAAAAAAAAAA,20,30,train\n"
        "abseiling,BBBBBBBBBBB,5.0,15.0,train\n"
    )
    trees.videos(
        [tmp_path / "AAAAAAAAAAA.mp4", tmp_path / "AAAAAAAAAAA_000020_000030.mp4", tmp_path / "BBBBBBBBBBB.mp4"]
    )
    found = index_folder(tmp_path)
    assert found.missing == ("AAAAAAAAAAA_000000_000010.mp4",)
    assert [s.path for s in found.manifest.samples] == ["AAAAAAAAAAA_000020_000030.mp4", "BBBBBBBBBBB.mp4"]
    assert found.unlisted == ("AAAAAAAAAAA.mp4",)


def test_kinetics_600_by_its_name_and_a_test_set_without_labels(tmp_path: Path) -> None:
    root = trees.kinetics(tmp_path / "kinetics600", classes=("abseiling", "archery"))
    for path in (root / "annotations").iterdir():
        path.rename(path.with_name(path.name.replace("400", "600")))
    (root / "annotations/test.csv").write_text("youtube_id,time_start,time_end,split\nCCCCCCCCCCC,1,11,test\n")
    found = index_folder(root)
    assert found.manifest.dataset == "kinetics600"
    assert found.notes == ("1 rows have no label, as those of a test set, and are left out",)
    (root / "annotations/kinetics600_train.csv").write_text(
        "label,youtube_id,time_start,time_end,split\nabsailing,x,1,2,train\n"
    )
    with pytest.raises(
        ClaverError, match=r"line 2: 'absailing' is none of the 600 classes; did you mean 'abseiling'\?"
    ):
        index_folder(root, dataset="kinetics600")


def test_ucf_splits_words_and_raw_names(tmp_path: Path) -> None:
    root = trees.ucf(tmp_path / "u")
    (root / "UCF-101/YoYo/v_YoYo_g01_c01.avi").rename(root / "UCF-101/YoYo/v_yoyo_g01_c01.mp4")
    (root / "UCF-101/YoYo/v_YoYo_g02_c01.avi").unlink()
    found = index_folder(root)
    assert found.detected.layout == "ucf101"
    assert found.manifest.classes == ("apply eye makeup", "baby crawling", "yo yo")
    assert found.manifest.raw_classes == trees.UCF
    assert found.manifest.dataset == ""  # three classes are not UCF-101
    assert found.missing == ("YoYo/v_YoYo_g02_c01.avi",)
    assert [len(found.manifest.select(split)) for split in ("train", "test")] == [5, 3]
    path = write_manifest(found.manifest, tmp_path / "m.csv")
    assert read_manifest(path).raw_classes == trees.UCF
    second = index_folder(root, fold=2).manifest.select("test")
    assert all("_g02_" in sample.path for sample in second.samples)


def test_ucf_lists_that_contradict_themselves(tmp_path: Path) -> None:
    root = trees.ucf(tmp_path / "u")
    train = root / "ucfTrainTestlist/trainlist01.txt"
    train.write_text("YoYo/v_YoYo_g02_c01.avi 1\n")
    with pytest.raises(ClaverError, match=r"trainlist01\.txt, line 1: 'YoYo' is class 3 in classInd\.txt, not 1"):
        index_folder(root)
    train.write_text("Diving/v.avi 1\n")
    with pytest.raises(ClaverError, match="line 1: 'Diving' is none of the 3 classes"):
        index_folder(root)
    train.unlink()
    with pytest.raises(ClaverError, match=r"cannot read .*trainlist01\.txt: No such file"):
        index_folder(root)


@pytest.mark.parametrize("fold", [1, 2, 3])
def test_hmdb_marks(tmp_path: Path, fold: int) -> None:
    found = index_folder(trees.hmdb(tmp_path / "h"), fold=fold)
    assert found.detected.layout == "hmdb51"
    assert found.manifest.classes == ("brush hair", "cartwheel", "ride bike")
    assert found.manifest.raw_classes == trees.HMDB
    assert [found.manifest.select(split).counts().tolist() for split in ("train", "test")] == [[2] * 3, [1] * 3]
    assert found.notes == (f"3 clips are marked as unused in split {fold}, and are left out",)
    tests = {sample.path[-5] for sample in found.manifest.select("test").samples}
    assert tests == {str((2 - fold) % 4)}


def test_something_something_by_template(tmp_path: Path) -> None:
    found = index_folder(trees.ssv2(tmp_path / "s"))
    assert found.detected.layout == "ssv2"
    assert found.manifest.classes == trees.SSV2
    assert [len(found.manifest.select(split)) for split in ("train", "val")] == [4, 4]
    assert found.manifest.labels.tolist() == [0, 1] * 4
    assert found.notes == ("1 clips have no template, as those of the test set, and are left out",)


def test_a_folder_per_class(tmp_path: Path) -> None:
    trees.videos(tmp_path / path for path in ("ride_a_bike/x.mp4", "walk/deeper/y, z.mp4", "stray.mp4"))
    found = index_folder(tmp_path)
    assert found.detected.layout == "folders"
    assert found.manifest.classes == ("ride a bike", "walk")
    assert found.manifest.raw_classes == ("ride_a_bike", "walk")
    assert found.unlisted == ("stray.mp4",)
    write_manifest(found.manifest, tmp_path / "manifest.csv")
    again = index_folder(tmp_path, ignore=[tmp_path / "manifest.csv"])
    assert again.detected.layout == "folders"
    assert index_folder(tmp_path).detected.layout == "csv"
    with pytest.raises(
        ClaverError, match=r"ride_a_bike: 'ride_a_bike' is none of the 51 classes; did you mean 'ride bike'"
    ):
        index_folder(tmp_path, "folders", dataset="hmdb51")


def test_folders_below_train_and_val_with_the_names_of_a_benchmark(tmp_path: Path) -> None:
    names = [name.title().replace(" ", "") for name in dataset_classes("hmdb51")]
    for name in names:
        folder = tmp_path / "train" / name
        folder.mkdir(parents=True)
        (folder / "a.mp4").write_bytes(b"not opened by indexing")
    found = index_folder(tmp_path)
    assert found.manifest.dataset == "hmdb51"
    assert found.manifest.classes == dataset_classes("hmdb51")
    assert found.manifest.splits == ("train",)


@pytest.mark.parametrize("separator", [" ", "\t", ",", ", "])
def test_lists_with_blanks_and_commas_in_names(tmp_path: Path, separator: str) -> None:
    names = ("a clip.mp4", "one, two.mp4 copy.mp4", "plain.MP4")
    trees.videos(tmp_path / "v" / name.replace(".MP4", ".mp4") for name in names)
    lines = [f"v/{name}{separator}{label}" for name, label in zip(names, ("bow", "wave hello", "bow"), strict=True)]
    (tmp_path / "my_train_list.txt").write_text("\n".join(lines) + "\n\n")
    found = index_folder(tmp_path)
    assert found.detected.layout == "list"
    assert found.manifest.classes == ("bow", "wave hello")
    assert found.manifest.labels.tolist() == [0, 1, 0]
    assert found.manifest.splits == ("train",)
    assert [s.path for s in found.manifest.samples][:2] == ["v/a clip.mp4", "v/one, two.mp4 copy.mp4"]


def test_numbers_as_labels_need_the_classes(tmp_path: Path) -> None:
    trees.videos(tmp_path / f"v/{n}.mp4" for n in range(2))
    listed = tmp_path / "val.txt"
    listed.write_text("v/0.mp4 0\nv/1.mp4 2\n")
    with pytest.raises(ClaverError, match=r"val\.txt, line 1: the labels are numbers; name the classes with --dataset"):
        index_folder(listed)
    (tmp_path / "classes").write_text("bow\nwave\n")
    with pytest.raises(ClaverError, match=r"line 2: label 2 is not in 0 … 1 \(do they count from 1\? then add"):
        index_folder(listed, classes=tmp_path / "classes")
    with pytest.raises(ClaverError, match="line 1: label 0 is not in 1 … 2"):
        index_folder(listed, classes=("bow", "wave"), first_label=1)
    assert index_folder(listed, classes=("bow", "wave", "run")).manifest.labels.tolist() == [0, 2]
    named = index_folder(listed, dataset="ucf101").manifest
    assert (named.dataset, named.raw_name(2), named.classes[2]) == ("ucf101", "Archery", "archery")


def test_csv_under_other_column_names(tmp_path: Path) -> None:
    trees.videos(tmp_path / f"v/{n}.mp4" for n in range(2))
    (tmp_path / "clips.csv").write_text('Video,Class,split\n"v/0.mp4",bow,training\nv/1.mp4,"wave, twice",test\n')
    found = index_folder(tmp_path)
    assert found.detected.layout == "csv"
    assert found.manifest.classes == ("bow", "wave, twice")
    assert found.manifest.splits == ("train", "test")
    (tmp_path / "more.csv").write_text("path,label\nv/0.mp4,bow\n")
    with pytest.raises(ClaverError, match="several lists"):
        index_folder(tmp_path)
    assert len(index_folder(tmp_path / "more.csv").manifest) == 1


def test_nothing_known_and_nothing_found(tmp_path: Path) -> None:
    with pytest.raises(ClaverError, match=r"is of no layout that is known \(0 videos\)") as error:
        detect_layout(tmp_path)
    for name in ("ssv2", "ucf101", "hmdb51", "kinetics", "csv", "list", "folders"):
        assert f"{name}: " in str(error.value)
    with pytest.raises(ClaverError, match="there is no layout 'ucf'"):
        index_folder(tmp_path, "ucf")
    with pytest.raises(ClaverError, match="is not laid out as hmdb51; expected is hmdb51: testTrainMulti"):
        index_folder(tmp_path, "hmdb51")
    (tmp_path / "train.txt").write_text("gone.mp4 bow\n")
    with pytest.raises(ClaverError, match=r"none of the 1 listed clips \(such as gone.mp4\) has a file"):
        index_folder(tmp_path)
    with pytest.raises(ClaverError, match="there is no folder"):
        index_folder(tmp_path / "none")


def test_the_same_clip_with_two_labels_is_an_error_and_links_in_circles_end(tmp_path: Path) -> None:
    trees.videos([tmp_path / "v/0.mp4"])
    (tmp_path / "v/circle").symlink_to(tmp_path)
    (tmp_path / "train.txt").write_text("v/0.mp4 bow\nv/0.mp4 bow\n")
    assert index_folder(tmp_path).notes == ("1 clips are listed more than once",)
    (tmp_path / "train.txt").write_text("v/0.mp4 bow\nv/0.mp4 wave\n")
    with pytest.raises(ClaverError, match=r"v/0.mp4 is listed before"):
        index_folder(tmp_path)
    (tmp_path / "train.txt").write_text("v/0.mp4 bow\n")
    (tmp_path / "test.txt").write_text("v/0.mp4 bow\n")
    assert "is in both 'test' and 'train'" in index_folder(tmp_path).manifest.warnings[0]


def touch(root: Path, paths: list[str]) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"not opened by indexing")


@pytest.mark.parametrize(("fold", "train", "test"), [(1, 9537, 3783), (2, 9586, 3734), (3, 9624, 3696)])
def test_the_official_lists_of_ucf(shared: Path, official_ucf: Path, fold: int, train: int, test: int) -> None:
    found = index_folder(official_ucf, fold=fold)
    assert found.manifest.dataset == "ucf101"
    assert (found.missing, found.unlisted) == ((), ())
    assert (len(found.manifest.select("train")), len(found.manifest.select("test"))) == (train, test)
    assert found.manifest.empty_classes() == []


@pytest.mark.parametrize("fold", [1, 2, 3])
def test_the_official_lists_of_hmdb(shared: Path, official_hmdb: Path, fold: int) -> None:
    found = index_folder(official_hmdb, fold=fold)
    assert found.manifest.dataset == "hmdb51"
    assert found.missing == ()
    assert found.manifest.select("train").counts().tolist() == [70] * 51
    assert found.manifest.select("test").counts().tolist() == [30] * 51


@pytest.fixture(scope="module")
def official_ucf(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ucf")
    shutil.copytree(shared / "meta/ucf101", root / "ucfTrainTestlist")
    lists = [(root / "ucfTrainTestlist" / f"{part}list01.txt").read_text() for part in ("train", "test")]
    touch(root / "UCF-101", [line.split()[0] for text in lists for line in text.splitlines()])
    return root


@pytest.fixture(scope="module")
def official_hmdb(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hmdb")
    shutil.copytree(shared / "meta/hmdb51", root / "splits")
    lists = [path.read_text() for path in (root / "splits").iterdir()]
    touch(root / "videos", sorted({line.split("\t")[2] for text in lists for line in text.splitlines()}))
    return root


def indexed(root: Path, files: list[str], lists: dict[str, str], **options: Any) -> Indexed:
    touch(root, files)
    for name, text in lists.items():
        (root / name).write_text(text)
    return index_folder(root, **options)


def test_a_missing_clip_is_not_another_class_s_of_the_same_name(tmp_path: Path) -> None:
    files = ["archery/0001.mp4", "archery/0002.mp4", "golf/0001.mp4"]
    listed = "archery/0001.mp4 archery\narchery/0002.mp4 archery\ngolf/0001.mp4 golf\ngolf/0002.mp4 golf\n"
    found = indexed(tmp_path, files, {"test.txt": listed})
    assert found.missing == ("golf/0002.mp4",)
    assert [(s.path, found.manifest.classes[s.label]) for s in found.manifest.samples] == [
        ("archery/0001.mp4", "archery"),
        ("archery/0002.mp4", "archery"),
        ("golf/0001.mp4", "golf"),
    ]
    (tmp_path / "test.txt").write_text("golf/0002.mp4 golf\ngolf/0001.mp4 golf\n")  # no clip of archery is listed
    assert index_folder(tmp_path).missing == ("golf/0002.mp4",)
    (tmp_path / "test.txt").write_text("0002.mp4 golf\n0001.mp4 golf\narchery/0001.mp4 archery\n")
    assert index_folder(tmp_path).missing == ("0002.mp4",)


@pytest.mark.parametrize(
    ("files", "listed", "missing"),
    [
        (["x/golf/0002.mkv"], "golf/0002.mp4 golf", ()),  # in the class's folder, elsewhere
        (["videos/v_Golf_02.avi"], "Golf/v_Golf_02.avi golf", ()),  # the class is in its name
        (["0002.mp4"], "videos/0002.mp4 golf", ()),  # the list was written one folder further up
        (["0002.mp4"], "golf/0002.mp4 golf", ("golf/0002.mp4",)),
        (["heap/0002.mp4"], "0002.mp4 golf", ()),
        (["s2/0002.mp4"], "s1/0002.mp4 golf", ("s1/0002.mp4",)),  # another person's
        (["a/0002.mp4", "b/0002.mp4"], "0002.mp4 golf", ("0002.mp4",)),  # not unique
        (["a/golf/0002.mp4", "b/golf/0002.mp4"], "golf/0002.mp4 golf", ("golf/0002.mp4",)),
        (["x/a/0002.mp4", "x/a/0002.mkv"], "a/0002.mp4 golf", ()),
        (["train/golf/0002.mp4"], "golf/0002.mp4 golf", ("golf/0002.mp4",)),  # the list is of the test clips
    ],
)
def test_a_match_by_name_agrees_with_folder_or_class_and_is_unique(
    tmp_path: Path, files: list[str], listed: str, missing: tuple[str, ...]
) -> None:
    found = indexed(tmp_path, [*files, "here.mp4"], {"test.txt": f"{listed}\nhere.mp4 golf\n"})
    assert found.missing == missing


def test_one_file_is_not_two_listed_clips_and_that_is_said(tmp_path: Path) -> None:
    found = indexed(tmp_path, ["0002.mp4", "x.mp4"], {"all.txt": "s1/0002.mp4 golf\ns2/0002.mp4 golf\nx.mp4 golf\n"})
    assert found.missing == ("s1/0002.mp4", "s2/0002.mp4")
    assert "s1/0002.mp4 has only a file that another listed clip has as well, and so 1 more" in found.notes[0]


def test_labels_that_count_from_one(tmp_path: Path) -> None:
    lists = {"val.txt": "v/0.mp4 1\nv/1.mp4 2\n"}
    found = indexed(tmp_path, ["v/0.mp4", "v/1.mp4"], lists, classes=("bow", "wave"))
    assert found.manifest.labels.tolist() == [0, 1]
    assert found.notes == ("the labels count from 1: 2 is among them, and 0 is not",)
    unclear = index_folder(tmp_path, classes=("bow", "wave", "run"))
    assert unclear.manifest.labels.tolist() == [1, 2]
    assert "neither 0 nor 3 is among the labels, which are taken to count from 0" in unclear.notes[0]
    assert index_folder(tmp_path, classes=("bow", "wave", "run"), first_label=1).manifest.labels.tolist() == [0, 1]


def test_class_files_with_numbers_name_the_labels(tmp_path: Path) -> None:
    folder = tmp_path / "numbered"
    touch(folder, ["a.mp4", "b.mp4"])
    (folder / "list.txt").write_text("a.mp4 0\nb.mp4 1\n")
    (folder / "labels.csv").write_text("id,name\n0,abseiling\n1,tai chi\n")
    (folder / "labels_numbered.txt").write_text("0 abseiling\n1 tai chi\n")
    for name in ("labels.csv", "labels_numbered.txt"):
        found = index_folder(folder / "list.txt", classes=folder / name)
        assert found.manifest.classes == ("abseiling", "tai chi")
        assert found.manifest.labels.tolist() == [0, 1]
    for text in ("1 bow\n2 wave\n3 run\n", "id,name\n3,run\n1,bow\n2,wave\n"):
        path = tmp_path / ("classes.csv" if "," in text else "classes.txt")
        path.write_text(text)
        found = indexed(tmp_path / "v", ["0.mp4", "1.mp4"], {"val.txt": "0.mp4 1\n1.mp4 2\n"}, classes=path)
        assert found.manifest.classes == ("bow", "wave", "run")
        assert found.manifest.labels.tolist() == [0, 1]  # the file of classes counts from 1, so does the list
    path.write_text("id,name\n3,run\n5,bow\n")
    with pytest.raises(ClaverError, match="should count from 0 or 1 without a gap"):
        index_folder(tmp_path / "v", classes=path)


@pytest.mark.parametrize("prefix", ["", "data/", "my/data/"])
@pytest.mark.parametrize("inner", ["", "videos/"])
def test_a_folder_around_all_others_is_no_class(tmp_path: Path, prefix: str, inner: str) -> None:
    files = [f"{prefix}{split}/{inner}{name}/0.mp4" for split in ("train", "test") for name in ("bow", "wave")]
    found = indexed(tmp_path, files, {})
    assert found.manifest.classes == ("bow", "wave")
    assert sorted((s.split, found.manifest.classes[s.label]) for s in found.manifest.samples) == [
        ("test", "bow"),
        ("test", "wave"),
        ("train", "bow"),
        ("train", "wave"),
    ]
    assert any("is no class" in note for note in found.notes) == (prefix != "")


def test_folders_that_may_be_meant_otherwise_are_told(tmp_path: Path) -> None:
    files = [f"{part}/{name}/0.mp4" for part in ("part1", "part2") for name in ("bow", "wave")]
    assert "no video lies directly in the folder of its class" in indexed(tmp_path / "a", files, {}).notes[0]
    merged = indexed(tmp_path / "b", ["ride_bike/0.mp4", "ride bike/1.mp4", "run/2.mp4"], {})
    assert merged.notes == ("the folders 'ride bike', 'ride_bike' are one class, 'ride bike'",)
    mixed = indexed(tmp_path / "c", ["train/bow/0.mp4", "test/bow/0.mp4", "extra/bow/1.mp4"], {})
    assert "beside the splits test, train there are folders that are taken for classes, as 'extra'" in mixed.notes[-1]


def test_one_class_in_folders_of_two_spellings_of_its_letters(tmp_path: Path) -> None:
    composed, parted = "pr\u00fcfen", "pru\u0308fen"
    files = ["train/gehen/0.mp4", f"train/{composed}/1.mp4", "test/gehen/2.mp4", f"test/{parted}/3.mp4"]
    found = indexed(tmp_path, files, {})
    assert found.manifest.classes == ("gehen", "prüfen")
    assert [len(found.manifest.select(split)) for split in ("train", "test")] == [2, 2]
    assert all(Path(path).is_file() for path in found.manifest.paths())
    assert "are one class, 'prüfen'" in found.notes[0]
