"""`claver recognize --ray` and `claver index --ray`: what a run on one machine gives, whatever dies."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cli.conftest import Claver
from tests.cli.test_signals import alive, below
from tests.videos import write_video

from claver.cli.ray import _with_address

ON_RAY = ["--ray", "--actors", "2"]


def has_ray() -> bool:
    from importlib.util import find_spec

    return find_spec("ray") is not None


needs_ray = [pytest.mark.skipif(not has_ray(), reason="ray (extra scale) is not installed"), pytest.mark.slow]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number in range(150):
        write_video(folder / f"{number:03}.avi", seed=number, frames=8)
    (folder / "bad.avi").write_bytes(b"no video")
    return folder


@pytest.mark.parametrize("said", ["", "x", "no/such/folder", "--top", "clip.mp4"])
def test_without_an_address_it_is_a_local_cluster(said: str) -> None:
    assert _with_address(["--ray", said]) == ["--ray=local", said]


def test_what_looks_like_an_address_is_one() -> None:
    for address in ("auto", "local", "10.0.0.1:6379", "ray://head:10001"):
        assert _with_address(["--ray", address, "clips"]) == ["--ray", address, "clips"]
    assert _with_address(["clips", "--ray"]) == ["clips", "--ray=local"]
    assert _with_address(["--", "--ray"]) == ["--", "--ray"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--actors", 2], "--actors is for actors of Ray: add --ray"),
        (["--ray", "--workers", 2], "--workers is for this process"),
        (["--ray", "--decode-timeout", 60], "--decode-timeout is for worker processes; with --ray"),
        (["--ray", "--actors", "few"], "actors are a number from 1 on"),
        (["--format", "parquet"], "Parquet is a folder of parts; add --output FOLDER"),
    ],
)
def test_what_does_not_go_together_is_told(
    inside: Claver, model: Path, videos: Path, more: list[object], told: str
) -> None:
    done = inside("recognize", videos, "--model", model, "--actions", "waving,bowing", *more)
    assert done.returncode == 1
    assert told in done.stderr


def test_an_index_on_ray_takes_no_limit_of_decoding(inside: Claver, model: Path, videos: Path, tmp_path: Path) -> None:
    pytest.importorskip("lancedb", reason="lancedb (extra search) is not installed")
    done = inside("index", videos, "--index", tmp_path / "index", "--model", model, "--ray", "--decode-timeout", 9)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "--decode-timeout is for worker processes; with --ray" in done.stderr
    assert not (tmp_path / "index").exists()


def test_parquet_of_one_machine(inside: Claver, model: Path, videos: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    output = tmp_path / "answers.parquet"
    command = ["recognize", videos / "000.avi", videos / "bad.avi", "--model", model, "--actions", "waving,bowing"]
    done = inside(*command, "--output", output)
    assert done.returncode == 1
    assert "1 of 2 files could not be read" in done.stderr
    rows = parquet.read_table(output).to_pylist()
    assert [row["error"] is None for row in rows] == [True, False]
    assert "top" in json.loads(rows[0]["record"])
    assert "1 of 2 files done before" in inside(*command, "--output", output).stderr
    assert len(parquet.read_table(output)) == 2


@pytest.mark.parametrize("other", [["--damaged", "skip"], ["--preprocess", "checkpoint"]])
def test_parquet_of_other_settings_is_not_resumed(
    inside: Claver, model: Path, videos: Path, tmp_path: Path, other: list[str]
) -> None:
    pytest.importorskip("pyarrow")
    command = ["recognize", "--model", model, "--actions", "waving,bowing", "--format", "parquet", "--output"]
    told = f"holds records made with other {other[0][2:]};"
    for name, first, then in (("plain", [], other), ("other", other, [])):
        assert inside(*command, tmp_path / name, videos / "000.avi", *first).returncode == 0
        kept = sorted(path.name for path in (tmp_path / name).iterdir())
        done = inside(*command, tmp_path / name, videos / "000.avi", videos / "001.avi", *then)
        assert done.returncode == 1
        assert told in done.stderr
        assert sorted(path.name for path in (tmp_path / name).iterdir()) == kept


def claver(*arguments: object) -> "subprocess.Popen[str]":
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "claver", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def same(one: dict[str, object], other: dict[str, object]) -> bool:
    """Whether two records say the same, numbers up to rounding."""
    if "top" not in one or "top" not in other:
        return one == other
    plain = [{key: value for key, value in record.items() if key not in ("top", "unknown")} for record in (one, other)]
    tops = zip(one["top"], other["top"], strict=True)  # type: ignore[call-overload]
    close = all(a["action"] == b["action"] and abs(a["score"] - b["score"]) < 1e-4 for a, b in tops)
    return plain[0] == plain[1] and close


class TestOnRay:
    pytestmark = needs_ray

    def test_answers_are_those_of_a_local_run_row_for_row_though_the_driver_is_killed(
        self, inside: Claver, model: Path, videos: Path, tmp_path: Path
    ) -> None:
        options = ["--model", model, "--actions", "waving,bowing,running", "--batch-size", 4]
        local, far = tmp_path / "local.jsonl", tmp_path / "far.jsonl"
        assert inside("recognize", videos, *options, "--output", local).returncode == 1
        command = ["recognize", videos, *options, *ON_RAY, "--output", far]
        parts = tmp_path / "far.jsonl.parts"
        driver = claver(*command)
        deadline = time.monotonic() + 120
        while not parts.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(3)
        driver.send_signal(signal.SIGKILL)
        driver.communicate(timeout=60)
        assert not far.exists()
        again = claver(*command)
        out, errors = again.communicate(timeout=300)
        assert again.returncode == 1, errors
        assert out == ""
        assert "1 of 151 files could not be read" in errors
        rows = [[json.loads(line) for line in path.read_text().splitlines()] for path in (local, far)]
        assert len(rows[0]) == len(rows[1]) == 151
        for one, other in zip(*rows, strict=True):
            assert same(one, other), (one, other)
        assert not parts.exists()

    def test_an_index_is_that_of_a_local_run(self, inside: Claver, model: Path, videos: Path, tmp_path: Path) -> None:
        pytest.importorskip("lancedb", reason="lancedb (extra search) is not installed")
        from claver.index.registry import Registry

        found = []
        for name, more in (("near", []), ("far", ON_RAY)):
            command = ["index", videos, "--index", tmp_path / name, "--model", model, "--fps", 10, *more]
            process = claver(*command)
            out, errors = process.communicate(timeout=300)
            assert process.returncode == 1, errors
            assert out.startswith("150 added; ")
            registry = Registry(tmp_path / name / "files.sqlite")
            records = registry.records()
            found.append(sorted((one.path, one.digest, one.state, one.windows, one.reason) for one in records))
            registry.close()
        assert found[0] == found[1]

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_command_that_is_ended_keeps_what_is_done_and_leaves_nothing_behind(
        self, model: Path, videos: Path, tmp_path: Path, number: int
    ) -> None:
        many = tmp_path / "many"
        many.mkdir()
        for copy in range(8000):
            (many / f"{copy:04}.avi").hardlink_to(videos / "000.avi")
        output = tmp_path / "far.jsonl"
        process = claver("recognize", many, "--model", model, "--actions", "waving", *ON_RAY, "--output", output)
        deadline = time.monotonic() + 120
        while not working(process.pid) and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(6)  # until some are done, beside other tests as well
        children = below(process.pid)
        process.send_signal(number)
        out, errors = process.communicate(timeout=60)
        assert process.returncode == 128 + number, errors
        assert out == ""
        assert errors.splitlines()[-1].startswith("claver: ")
        assert "Traceback" not in errors
        while any(map(alive, children)) and time.monotonic() < deadline + 20:
            time.sleep(0.1)
        assert not [child for child in children if alive(child)]
        assert list((tmp_path / "far.jsonl.parts").glob("part-*.parquet"))


def working(pid: int) -> bool:
    """Whether an actor below a process has opened its model, and so answers."""
    found = 0
    for child in below(pid):
        try:
            found += b"_Actor.do" in Path(f"/proc/{child}/cmdline").read_bytes()
        except OSError:
            continue
    return found > 0
