"""How the vectors of an index are indexed: IVF with RaBitQ, one bit a number, then compared exactly.

Vectors lie in partitions around centres that k-means found. A search compares codes of one bit for each number, of all
partitions or, of very many windows, of half of them, and then the nearest by the vectors themselves. Why this kind, and
what was measured of others: docs/search.md.
"""

from __future__ import annotations

import math
import re
from typing import Any

CODES, SHARE = 10_000_000, 0.5
"""A search looks through so many codes if there are as many, and at least through this share of the partitions."""
_SAMPLES, _ROUNDS = 64, 10  # of k-means: vectors for each partition, and iterations
_NAME = re.compile(r"ivf_rq_(\d+)")
GROWN = 4
"""The index was built for so many times fewer windows: its centres may be those of other videos."""


def partitions_of(windows: int) -> int:
    """Partitions of so many windows: assigning to them takes as long as all other work of a build, about."""
    return max(1, round(math.sqrt(windows) / 8))


def probes_of(partitions: int, windows: int) -> int:
    """Partitions that a search of so many windows looks through."""
    return max(1, math.ceil(partitions * max(SHARE, min(1.0, CODES / max(windows, 1)))))


def grown(windows: int, partitions: int) -> bool:
    """Whether there are so many more windows than when so many partitions were made that they should be made again."""
    return partitions_of(windows) >= math.sqrt(GROWN) * max(partitions, 4)


def name_of(partitions: int) -> str:
    """The name of an index in LanceDB, which says how many partitions it has; LanceDB does not."""
    return f"ivf_rq_{partitions}"


def partitions_in(names: list[str]) -> int | None:
    """Partitions of the index of vectors among some names of indexes; None if there is none."""
    found = [int(match[1]) for name in names if (match := _NAME.fullmatch(name))]
    return max(found, default=None)


def config(partitions: int) -> Any:
    """What LanceDB is to build."""
    from lancedb.index import IvfRq

    return IvfRq(
        distance_type="cosine", num_partitions=partitions, sample_rate=_SAMPLES, max_iterations=_ROUNDS, num_bits=1
    )
