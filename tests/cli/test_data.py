"""`claver data` run as people run it: processes of its own, real files, interrupted, resumed, misused."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.data.layouts import trees
from tests.videos import write_video

from claver.cli import main
from claver.cli.data import data_app, parse_size
from claver.data import read_manifest
from claver.errors import ClaverError

Claver = Callable[..., subprocess.CompletedProcess[str]]
# The command as `claver` runs it, whether or not it stands in the list of commands yet.
START = """
from claver.cli import main
from claver.cli.data import data_app
if all(group.typer_instance is not data_app for group in main.app.registered_groups):
    main.app.add_typer(data_app)
if __name__ == "__main__":
    main.main()
"""


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("start") / "start.py"
    path.write_text(START)
    return path


@pytest.fixture(scope="module")
def claver(start: Path) -> Claver:
    """A process of its own."""

    def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(start), "data", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"COLUMNS": "100"}, timeout=120)

    return run


@pytest.fixture
def quick(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Claver:
    """The same command in this process, which has loaded what it needs."""
    if all(group.typer_instance is not data_app for group in main.app.registered_groups):
        main.app.add_typer(data_app)

    def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["claver", "data", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        written = capfd.readouterr()
        return subprocess.CompletedProcess([], int(ended.value.code or 0), written.out, written.err)

    return run


def interrupt_when(ready: Callable[[], bool], start: Path, *arguments: Any) -> subprocess.Popen[str]:
    command = [sys.executable, str(start), "data", *map(str, arguments)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 90
    while not ready() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    return process


def test_index_check_split_and_shard_one_after_another(claver: Claver, quick: Claver, tmp_path: Path) -> None:
    root = trees.ucf(tmp_path / "ucf")
    (root / "UCF-101/YoYo/v_YoYo_g01_c01.avi").unlink()
    (root / "UCF-101/BabyCrawling/v_BabyCrawling_g01_c01.avi").write_bytes(b"broken")
    (root / "UCF-101/YoYo/extra.avi").write_bytes(b"unlisted")
    manifest, report = tmp_path / "m.csv", tmp_path / "report.json"
    done = claver("index", root, "--output", manifest, "--report", report)
    assert done.returncode == 0, done.stderr
    assert "layout ucf101 (classInd.txt" in done.stdout
    assert "found 8 clips of 3 classes: 6 train, 2 test" in done.stdout
    assert "1 listed, but without a file:\n    YoYo/v_YoYo_g01_c01.avi" in done.stdout
    assert json.loads(report.read_text())["unlisted"] == ["UCF-101/YoYo/extra.avi"]

    good = tmp_path / "good.csv"
    done = claver("check", manifest, "--workers", 0, "--write-good", good, "--format", "json", "--output", report)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("1 of 8 clips are not sound")
    said = json.loads(report.read_text())
    assert (said["ok"], said["broken"], said["files"][0]["status"]) == (7, 1, "broken")
    assert len(read_manifest(good)) == 7
    assert read_manifest(good).raw_classes == trees.UCF
    assert not list(tmp_path.glob("*.partial"))
    assert quick("check", good, "--workers", 0).returncode == 0
    short = quick("check", good, "--workers", 0, "--frames", 13, "--format", "csv")
    assert short.returncode == 1
    assert {row["status"] for row in csv.DictReader(short.stdout.splitlines())} == {"short"}

    done = claver("split", good, "--few-shot", 2, "--seed", 1, "--output", tmp_path / "few.csv")
    assert done.stdout == f"6 clips of 3 classes in {tmp_path / 'few.csv'}\n", done.stderr
    done = quick("split", good, "--few-shot", 3, "--output", tmp_path / "few.csv")
    assert done.returncode == 1
    assert done.stderr.startswith("claver: class 'apply eye makeup' has 2 clips for training; 3 of each class")

    done = claver("shard", good, "--output", tmp_path / "s", "--size", "10KB")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("7 clips in ")
    assert "all as they were written" in quick("check", tmp_path / "s").stdout
    tar = next((tmp_path / "s").glob("*.tar"))
    tar.write_bytes(tar.read_bytes()[:-1] + b"x")
    spoilt = quick("check", tmp_path / "s")
    assert spoilt.returncode == 1
    assert "is not as it was written" in spoilt.stderr


@pytest.mark.parametrize("tree", [trees.kinetics, trees.hmdb, trees.ssv2])
def test_index_of_every_official_layout(quick: Claver, tmp_path: Path, tree: Callable[[Path], Path]) -> None:
    root = tree(tmp_path / "data")
    done = quick("index", root, "--output", tmp_path / "m.csv", "--only-present", "--root", root)
    assert done.returncode == 0, done.stderr
    manifest = read_manifest(tmp_path / "m.csv", root=root)
    assert manifest.empty_classes() == []
    assert not any(Path(sample.path).is_absolute() for sample in manifest.samples)


def test_a_video_in_train_and_test_is_warned_of_by_name_and_by_contents(quick: Claver, tmp_path: Path) -> None:
    content = write_video(tmp_path / "a.avi").read_bytes()
    (tmp_path / "b.avi").write_bytes(content)
    manifest = tmp_path / "m.csv"
    manifest.write_text("path,label,split\na.avi,bow,train\na.avi,bow,test\nb.avi,bow,test\n")
    for form in ("table", "csv"):
        done = quick("check", manifest, "--workers", 0, "--format", form)
        assert done.returncode == 0
        assert "warning: a.avi is in both 'train' and 'test'" in done.stderr
        assert "warning: b.avi (test) is the same video as a.avi (train)" in done.stderr


def test_k600_draw(quick: Claver, tmp_path: Path) -> None:
    root = trees.kinetics(tmp_path / "kinetics600", per_class=1, classes=("acting in play", "abseiling"))
    for path in (root / "annotations").iterdir():
        path.rename(path.with_name(path.name.replace("400", "600")))
    assert quick("index", root, "--output", tmp_path / "m.csv").returncode == 0
    done = quick("split", tmp_path / "m.csv", "--k600-draw", 1, "--output", tmp_path / "d.csv")
    assert done.returncode == 0, done.stderr
    assert "1 clips of 160 classes" in done.stdout
    assert "159 classes have no clip" in done.stderr
    assert read_manifest(tmp_path / "d.csv").dataset == "kinetics600-draw1"


def test_an_interrupted_check_goes_on_where_it_stopped(
    claver: Claver, quick: Claver, start: Path, tmp_path: Path
) -> None:
    (tmp_path / "c").mkdir()
    for seed in range(12):
        write_video(tmp_path / "c" / f"{seed:02}.mp4", seed=seed, frames=60, height=240, width=320)
    manifest, journal = tmp_path / "m.csv", tmp_path / "m.csv.check.partial"
    manifest.write_text("path,label\n" + "".join(f"c/{seed:02}.mp4,bow\n" for seed in range(12)))
    process = interrupt_when(
        lambda: journal.exists() and journal.read_bytes().count(b"\n") >= 3, start, "check", manifest, "--workers", 0
    )
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.strip().endswith("claver: interrupted; the same command resumes where it stopped")
    finished = journal.read_bytes().count(b"\n") - 1
    assert 2 <= finished < 12
    other = quick("check", manifest, "--workers", 0, "--split", "train")
    assert other.returncode == 1
    assert "no clip of the manifest is of split 'train'" in other.stderr
    assert "`claver data split --test 0.2` writes one" in other.stderr
    done = claver("check", manifest, "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert f"{finished} of 12 clips checked before, resuming" in done.stderr
    assert done.stdout == "12 clips: 12 sound\n"
    assert not journal.exists()


def test_an_interrupted_packing_goes_on_with_the_same_bytes(
    claver: Claver, quick: Claver, start: Path, tmp_path: Path
) -> None:
    write_video(tmp_path / "clip.avi", frames=200, height=240, width=320)
    content = (tmp_path / "clip.avi").read_bytes() * 20  # large files, so that packing takes a while
    for number in range(60):
        (tmp_path / f"{number}.avi").write_bytes(content + bytes([number]))
    manifest, folder = tmp_path / "m.csv", tmp_path / "s"
    manifest.write_text("path,label\n" + "".join(f"{number}.avi,bow\n" for number in range(60)))
    options = ["shard", manifest, "--size", f"{2 * len(content) + 10}B", "--output"]
    process = interrupt_when(lambda: len(list(folder.glob("shard-*.json"))) >= 2, start, *options, folder)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert not (folder / "index.json").exists()
    kept = {path.name: path.stat().st_mtime_ns for path in folder.glob("shard-*.json")}
    assert 2 <= len(kept) < 30
    assert claver(*options, folder).returncode == 0
    assert {name: (folder / name).stat().st_mtime_ns for name in kept} == kept
    assert not list(folder.glob("*.writing"))
    assert quick(*options, tmp_path / "whole").returncode == 0
    assert (folder / "index.json").read_text() == (tmp_path / "whole" / "index.json").read_text()
    assert "30 shards, all as they were written" in quick("check", folder).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["index", ".", "--output", "m.csv"], "claver: . is of no layout that is known (0 videos): put your own"),
        (["index", ".", "--output", "no/m.csv"], "claver: cannot write no/m.csv: the folder no does not exist"),
        (["index", "none", "--output", "m.csv"], "claver: there is no folder none"),
        (["index", ".", "--layout", "ucf", "--output", "m.csv"], "claver: there is no layout 'ucf'"),
        (["check", "none.csv"], "claver: the manifest none.csv does not exist"),
        (["check", "."], "claver: . has no index.json, as a folder of shards should"),
        (["split", "none.csv", "--output", "m.csv"], "claver: give either --few-shot K or --k600-draw"),
        (["shard", "none.csv", "--output", "s", "--size", "many"], "claver: a size should be like 512MB or 1GiB"),
    ],
)
def test_misuse_ends_in_one_sentence(
    quick: Claver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = quick(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert len(done.stderr.strip().splitlines()) == 1


def test_help_is_light_and_indexing_waits_for_no_torch() -> None:
    statement = "import claver.cli.data, sys; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", statement], capture_output=True, text=True, timeout=60).stdout
    assert not {"torch", "av", "numpy", "pydantic"} & set(loaded.split())
    statement = "import claver.data.report, claver.data.split, claver.data.shards, sys; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", statement], capture_output=True, text=True, timeout=60).stdout
    assert not {"torch", "av"} & set(loaded.split())


def test_sizes() -> None:
    assert [parse_size(text) for text in ("10", "512MB", "1.5 gib", "2kB")] == [10, 512 * 10**6, 3 * 2**29, 2000]
    for text in ("", "MB", "-1MB", "1TB", "0", "1 MB 2"):
        with pytest.raises(ClaverError, match="a size should be like"):
            parse_size(text)


def test_a_test_split_by_share_and_groups(quick: Claver, tmp_path: Path) -> None:
    rows = [
        f"{name}/{person}_{n}.mp4,{name},{person}" for name in ("bow", "wave") for person in "abcde" for n in (0, 1)
    ]
    listed, made = tmp_path / "m.csv", tmp_path / "s.csv"
    listed.write_text("\n".join(["path,label,person", *rows, "alone/x.mp4,alone,f"]) + "\n")
    done = quick("split", listed, "--test", "0.2", "--group", "person", "--output", made)
    assert done.returncode == 0, done.stderr
    assert "21 clips of 3 classes in" in done.stdout
    assert "17 train, 4 test" in done.stdout
    assert "1 classes have no test clip, such as 'alone'" in done.stderr
    manifest = read_manifest(made)
    people = {split: {s.path[-7] for s in manifest.select(split).samples} for split in ("train", "test")}
    assert len(people["test"]) == 1
    assert not people["test"] & people["train"]
    assert done.stdout.endswith("; 6 groups, none of them in both\n")
    by_pattern = tmp_path / "p.csv"
    grouped = quick("split", listed, "--test", "0.2", "--group", r"(\w)_?\d?\.mp4", "--output", by_pattern)
    assert grouped.returncode == 0
    assert "; 6 groups" in grouped.stdout
    assert "group of its own" not in grouped.stderr
    # Without brackets it is the match as a whole, another for each clip: nothing would be kept together.
    alone = quick("split", listed, "--test", "0.2", "--group", r"\w+/\w_?\d?\.mp4", "--output", by_pattern).stderr
    assert "every clip is a group of its own, so nothing is kept together; a pattern should match" in alone
    refused = quick("split", made, "--test", "0.2", "--output", by_pattern).stderr
    assert "s.csv has splits already (train, test); to split the clips of one of them alone, add --split" in refused
    assert quick("split", made, "--test", "0.5", "--split", "train", "--output", by_pattern).returncode == 0
    assert len(read_manifest(by_pattern)) == 17
    for wrong, message in (
        (["--test", "2"], "above 0 and below 1"),
        (["--group", "person"], "give either --few-shot K or --k600-draw 1, 2 or 3, or --test SHARE"),
        (["--few-shot", "1", "--group", "person"], "--group goes with --test"),
    ):
        done = quick("split", listed, *wrong, "--output", by_pattern)
        assert (done.returncode, message in done.stderr) == (1, True)
