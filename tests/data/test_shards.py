"""Shards: plain WebDataset tar files, the same bytes every time, whole or not there, read at random."""

import io
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from tests.videos import write_video

from claver.data import (
    CenterCrop,
    ClipDecoder,
    Manifest,
    Sample,
    open_clips,
    open_shards,
    verify_shards,
    write_shards,
)
from claver.data.shards import file_digest
from claver.errors import ClaverError

READING = ClipDecoder(frames=4, short_side=32, crop=CenterCrop(28))


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    root = tmp_path_factory.mktemp("clips")
    names = [f"a, b/{n} é.mp4" if n % 2 else f"{n}.avi" for n in range(12)]
    (root / "a, b").mkdir()
    for n, name in enumerate(names):
        write_video(root / name, seed=n)
    samples = tuple(Sample(name, n % 3, "train" if n < 8 else "test") for n, name in enumerate(names))
    return Manifest(("bow", "run", "wave"), samples, root, raw_classes=("Bow", "Run", "Wave"))


@pytest.fixture(scope="module")
def shards(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards") / "s"
    write_shards(manifest, folder, size=12_000)
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {path.name: file_digest(path) for path in folder.iterdir()}


def test_members_are_pairs_that_any_reader_of_tar_finds(manifest: Manifest, shards: Path) -> None:
    seen = 0
    for path in sorted(shards.glob("*.tar")):
        listed = {m["row"]: m for m in json.loads(path.with_suffix(".json").read_text())["members"]}
        with tarfile.open(path) as tar:
            members = tar.getmembers()
            for clip, said in zip(members[::2], members[1::2], strict=True):
                key, suffix = clip.name.split(".")
                assert said.name == f"{key}.json"
                row = int(key)
                sample = manifest.samples[row]
                assert f".{suffix}" == Path(sample.path).suffix
                raw = tar.extractfile(clip).read()  # type: ignore[union-attr]
                assert raw == Path(manifest.path(row)).read_bytes()
                assert (clip.offset_data, clip.size) == (listed[row]["offset"], listed[row]["size"])
                text = json.loads(tar.extractfile(said).read())  # type: ignore[union-attr]
                assert text["label"] == manifest.classes[sample.label]
                assert text["path"] == sample.path
                seen += 1
    assert seen == len(manifest)
    assert len(list(shards.glob("*.tar"))) > 3


def test_equal_input_gives_equal_bytes_and_a_second_call_writes_nothing(
    manifest: Manifest, shards: Path, tmp_path: Path
) -> None:
    write_shards(manifest, tmp_path / "again", size=12_000)
    assert contents(tmp_path / "again") == contents(shards)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "again").glob("shard-*")}
    write_shards(manifest, tmp_path / "again", size=12_000)
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "again").glob("shard-*")} == before


def test_begun_shards_are_finished_with_the_same_bytes(manifest: Manifest, shards: Path, tmp_path: Path) -> None:
    folder = tmp_path / "begun"
    shutil.copytree(shards, folder)
    (folder / "index.json").unlink()
    (folder / "shard-000002.json").unlink()  # killed between tar and list
    (folder / "shard-000003.json").unlink()
    (folder / "shard-000003.tar").rename(folder / "shard-000003.tar.writing")
    with pytest.raises(ClaverError, match="unfinished, run `claver data shard` again"):
        open_shards(folder)
    write_shards(manifest, folder, size=12_000)
    assert contents(folder) == contents(shards)


def test_a_folder_of_something_else_is_left_alone(manifest: Manifest, shards: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ClaverError, match="choose an empty folder"):
        write_shards(manifest, tmp_path)
    with pytest.raises(ClaverError, match="another manifest, size or seed"):
        write_shards(manifest, shards, size=20_000)
    with pytest.raises(ClaverError, match="another manifest, size or seed"):
        write_shards(manifest.subset(range(5)), shards, size=12_000)


def test_missing_and_empty_clips_are_named_before_anything_is_written(manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(ClaverError, match=r"gone.mp4: No such file"):
        write_shards(Manifest(("x",), (Sample("gone.mp4", 0),), tmp_path), tmp_path / "s")
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(ClaverError, match=r"empty.mp4 is empty; `claver data check --write-good`"):
        write_shards(Manifest(("x",), (Sample("empty.mp4", 0),), tmp_path), tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_random_access_gives_the_manifest_and_the_frames_of_the_files(manifest: Manifest, shards: Path) -> None:
    packed, files = open_clips(shards), open_clips(manifest)
    assert packed.manifest.samples == manifest.samples
    assert packed.manifest.classes == manifest.classes
    assert packed.manifest.raw_classes == manifest.raw_classes
    for row in range(len(manifest)):
        chances = [np.random.default_rng(row) for _ in range(2)]
        assert np.array_equal(packed.read(row, READING, chances[0]), files.read(row, READING, chances[1]))
    test = open_clips(shards, split="test")
    assert len(test) == 4
    assert [place.name for place in test.locations] == [sample.path for sample in manifest.samples[8:]]


def test_damage_is_found(shards: Path, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    shutil.copytree(shards, folder)
    assert verify_shards(folder) == []
    path = folder / "shard-000001.tar"
    content = bytearray(path.read_bytes())
    content[600] ^= 1
    path.write_bytes(content)
    assert verify_shards(folder) == [f"{path} is not as it was written (its sha256 differs)"]
    path.write_bytes(content[:-1])
    with pytest.raises(ClaverError, match=r"shard-000001.tar is missing or not of \d+ bytes"):
        open_shards(folder)
    path.unlink()
    assert verify_shards(folder) == [f"{path} is missing"]


@pytest.mark.parametrize("name", ["/etc/passwd", "../elsewhere.tar", "below/shard-000000.tar", "shard-000001.tar"])
def test_a_list_that_names_another_file_is_refused(shards: Path, tmp_path: Path, name: str) -> None:
    change_list(shards, tmp_path / "s", file=name)
    with pytest.raises(ClaverError, match=r"names .*; a list names the shard beside it, shard-000000\.tar"):
        open_shards(tmp_path / "s")


@pytest.mark.parametrize(("offset", "size"), [(-1, 10), (0, 0), (0, 10**9), (10**9, 10), ("0", 10)])
def test_a_list_of_bytes_outside_its_shard_is_refused(shards: Path, tmp_path: Path, offset: object, size: int) -> None:
    member = {"row": 0, "path": "a.avi", "label": 0, "split": "", "offset": offset, "size": size}
    change_list(shards, tmp_path / "s", members=[member])
    with pytest.raises(ClaverError, match=r"shard-000000\.json (lists a clip beyond|is not a list of shards)"):
        open_shards(tmp_path / "s")


@pytest.mark.parametrize("value", [None, -1, 1.5, True, "x", [1], {}])
@pytest.mark.parametrize("place", ["index.json", "shard-000000.json", "member"])
def test_lists_of_odd_values_are_one_sentence(shards: Path, tmp_path: Path, place: str, value: object) -> None:
    shutil.copytree(shards, tmp_path / "s")
    listed = tmp_path / "s" / ("shard-000000.json" if place == "member" else place)
    said = json.loads(listed.read_text())
    target = said["members"][0] if place == "member" else said
    for name, right in list(target.items()):
        if name not in ("plan", "clips") and type(value) is not type(right):
            target[name] = value
            listed.write_text(json.dumps(said))
            with pytest.raises(ClaverError):
                open_shards(tmp_path / "s")
            target[name] = right


def change_list(shards: Path, folder: Path, **changes: object) -> None:
    shutil.copytree(shards, folder)
    listed = folder / "shard-000000.json"
    listed.write_text(json.dumps(json.loads(listed.read_text()) | changes))


def test_hashing_writer_is_what_tar_needs() -> None:
    from claver.data.shards import _Hashing

    out = _Hashing(io.BytesIO())  # type: ignore[arg-type]
    assert (out.write(b"abc"), out.tell(), out.writable()) == (3, 3, True)
