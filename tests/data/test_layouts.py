"""Official layouts on fabricated trees of real files, and the real official lists."""

import shutil
from pathlib import Path

import pytest
from tests.data import trees

from claver.data import detect_layout, index_folder, read_manifest, write_manifest
from claver.data.classes import dataset_classes
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
