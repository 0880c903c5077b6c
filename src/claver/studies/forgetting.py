"""Zero-shot that forgets nothing: what is gained on verbs never trained on, against what the start knew and is lost.

Models learn twelve verbs, plainly or by a way that is said to keep what they knew. They are asked about twelve other
verbs, zero-shot, and about the nouns and states of stills, each shown as a clip whose frames are all alike: all that
the towers knew before. Each is measured as it ended, as the mean of its weights, blended with the start, and behind a
gate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from claver.models import Claver
from claver.motion.unseen import UNSEEN_VERBS
from claver.plotting import new_figure, save_figure
from claver.studies.drawing import INK, OURS, PALE, plain_axes, set_title
from claver.studies.prompt_studies import EVERYTHING, made_of, settings_of
from claver.studies.size import spread_of
from claver.studies.study import Figures, Options, Record, Settings, Study, measured
from claver.studies.table import Measured, Table

TEXTS = EVERYTHING[:2]  # names, and forms of them: "plain"
START = "start"
WEIGHTS = (1.0, 0.75, 0.5, 0.25)
GATES = (0.05, 0.5)  # τ: MoTE's, and one for texts that are less alike than CLIP's
_FEATURE, _RELATIONAL, _BETWEEN = {"kind": "feature"}, {"kind": "relational"}, {"up_to": 0.6, "weight": 0.5}
WAYS: Mapping[str, dict[str, Any]] = {
    "plain": {},
    "interpolated weights": {"motion.interpolate": _BETWEEN},
    "feature distillation": {"motion.distill": _FEATURE},
    "relational distillation": {"motion.distill": _RELATIONAL},
    "feature, interpolated": {"motion.distill": _FEATURE, "motion.interpolate": _BETWEEN},
    "relational, interpolated": {"motion.distill": _RELATIONAL, "motion.interpolate": _BETWEEN},
    "plain, by `name: sentence`": {"joined": True},
}
"""How the verbs are learned: changes of the recipe; the last, in training and test alike, by rewritten texts."""
_PARTS = 10  # of a run, at the ends of which weights are averaged from the second on


class Variant(NamedTuple):
    """What becomes of a trained model before it is asked.

    Attributes:
        averaged: the mean of its weights in place of the last.
        weight: of the trained model in a blend with the start.
        gate: τ of the gate behind its temporal tower; None for no gate.
    """

    averaged: bool = False
    weight: float = 1.0
    gate: float | None = None

    @property
    def label(self) -> str:
        """As in figures and tables."""
        parts = ["mean of weights" if self.averaged else "last weights"]
        parts += [] if self.weight == 1 else [f"blend {self.weight:g}"]
        return ", ".join([*parts, *([] if self.gate is None else [f"gate {self.gate:g}"])])


VARIANTS = tuple(Variant(a, w, g) for a in (False, True) for w in WEIGHTS for g in (None, *GATES))
SHOWN = (
    Variant(),
    *(Variant(gate=tau) for tau in GATES),
    Variant(weight=0.5),
    *(Variant(True, weight) for weight in WEIGHTS),
    *(Variant(True, 1.0, tau) for tau in GATES),
    Variant(True, 0.5, GATES[1]),
)
"""The rows of the table for each way; `data.jsonl` has all."""


def runs(options: Options) -> list[Settings]:
    """The start, and each way, with every seed."""
    return [_settings(options, way, seed) for way in (START, *WAYS) for seed in options.seeds]


def _settings(options: Options, way: str, seed: int) -> Settings:
    usual = settings_of(options, seed, "kmct", TEXTS)
    average = {"from_epoch": 2, "every": max(1, usual["motion.steps"] // _PARTS)}
    return usual | {"way": way} | ({} if way == START else {"motion.average": average, **WAYS[way]})


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
                found = exam.sit(start, model, weight=variant.weight, gate=variant.gate)
                figures |= {f"{name} @ {variant.label}": value for name, value in found.items()}
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
    before = [_measured(records, START, name) for name in ("new", "nouns", "states")]
    body: list[list[Any]] = [["what the start knows", "", before[0], None, None, *before[1:], 0.0]]
    for way in WAYS:
        for variant in SHOWN:
            names = ("new", "new within pair", "trained", "nouns", "states")
            cells = [_measured(records, way, name, variant) for name in names]
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


def lost(records: Sequence[Record], way: str, variant: Variant) -> Measured:
    """Points of what the start knew of stills that are gone, seed by seed."""
    before = {r.settings["seed"]: r.figures["knew"] for r in records if r.settings["way"] == START}
    after = {r.settings["seed"]: r.figures[f"knew @ {variant.label}"] for r in records if r.settings["way"] == way}
    return Measured(tuple(100 * (before[seed] - after[seed]) for seed in before if seed in after))


def _measured(records: Sequence[Record], way: str, name: str, variant: Variant | None = None) -> Measured:
    figure = name if variant is None else f"{name} @ {variant.label}"
    return measured(records, figure, {"way": way}, scale=100)


def draw(records: Sequence[Record], path: Path) -> None:
    """The plane of gain against forgetting: for each way a line over the weights of the blend, and its gate."""
    figure = new_figure(9.6, 5.2)
    set_title(figure, "Zero-shot gained against what was forgotten", records)
    axes = figure.subplots()
    markers = ("o", "s", "^", "D", "v", "P", "X")
    for place, (way, marker) in enumerate(zip(WAYS, markers, strict=True)):
        color, style = (INK, OURS, PALE)[place % 3], ("-", "--", ":")[place // 3]
        points = [_point(records, way, Variant(True, weight)) for weight in WEIGHTS]
        axes.plot(*zip(*points, strict=True), marker=marker, linestyle=style, color=color, label=way, markersize=6)
        for tau in GATES:
            axes.plot(*_point(records, way, Variant(True, 1.0, tau)), marker=marker, color="white", mec=color, mew=1.4)
        axes.plot(*_point(records, way, Variant()), marker="x", color=color, markersize=7, linewidth=0)
    axes.axhline(_measured(records, START, "new").mean, color=INK, linestyle=":", linewidth=1)
    axes.axvline(0, color=INK, linestyle=":", linewidth=1)
    axes.set(xlabel="forgotten: points of what the start knew of stills", ylabel="new verbs, zero-shot: top-1, %")
    note = (
        "lines: mean of weights, blended with the start at 1, 0.75, 0.5, 0.25; ×: last weights; hollow: gates 0.05, 0.5"
    )
    axes.set_title(note, fontsize=9, color=INK, loc="left")
    plain_axes(axes)
    axes.legend(fontsize=8.5, frameon=False, loc="best")
    save_figure(figure, path)


def _point(records: Sequence[Record], way: str, variant: Variant) -> tuple[float, float]:
    return lost(records, way, variant).mean, _measured(records, way, "new", variant).mean


STUDY = Study("forgetting", "Zero-shot that forgets nothing", "Zero-shot", runs, run, table, draw, made_of=made_of)
