"""A script that does items on Ray into Parquet parts, for tests that kill it: LOG FOLDER ADDRESS COUNT."""

import sys
from functools import partial
from pathlib import Path

from tests.scale.work import open_work

from claver.inference.jobs import error_record
from claver.scale import ActorPool, Actors, Cluster, Parts
from claver.scale.parts import run_parts


def main(log: str, folder: str, address: str, count: int) -> None:
    actors = Actors(2, 2)
    with Cluster(address, actors), Parts(Path(folder), {"of": "a test"}, rows=5) as parts:
        work = ActorPool(partial(open_work, log, 0.1), actors, lambda item: error_record(item, "dead"), chunk=4)
        run_parts([f"item {number}" for number in range(count)], work, parts)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
