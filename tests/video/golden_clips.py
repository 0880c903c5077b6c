"""The clips of `tests/golden`: whose they are, and the numbers that their frames show as bar codes."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.video.video_files import Picture

FOLDER = Path(__file__).parents[1] / "golden" / "clips"


@dataclass(frozen=True)
class Clip:
    """A clip, and what the ffmpeg program tells of it: codec, clockwise turn, numbers of the frames."""

    path: Path
    codec: str
    turned: int
    numbers: list[int]


def golden_clips() -> dict[str, Clip]:
    with (FOLDER / "INDEX.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {
        row["name"]: Clip(
            FOLDER / row["name"], row["codec"], int(row["turned"]), [int(number) for number in row["numbers"].split()]
        )
        for row in rows
    }


CLIPS = golden_clips()


def number(picture: Picture) -> int:
    """The number in a picture's upper half: 12 bars, the lowest bit first."""
    bars = picture[: picture.shape[0] // 2 - 4, :, 1].mean(0).reshape(12, -1)[:, 4:-4].mean(1) > 128
    return int((bars * 2 ** np.arange(12)).sum())
