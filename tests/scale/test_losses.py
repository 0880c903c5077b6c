"""Drivers and machines that are lost: nothing is lost of the job, nothing is in twice, nothing stays behind."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.scale.work import begun, processes

from claver.scale import Parts
from claver.scale.actors import _deaths

ray = pytest.importorskip("ray", reason="ray (extra scale) is not installed")
pytestmark = pytest.mark.slow
SETTINGS = {"of": "a test"}  # as of the driver
HOUSE = Path(__file__).parents[2]


def start(tmp_path: Path, name: str, address: str = "local", count: int = 60) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.scale.driver", tmp_path / name, tmp_path / "parts", address, count]
    environment = os.environ | {"MARK": str(tmp_path)}
    return subprocess.Popen(
        list(map(str, command)), cwd=HOUSE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for(condition: Callable[[], object], process: "subprocess.Popen[str] | None" = None) -> None:
    deadline = time.monotonic() + 120
    while not condition() and time.monotonic() < deadline:
        assert process is None or process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    assert condition()


def marked(tmp_path: Path) -> list[int]:
    """Processes that descend from a driver, by their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"MARK={tmp_path}".encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


def parts(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "parts").glob("part-*.parquet"))


def check(tmp_path: Path, count: int = 60) -> None:
    with Parts(tmp_path / "parts", SETTINGS) as done:
        found = Counter(record["path"] for record in done.records())
        assert list(done.records(errors_only=True)) == []
    assert found == dict.fromkeys([f"item {number}" for number in range(count)], 1)


def test_a_driver_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    driver = start(tmp_path, "first")
    wait_for(lambda: len(parts(tmp_path)) >= 3, driver)
    driver.send_signal(signal.SIGKILL)
    driver.wait(timeout=30)
    wait_for(lambda: not marked(tmp_path))  # Ray's processes end with the driver
    with Parts(tmp_path / "parts", SETTINGS) as done:
        kept = {record["path"] for record in done.records()}
    assert 15 <= len(kept) < 60
    again = start(tmp_path, "second")
    told, _ = again.communicate(timeout=120)
    assert again.returncode == 0, told
    assert not kept & set(begun(tmp_path / "second"))
    check(tmp_path)


def test_actors_that_ray_kills_for_memory_are_dead_and_no_other_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.001")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    driver = start(tmp_path, "log")
    told, _ = driver.communicate(timeout=120)
    opening = "ClaverError: 3 Ray actors died one after the other while they opened the model" in told
    at_work = driver.returncode == 0 and "an actor of Ray died; what it was at is done again" in told
    assert opening or at_work, told  # whichever Ray was quick enough for


def test_all_that_ray_says_of_what_is_gone_is_a_death() -> None:
    errors = ("ActorDiedError", "ActorUnschedulableError", "OutOfMemoryError", "NodeDiedError", "ObjectLostError")
    for name in errors:
        assert issubclass(getattr(ray.exceptions, name), _deaths()), name


def test_a_machine_that_is_gone_is_done_without(tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster as Machines

    machines = Machines(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        nodes = [machines.add_node(num_cpus=1) for _ in range(2)]
        machines.wait_for_nodes()
        driver = start(tmp_path, "log", machines.address, 200)
        wait_for(lambda: len(parts(tmp_path)) >= 2, driver)
        opened = len(processes(tmp_path / "log"))
        assert opened == 2
        machines.remove_node(nodes[0], allow_graceful=False)
        machines.add_node(num_cpus=1)
        wait_for(lambda: len(processes(tmp_path / "log")) >= 3, driver)  # an actor on the new machine
        told, _ = driver.communicate(timeout=200)
        assert driver.returncode == 0, told
        check(tmp_path, 200)
    finally:
        machines.shutdown()
