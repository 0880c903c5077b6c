"""Items done by real Ray actors: each once, whatever happens to the actors."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.scale.work import begun, die_opening, open_nothing, open_work, processes

from claver.errors import ClaverError
from claver.inference.jobs import Record, error_record
from claver.scale import ActorPool, Actors, Cluster

pytest.importorskip("ray", reason="ray (extra scale) is not installed")
pytestmark = pytest.mark.slow
ITEMS = [f"item {number}" for number in range(40)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster("local", Actors(2, 3)) as made:
        yield made


def failed(item: str) -> Record:
    return error_record(item, f"{item}: it ends every process.")


def pool(log: Path, *, chunk: int = 4, seconds: float = 0.0, actors: Actors | None = None) -> ActorPool[Record]:
    return ActorPool(partial(open_work, str(log), seconds), actors or Actors(2, 2), failed, chunk=chunk)


def by_path(records: list[Record]) -> dict[str, Record]:
    assert max(Counter(record["path"] for record in records).values()) == 1
    return {record["path"]: record for record in records}


def test_every_item_is_done_once_by_two_actors(cluster: Cluster, tmp_path: Path) -> None:
    found = by_path(list(pool(tmp_path / "log", seconds=0.01)([*ITEMS, "bad one"])))
    assert set(found) == {*ITEMS, "bad one"}
    assert found["bad one"] == error_record("bad one", "bad one: it is no video.")
    assert sorted(begun(tmp_path / "log")) == sorted([*ITEMS, "bad one"])
    assert len(processes(tmp_path / "log")) == 2
    assert len({record["process"] for record in found.values() if "process" in record}) == 2


def test_items_that_crash_an_actor_cost_themselves_alone(
    cluster: Cluster, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    items = [*ITEMS[:10], "crash", *ITEMS[10:], "crash too"]
    found = by_path(list(pool(tmp_path / "log")(items)))
    assert set(found) == set(items)
    wrong = {path for path, record in found.items() if "error" in record}
    assert wrong == {"crash", "crash too"}
    assert found["crash"]["error"] == "crash: it ends every process."
    assert len(processes(tmp_path / "log")) <= 14  # 2, and 3 deaths of each; on a busy machine Ray starts some in vain
    assert capfd.readouterr().out == ""  # Ray would tell of dead workers there


def test_an_actor_that_is_killed_loses_nothing_and_accuses_nobody(cluster: Cluster, tmp_path: Path) -> None:
    log = tmp_path / "log"
    answers = pool(log, seconds=0.1)(ITEMS)
    records = [next(answers)]
    for _ in range(2):
        os.kill(processes(log)[-1], signal.SIGKILL)
        opened = len(processes(log))
        while len(processes(log)) == opened:
            records.append(next(answers))
    records += list(answers)
    found = by_path(records)
    assert set(found) == set(ITEMS)
    assert not any("error" in record for record in records)
    assert max(Counter(begun(log)).values()) <= 3


def test_actors_are_added_up_to_the_most(cluster: Cluster, tmp_path: Path) -> None:
    log = tmp_path / "log"
    list(pool(log, seconds=0.2, actors=Actors(1, 3))(ITEMS))
    assert len(processes(log)) == 3
    other = tmp_path / "other"
    list(pool(other, actors=Actors(1, 3))(ITEMS[:4]))  # one task
    assert len(processes(other)) == 1


def test_what_an_actor_says_of_the_model_is_said(cluster: Cluster) -> None:
    with pytest.raises(ClaverError, match=r"^there is no such model$"):
        list(ActorPool(open_nothing, Actors(), failed)(["a"]))
    with pytest.raises(ClaverError, match="died one after the other while they opened the model"):
        list(ActorPool(die_opening, Actors(), failed)(["a"]))


def test_who_stops_early_leaves_no_actor_behind(cluster: Cluster, tmp_path: Path) -> None:
    answers = pool(tmp_path / "log", seconds=0.1)(ITEMS)
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in processes(tmp_path / "log")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in processes(tmp_path / "log"))
