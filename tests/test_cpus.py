"""How many processors there are for this process, and that threads which wait do not keep others from them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from claver import cpus
from claver.cli.model import default_workers

SHOWN = (
    "import sys; sys.argv = ['claver', '--version']\n"
    "from claver.cli.main import main\n"
    "try: main()\n"
    "except SystemExit: pass\n"
    "import os; assert 'torch' not in sys.modules; print(os.environ.get('OMP_WAIT_POLICY'))\n"
)


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpus, "bound_cpus", lambda: 8)


def written(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 8),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "300000 100000\n"}, 3),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "5000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "9900000 100000\n"}, 8),
        ({"proc/self/cgroup": "garbage\n:\n0::/\n", "sys/fs/cgroup/cpu.max": "100000 0"}, 8),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/box\n3:memory:/box\n",
                "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us": "400000\n",
                "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            4,
        ),
    ],
)
def test_a_quota_counts_as_well_as_a_binding(tmp_path: Path, bound: None, files: dict[str, str], expected: int) -> None:
    assert cpus.allowed_cpus(written(tmp_path, files)) == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes are not bound to processors here")
def test_a_binding_counts() -> None:
    code = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\nfrom claver.cpus import allowed_cpus\n"
    done = subprocess.run([sys.executable, "-c", f"{code}print(allowed_cpus())"], capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr


def test_workers_are_one_for_two_processors(monkeypatch: pytest.MonkeyPatch, bound: None) -> None:
    monkeypatch.setattr("claver.cli.model.allowed_cpus", cpus.bound_cpus)
    assert (default_workers(1, "cpu"), default_workers(9, "cpu")) == (0, 4)


def test_beside_a_gpu_workers_are_one_for_each_other_processor(monkeypatch: pytest.MonkeyPatch, bound: None) -> None:
    monkeypatch.setattr("claver.cli.model.open_device", lambda name: "cuda")
    monkeypatch.setattr("claver.cli.model.allowed_cpus", cpus.bound_cpus)
    found = [default_workers(9, None, processes=processes) for processes in (1, 2, 8)]
    assert (default_workers(1, None), *found) == (0, 7, 3, 1)
    monkeypatch.setattr("claver.cli.model.allowed_cpus", lambda: 128)
    assert default_workers(9, None) == 16


@pytest.mark.parametrize("name", cpus._WAITING)
def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(os, "environ", {name: "1", "OMP_NUM_THREADS": "7"})
    monkeypatch.setattr(cpus, "allowed_cpus", lambda: 0)
    cpus.share_cpus()
    assert os.environ == {name: "1", "OMP_NUM_THREADS": "7"}


def test_a_quota_that_openmp_does_not_see_is_told_to_it(monkeypatch: pytest.MonkeyPatch, bound: None) -> None:
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(cpus, "allowed_cpus", lambda: 3)
    cpus.share_cpus()
    assert os.environ == {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "3"}


@pytest.mark.parametrize(("given", "expected"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_the_command_line_says_so_before_torch_is_there(given: dict[str, str], expected: str) -> None:
    without = {name: value for name, value in os.environ.items() if name not in cpus._WAITING}
    done = subprocess.run([sys.executable, "-c", SHOWN], env=without | given, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == [expected], done.stderr
