"""Which type to compute in: bfloat16 where products in it are fast, else float32."""

from __future__ import annotations

import json
import math
import platform
import statistics
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from claver.cache_folder import usual_place
from claver.cpus import processor_name
from claver.errors import ClaverError
from claver.files import MOST_DOCUMENT, read_text, write_whole
from claver.json_text import parse_json
from claver.log import logger

if TYPE_CHECKING:
    import torch

DtypeName = Literal["float32", "bfloat16", "float16", "auto"]
NAMES: tuple[DtypeName, ...] = ("float32", "bfloat16", "float16", "auto")
FASTER = 1.5
"""How many times as fast products in bfloat16 must be: the rest of a tower gains less than they do."""
_CAPABLE = (8, 0)  # compute capability of the first cards with products in bfloat16
_ROWS, _WIDTH, _ROUNDS, _SECONDS = 256, 768, 9, 0.2
_KEPT = 16  # processors that share a home


@dataclass(frozen=True)
class DtypeChoice:
    """A type, and why.

    Attributes:
        name: its name.
        why: in words, for people.
    """

    name: Literal["float32", "bfloat16"]
    why: str

    def __str__(self) -> str:
        return f"{self.name}, {self.why}"


def to_dtype(dtype: torch.dtype | str | None, device: torch.device | str | None = None) -> torch.dtype | None:
    """The type of a name, `auto` being what `choose_dtype` chooses, which is logged; a type and None stay.

    Raises:
        ClaverError: another name.
    """
    if not isinstance(dtype, str):
        return dtype
    import torch

    if check_dtype(dtype) == "auto":
        choice = choose_dtype(device)
        logger.info(f"dtype auto: {choice}")
        dtype = choice.name
    found: torch.dtype = getattr(torch, dtype)
    return found


def check_dtype(name: str) -> str:
    """The name, if it is that of a type to compute in, or `auto`.

    Raises:
        ClaverError: it is not.
    """
    if name not in NAMES:
        raise ClaverError(f"dtype must be {', '.join(NAMES[:-1])} or {NAMES[-1]}, not {name!r}")
    return name


def choose_dtype(device: torch.device | str | None = None) -> DtypeChoice:
    """bfloat16 on a GPU that has products in it, and on a CPU where they are at least 1.5 times as fast, else float32.

    A CPU is measured, in a tenth of a second, the first time that a processor, a version of torch and a number of
    threads meet; what was found is kept in `precision.json` of the cache folder.

    Args:
        device: where; the CPU if None.
    """
    import torch

    place = torch.device("cpu" if device is None else device)
    if place.type == "cuda":
        return _of_card(torch.cuda.get_device_name(place), torch.cuda.get_device_capability(place))
    if place.type != "cpu":
        return DtypeChoice("float32", f"as nothing is known of bfloat16 on {place.type}")
    single, half = _seconds()
    if single >= FASTER * half:
        return DtypeChoice("bfloat16", f"in which products are {single / half:.1f} times as fast as in float32 here")
    return DtypeChoice("float32", f"as bfloat16 makes products only {single / half:.2f} times as fast here")


def _of_card(name: str, capability: tuple[int, int]) -> DtypeChoice:
    told = f"{name} has compute capability {capability[0]}.{capability[1]}"
    if capability >= _CAPABLE:
        return DtypeChoice("bfloat16", f"as {told}")
    return DtypeChoice("float32", f"as {told}, and fast products in bfloat16 come with {_CAPABLE[0]}.{_CAPABLE[1]}")


def _seconds() -> tuple[float, float]:
    """Of a product in float32 and in bfloat16 on this CPU, measured now or before."""
    path, key = usual_place("precision.json"), _key()
    known = {} if path is None else _known(path)
    if key in known:
        return known[key]
    found = measure()
    if path is not None:
        kept = dict([*known.items(), (key, found)][-_KEPT:])
        with suppress(ClaverError, OSError):  # where it cannot be kept it is measured again
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    return found


def _key() -> str:
    import torch

    threads = torch.get_num_threads()
    return f"{processor_name()}, {platform.machine()}, torch {torch.__version__}, {threads} threads"


def _known(path: Path) -> dict[str, tuple[float, float]]:
    """What was found before; of a damaged file what is sound, maybe nothing."""
    try:
        values = parse_json(read_text(path, MOST_DOCUMENT), str(path))
    except ClaverError:
        return {}
    items = values.items() if isinstance(values, dict) else ()
    return {key: (pair[0], pair[1]) for key, pair in items if _is_sound(pair)}


def _is_sound(pair: object) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(type(one) is float and math.isfinite(one) and one > 0 for one in pair)
    )


def measure() -> tuple[float, float]:
    """Seconds of a linear layer of B's width on the patches of a frame, in float32 and in bfloat16.

    Medians of rounds in which the two take turns, for what else the processor does to slow both down alike.
    """
    import torch
    from torch.nn import functional as F

    types = (torch.float32, torch.bfloat16)
    given = [(torch.ones(_ROWS, _WIDTH, dtype=kind), torch.ones(_WIDTH, _WIDTH, dtype=kind)) for kind in types]
    rounds: list[list[float]] = []
    began = time.perf_counter()
    with torch.inference_mode():
        while len(rounds) < _ROUNDS and (len(rounds) < 2 or time.perf_counter() - began < _SECONDS):
            times = [time.perf_counter()]
            for tokens, weight in given:
                F.linear(tokens, weight)
                times.append(time.perf_counter())
            rounds.append([after - before for before, after in pairwise(times)])
    single, half = (statistics.median(column) for column in zip(*rounds[1:], strict=True))  # the first warms up
    return max(single, 1e-9), max(half, 1e-9)
