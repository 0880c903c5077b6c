"""Clusters: what has no room is refused, a local one is closed to the network."""

from pathlib import Path

import pytest

from claver.errors import ClaverError
from claver.scale import Actors, Cluster

pytest.importorskip("ray", reason="ray (extra scale) is not installed")


def listening() -> set[str]:
    """Addresses on which this machine listens, in hexadecimal, with ports."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    return {line[1] for line in lines if line[3] == "0A"}


@pytest.mark.slow
def test_a_local_cluster_listens_to_nobody_outside_and_refuses_what_it_has_no_room_for() -> None:
    before = listening()
    with Cluster("local", Actors(1, 5)) as cluster:
        new = listening() - before
        assert new
        assert {address.partition(":")[0][-8:] for address in new} == {"0100007F"}  # 127.0.0.1
        assert cluster.room(Actors()) >= 5  # more than this machine may have processors
        with pytest.raises(ClaverError, match="connected to a Ray cluster already"):
            Cluster("local", Actors())
    told = r"room for 0 actors of 1 CPUs and 64 GPUs each, not for 1: it has [\d.]+ CPUs and [\d.]+ GPUs on 1 machines"
    with pytest.raises(ClaverError, match=told):
        Cluster("local", Actors(gpus=64))
    with Cluster("local", Actors()):  # the refused one was closed
        pass


@pytest.mark.slow
def test_a_local_cluster_is_a_new_one_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with Cluster("local", Actors()) as cluster:
        assert cluster.room(Actors()) >= 1


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_told() -> None:
    with pytest.raises(ClaverError, match=r"^Ray at 'auto' cannot be used: Could not find any running Ray instance"):
        Cluster("auto", Actors())


@pytest.mark.parametrize("text", ["", "0", "3-2", "many", "1-", "-1"])
def test_odd_numbers_of_actors_are_refused(text: str) -> None:
    with pytest.raises(ClaverError, match="actors are a number from 1 on, or a range such as 2-8"):
        Actors.parse(text)


def test_actors_are_a_number_or_a_range() -> None:
    assert Actors.parse("4") == Actors(4, 4)
    assert Actors.parse("2-8", gpus=0.5) == Actors(2, 8, 1.0, 0.5)
    assert Actors(gpus=0.5, cpus=4).fitting({"CPU": 16, "GPU": 1}) == 2
    assert Actors(cpus=0.1).fitting({"CPU": 0.3}) == 3
    with pytest.raises(ClaverError, match="more than no CPU"):
        Actors(cpus=0)
