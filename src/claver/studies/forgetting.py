"""Zero-shot that forgets nothing: what is gained on verbs never trained on, against what the start knew and is lost.

Models learn twelve verbs, plainly or by a way that is said to keep what they knew. They are asked about twelve other
verbs, zero-shot, and about the nouns and states of stills, each shown as a clip whose frames are all alike: all that
the towers knew before. Each is measured as it ended, as the mean of its weights, blended with the start, and behind a
gate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from claver.models import Claver
from claver.motion.unseen import UNSEEN_VERBS
from claver.studies.forgetting_ways import (
    REWRITTEN,
    SHOWN,
    START,
    VARIANTS,
    WAYS,
    average,
    done,
    draw_plane,
    lost,
    percent,
)
from claver.studies.prompt_studies import EVERYTHING, made_of, settings_of
from claver.studies.size import spread_of
from claver.studies.study import Figures, Options, Record, Settings, Study
from claver.studies.table import Table

TEXTS = EVERYTHING[:2]  # names, and forms of them: "plain"


def runs(options: Options) -> list[Settings]:
    """The start, and each way, with every seed."""
    return [_settings(options, way, seed) for way in (START, *WAYS) for seed in options.seeds]


def _settings(options: Options, way: str, seed: int) -> Settings:
    usual = settings_of(options, seed, "kmct", TEXTS) | {"way": way}
    if way == START:
        return usual
    of_recipe = {"average": average(usual["motion.steps"]), **WAYS[way]}
    joined = {"joined": True} if way == REWRITTEN else {}
    return usual | {f"motion.{key}": value for key, value in of_recipe.items()} | joined


def run(settings: Settings, cache: Path) -> Figures:
    """Learn the verbs, then measure every variant."""
    from claver.studies.forgetting_measure import Exam, start_of

    own = {key: value for key, value in settings.items() if key != "way"}
    start, exam = start_of(own, cache), Exam.of(own, cache)
    if settings["way"] == START:
        return exam.sit(start, start)
    figures: Figures = {}
    for averaged, model in _trained(own, cache):
        for variant in VARIANTS:
            if variant.averaged == averaged:
                figures |= variant.name(exam.sit(start, model, variant))
    return figures


def _trained(settings: Settings, cache: Path) -> Iterator[tuple[bool, Claver]]:
    """The model of the last weights, and that of their mean."""
    from claver.models import load
    from claver.studies.forgetting_measure import learned_folder

    last = learned_folder(settings, cache) / "run" / "last"
    yield False, load(last).eval()
    yield True, load(last / "average").eval()


def table(records: Sequence[Record]) -> Table:
    """Gain and forgetting of each way and variant, in points above and below the start."""
    before = [percent(records, START, name) for name in ("new", "nouns", "states")]
    body: list[list[Any]] = [["what the start knows", "", before[0], None, None, *before[1:], 0.0]]
    for way in done(records):
        for variant in SHOWN:
            names = ("new", "new within pair", "trained", "nouns", "states")
            cells = [percent(records, way, name, variant) for name in names]
            body.append([way, variant.label, *cells, lost(records, way, variant)])
    columns = (
        "new verbs %",
        "within pair %",
        "trained verbs %",
        "nouns of stills %",
        "states of stills %",
        "forgotten",
    )
    return Table(
        f"Twelve motion verbs learned, KMCTA, {spread_of(records)}: twelve verbs never trained on, zero-shot, against "
        "what the towers knew of stills",
        ("learned by", "asked as", *columns),
        body,
        note="Texts are plain, in training and test, but where they are `name: sentence`. "
        f"New verbs: chance is {100 / len(UNSEEN_VERBS):.1f} %. Forgotten: points of top-1 lost from the start to "
        "then, of nouns and states alike, mean over the six. Blend: the weight of the trained model.",
    )


def draw(records: Sequence[Record], path: Path) -> None:
    """Gain over forgetting."""
    draw_plane(
        records,
        path,
        "Zero-shot gained against what was forgotten",
        figure="new",
        gained="new verbs, zero-shot: top-1, %",
        forgotten="forgotten: points of what the start knew of stills",
    )


STUDY = Study("forgetting", "Zero-shot that forgets nothing", "Zero-shot", runs, run, table, draw, made_of=made_of)
