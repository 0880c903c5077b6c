"""What the processes of a launcher know of each other; two of them on one machine, as torchrun starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from claver.distributed import from_everyone, leave, merged, rank_and_size, started_together, wait_for_all

PROCESS = """
import json, sys
from claver.distributed import from_everyone, join_for_objects, leave, merged, rank_and_size, wait_for_all
rank = join_for_objects()
told = [rank, rank_and_size(), from_everyone("ab"[rank]), merged({"all": "same", f"of {rank}": rank})]
wait_for_all()
leave()
print(json.dumps([*told, rank_and_size()]))
"""


def test_two_processes_know_of_each_other(tmp_path: Path) -> None:
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(29500 + os.getpid() % 2000), "WORLD_SIZE": "2"}
    pair = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS], env=os.environ | meeting | {"RANK": str(rank)}, stdout=subprocess.PIPE
        )
        for rank in (0, 1)
    ]
    told = [json.loads(process.communicate(timeout=120)[0]) for process in pair]
    for rank, answers in enumerate(told):
        assert answers == [rank, [rank, 2], ["a", "b"], {"all": "same", "of 0": 0, "of 1": 1}, [0, 1]]


def test_a_single_process_is_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert not started_together()
    assert rank_and_size() == (0, 1)
    assert from_everyone("a") == ["a"]
    assert merged({"a": 1}) == {"a": 1}
    wait_for_all()
    leave()
