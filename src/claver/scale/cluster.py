"""A Ray cluster: a local one that is started for the job, or one that is there."""

from __future__ import annotations

import logging
import math
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from claver.closing import Closing
from claver.cpus import allowed_cpus
from claver.errors import ClaverError
from claver.log import logger

LOCAL = "local"
_STORE_BYTES = 256 * 2**20  # of the object store of a local cluster: it holds answers, and no pixels
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
_NETWORKED = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # unless 0 it listens to the network, and runs what anybody sends


@dataclass(frozen=True)
class Actors:
    """How many actors there are, and what each takes of its machine.

    Attributes:
        least: without so many there is no run.
        most: so many are started while there is work, as machines have room.
        cpus: of each actor; on a CPU the threads of the model.
        gpus: of each actor; a part of one, such as 0.5, shares it. None is one where the cluster has some, else none.
    """

    least: int = 1
    most: int = 1
    cpus: float = 1.0
    gpus: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise ClaverError(f"actors are a number from 1 on, or a range such as 2-8, not {self.least}-{self.most}")
        gpus = self.gpus or 0.0
        if not (self.cpus > 0 and gpus >= 0 and math.isfinite(self.cpus + gpus)):
            raise ClaverError(f"an actor takes more than no CPU and no less than no GPU, not {self.cpus} and {gpus}")

    @classmethod
    def parse(cls, text: str, *, cpus: float = 1.0, gpus: float | None = None) -> Actors:
        """From `4`, or `2-8` for at least 2 and at most 8.

        Raises:
            ClaverError: another form.
        """
        first, dash, last = text.partition("-")
        try:
            least = int(first)
            return cls(least, int(last) if dash else least, cpus, gpus)
        except ValueError as error:
            if isinstance(error, ClaverError):
                raise
            raise ClaverError(f"actors are a number from 1 on, or a range such as 2-8, not {text!r}") from None

    def fitting(self, resources: Mapping[str, float]) -> int:
        """How many a machine with these resources has room for."""
        counts = [resources.get("CPU", 0.0) / self.cpus]
        counts += [resources.get("GPU", 0.0) / self.gpus] if self.gpus else []
        return math.floor(min(counts) + 1e-9)

    def __str__(self) -> str:
        gpus = f" and {self.gpus:g} GPUs" if self.gpus else ""
        return f"{self.cpus:g} CPUs{gpus}"


class Cluster(Closing):
    """A connection to Ray, ended by `close`; a local cluster ends with it, or with this process in whatever way.

    Attributes:
        address: `local`, or where the cluster is.
    """

    def __init__(self, address: str, actors: Actors) -> None:
        """Connect, or start a local cluster: without dashboard, reports of usage, or anything that listens beyond it.

        Args:
            address: `local`, `auto` for the cluster of this machine, `HOST:PORT`, or `ray://HOST:PORT`.
            actors: for which there must be room.

        Raises:
            ClaverError: Ray is not installed, there is no such cluster, or it has no room for the least of the actors.
        """
        self.address, self._ray = address, _ray(address)
        settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if address == LOCAL:
            # As many as the actors take, however many there are: they are a count, by which Ray places actors.
            settings |= {"num_cpus": max(allowed_cpus(), math.ceil(actors.most * actors.cpus))}
            settings |= {"include_dashboard": False, "object_store_memory": _STORE_BYTES}
            settings |= {"_node_ip_address": "127.0.0.1"}
            settings |= {"address": LOCAL}  # else Ray takes RAY_ADDRESS, or a cluster that runs on this machine
        else:
            settings |= {"address": address}
        try:
            with _own_signals():
                self._ray.init(**settings)
        except Exception as error:  # of no common kind
            raise ClaverError(f"Ray at {address!r} cannot be used: {_in_short(error)}") from error
        try:
            self._require_room(actors)
        except BaseException:
            self.close()
            raise

    def settled(self, actors: Actors) -> Actors:
        """The actors with a number of GPUs: one if none is said and the cluster has some."""
        if actors.gpus is not None:
            return actors
        return replace(actors, gpus=1.0 if self._ray.cluster_resources().get("GPU", 0) >= 1 else 0.0)

    def room(self, actors: Actors) -> int:
        """How many actors the machines have room for, were they idle."""
        actors = self.settled(actors)
        return sum(actors.fitting(node["Resources"]) for node in self._ray.nodes() if node["Alive"])

    def _require_room(self, actors: Actors) -> None:
        if (room := self.room(actors)) >= actors.least:
            return
        actors, has = self.settled(actors), self._ray.cluster_resources()
        there = f"{has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs on {len(self._ray.nodes())} machines"
        raise ClaverError(
            f"the Ray cluster has room for {room} actors of {actors} each, not for {actors.least}: it has {there}; ask "
            "for fewer actors, or start more machines first"
        )

    def close(self) -> None:
        """Leave the cluster; all actors end."""
        self._ray.shutdown()


def _ray(address: str) -> Any:
    """Ray, with its reports of usage off, and for a local cluster bound to the loopback address."""
    os.environ |= _QUIET
    os.environ.pop(_NETWORKED, None)
    if address == LOCAL:
        os.environ[_NETWORKED] = "0"  # for its processes
    try:
        import ray
        from ray._private import ray_constants, worker
    except ImportError:
        raise ClaverError("--ray needs Ray; pip install 'claver[scale]'") from None
    ray_constants.ENABLE_RAY_CLUSTER = address != LOCAL  # for this process, which may have imported it before
    worker.print_to_stdstream = _take_message  # what its machines say; stdout is for answers
    if ray.is_initialized():
        raise ClaverError("this process is connected to a Ray cluster already; call ray.shutdown() first")
    return ray


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what this process does at signals, for which Ray would write a stack and abort."""
    names = [name for name in ("SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in (getattr(signal, name) for name in names)}
    try:
        yield
    finally:
        with suppress(ValueError):  # of another thread than the main one, which alone may set them
            for number, handler in before.items():
                if handler is not None:
                    signal.signal(number, handler)


def _take_message(data: Mapping[str, Any], **settings: object) -> None:
    for line in data.get("lines", ()):
        logger.debug("Ray: %s", line)


def _in_short(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
