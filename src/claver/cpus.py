"""Processors of this process, and threads of torch that leave room for others on them."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def allowed_cpus(root: Path = Path("/")) -> int:
    """Number of processors that this process may use: those it is bound to, within the quota of its control group.

    Args:
        root: where `proc` and `sys` are.
    """
    return max(1, min([bound_cpus(), *(math.ceil(quota) for quota in _quotas(root))]))


def bound_cpus() -> int:
    """Number of processors that this process is bound to; all where the system binds none."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share_cpus() -> None:
    """Have the threads of torch sleep while they wait for one another, and be no more than the quota lets run.

    To be called before torch is imported, which reads the environment then; what the user has set there stays. Threads
    that wait by running keep from its processor the very thread that they wait for, where other programs have work too.
    """
    if not any(name in os.environ for name in _WAITING):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    if (allowed := allowed_cpus()) < bound_cpus():  # a binding is seen by OpenMP itself, a quota is not
        os.environ.setdefault("OMP_NUM_THREADS", str(allowed))


_WIDE = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
"""Of Intel and AMD; ARM has others, and names its processors by numbers."""


def processor_name() -> str:
    """What the processor calls itself, and which wide instructions it has: some names stand for many processors."""
    lines = _text(Path("/proc/cpuinfo")).splitlines()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    parts = [line.partition(":")[2].strip() for line in lines if line.startswith(("CPU implementer", "CPU part"))]
    flags = {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.split()}
    kinds = [kind for kind in (*_WIDE, "asimd", "bf16", "sve", "i8mm") if kind in flags]
    name = named[0] if named else " ".join(dict.fromkeys(parts)) or platform.processor()
    return f"{name} ({', '.join(kinds) or 'no AVX2'})"


def _quotas(root: Path) -> Iterator[float]:
    """Processors' worth of time that each control group above this process may use, of both versions of them."""
    groups = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, own = (*line.split(":", 2), "", "")[:3]
        if not controllers:
            for place in _upwards(groups, own):
                yield from _share(_text(place / "cpu.max").split())
        elif "cpu" in controllers.split(","):
            for place in _upwards(groups / controllers, own):
                yield from _share([_text(place / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")])


def _upwards(top: Path, own: str) -> Iterator[Path]:
    """The folder of a group and of those around it; in a container some of them cannot be seen."""
    parts = PurePosixPath(own.lstrip("/")).parts
    return (top.joinpath(*parts[:count]) for count in range(len(parts) + 1))


def _share(values: list[str]) -> Iterator[float]:
    """Quota over period, if there is a quota: without one it is `max`, or -1."""
    if len(values) == 2 and all(value.isdigit() for value in values) and int(values[1]):
        yield int(values[0]) / int(values[1])


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
