"""The same question above real weights: what is gained on actions never trained on, against what the start knew.

The start is `claver.quickstart.imagenet_model`: it knows things, by ImageNet and a sentence encoder, and guesses
actions from things. It learns four of the six actions of UT-Interaction, and is asked about the two others, zero-shot,
about clips of the four that it has not seen, and about clips of quite other actions, before as well as after.
Every seed leaves out each action once, in three pairs that no other of five seeds leaves out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from claver.errors import ClaverError
from claver.studies.forgetting_ways import (
    REWRITTEN,
    SHOWN,
    START,
    WAYS,
    average,
    done,
    draw_plane,
    lost,
    percent,
)
from claver.studies.real_clips import TEXTS, check_clips, other_clips
from claver.studies.size import spread_of
from claver.studies.study import Figures, Options, Record, Settings, Study
from claver.studies.table import Table

_STEPS, _QUICK_STEPS = 160, 20


def check(options: Options) -> None:
    """Whether the clips are there, and the weights.

    Raises:
        ClaverError: they are not.
    """
    from claver.studies.forgetting_real_measure import TOP

    check_clips(options, "forgetting-real")
    if len(classes := other_clips(*options.arguments).classes) <= TOP:
        raise ClaverError(
            f"{options.arguments[0]} has {len(classes)} actions; whether the right one is among the first {TOP} says "
            "something of more"
        )


def runs(options: Options) -> list[Settings]:
    """The start, and each way, with every seed."""
    return [_settings(options, way, seed) for way in (START, *WAYS) for seed in options.seeds]


def _settings(options: Options, way: str, seed: int) -> Settings:
    listed, root = options.arguments
    steps = _QUICK_STEPS if options.quick else _STEPS
    own: Settings = {"data": str(options.data), "listed": listed, "root": root, "way": way, "seed": seed}
    own |= {"quick": True} if options.quick else {}
    if way == START:
        return own
    return own | {"steps": steps, "rewritten": way == REWRITTEN, "average": average(steps), **WAYS[way]}


def run(settings: Settings, cache: Path) -> Figures:
    """Leave each pair out once, learn the other four actions, measure every variant: shares, mean of the pairs."""
    from claver.studies.forgetting_real_measure import measured_pair, pairs_of

    found = [measured_pair(settings, pair, cache) for pair in pairs_of(settings["seed"])]
    return {name: sum(one[name] for one in found) / len(found) for name in found[0]}


def made_of(settings: Settings) -> str:
    """A digest of the texts, of all clips and of the recipe."""
    from claver.studies.forgetting_real_measure import digest

    return digest(settings)


_NAMES = ("new", "new of six", "trained", "other first", "knew", "same answer")
_COLUMNS = (
    "new, of two %",
    "new, of six %",
    "trained, of four %",
    "other actions, top-1 %",
    "top-5 %",
    "same answer as the start %",
)


def table(records: Sequence[Record]) -> Table:
    """Gain and forgetting of each way and variant."""
    body: list[list[Any]] = [["what the start knows", "", *(percent(records, START, name) for name in _NAMES), 0.0]]
    for way in done(records):
        for variant in SHOWN:
            cells = [percent(records, way, name, variant) for name in _NAMES]
            body.append([way, variant.label, *cells, lost(records, way, variant)])
    return Table(
        f"Four of the six actions of UT-Interaction learned, KMCTA above EfficientNet-Lite0 and MiniLM, "
        f"{spread_of(records)}: the two others, zero-shot, against clips of other actions",
        ("learned by", "asked as", *_COLUMNS, "forgotten"),
        body,
        note="Texts are plain, in training and test, but where they are `name: sentence`; other actions are always "
        f"asked for by their names. Chance: 50, {100 / len(TEXTS):.1f} and 25 %. Same answer: among the 400 names of "
        "Kinetics. Forgotten: points of top-5 lost. Blend: the weight of the trained model.",
    )


def draw(records: Sequence[Record], path: Path) -> None:
    """Gain over forgetting."""
    draw_plane(
        records,
        path,
        "Learned, against what was forgotten (real clips and weights)",
        figure="trained",
        gained="four actions learned, clips not seen: top-1, %",
        forgotten="forgotten: points of top-5 on clips of other actions",
    )


STUDY = Study(
    "forgetting-real",
    "Zero-shot that forgets nothing, real clips and weights",
    "Zero-shot",
    runs,
    run,
    table,
    draw,
    check=check,
    arguments=("CLIPS.csv", "ROOT"),
    made_of=made_of,
    takes_data=True,
)
