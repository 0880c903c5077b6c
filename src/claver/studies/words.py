"""Fig. 5: how much of a text's importance lies on its verbs and how much on its nouns, before and after learning verbs.

Relevance (Chefer et al. 2021) of the words of each caption for its similarity with its own clip, as shares that add up
to one, is averaged over clips. Words are parted in two ways: verbs and nouns as `claver.explain` tells them, as in the
paper; and, since `left` in `a small red star moves left` is neither and yet decides, into what is said of the motion
(`moves left`), what is said of the thing (`small red star`), and the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from claver.motion.prompts import Aspect
from claver.motion.rendering import COLOURS, SHAPES, SIZES, VERBS, Verb, render_clips
from claver.plotting import new_figure, save_figure
from claver.studies.drawing import INK, OURS, PAPER, plain_axes, set_title
from claver.studies.prompt_studies import EVERYTHING, bench_part, held_out, learned, made_of, settings_of
from claver.studies.size import spread_of
from claver.studies.study import Figures, Options, Record, Settings, Study, measured
from claver.studies.table import Cell, Measured, Table

if TYPE_CHECKING:
    from claver.explain import Word
    from claver.models import Claver

PARTS = ("verb", "noun", "motion", "thing", "rest")
"""The first two as the paper parts words, the last three as captions are made; these add up to all."""
_PHRASES = ("motion", "thing", "rest")
_THINGS = frozenset((*SIZES, *COLOURS, *SHAPES))
_CLIPS, _QUICK_CLIPS = 360, 48


class Row(NamedTuple):
    """A model: its temporal kind, and the texts it learned verbs from; none for the towers that know stills."""

    label: str
    kind: str
    texts: tuple[Aspect, ...]


ROWS = (
    Row("stills alone (as CLIP)", "mean", ()),
    Row("mean pooling", "mean", EVERYTHING),
    Row("KMTA", "kmt", EVERYTHING),
    Row("KMCTA", "kmct", EVERYTHING),
    Row("KMTA, names alone", "kmt", EVERYTHING[:1]),
    Row("KMTA, names, prefix, suffix", "kmt", EVERYTHING[:2]),
)
WORDS_ALIKE = "every word alike"


def runs(options: Options) -> list[Settings]:
    """Every model with every seed."""
    clips = _QUICK_CLIPS if options.quick else _CLIPS
    return [
        {**settings_of(options, seed, row.kind, row.texts), "clips": clips} for row in ROWS for seed in options.seeds
    ]


def run(settings: Settings, cache: Path) -> Figures:
    """Mean shares of each part over held-out clips, and what they would be, were words alike."""
    own = {key: value for key, value in settings.items() if key != "clips"}
    shares = [_shares(words, verb) for words, verb in _weighed(_model(own, cache), own, cache, settings["clips"])]
    return {name: sum(share[name] for share in shares) / len(shares) for name in shares[0]}


def _shares(words: Sequence[Word], verb: Verb) -> Figures:
    """The share of each part, and its share of the number of words."""
    phrases = _phrases([word.text for word in words], verb)
    figures: Figures = {}
    for part in PARTS:
        own = [w for w, phrase in zip(words, phrases, strict=True) if part == (phrase if part in _PHRASES else w.kind)]
        figures |= {part: sum(word.share for word in own), f"{part} alike": len(own) / len(words)}
    return figures


def _phrases(words: Sequence[str], verb: Verb) -> list[str]:
    """Motion, thing or rest for each word of a caption, which ends with some way to say its verb."""
    ends = max(len(said.split()) for said in (verb.name, *verb.phrases) if " ".join(words).endswith(f" {said}"))
    before = ["thing" if word in _THINGS else "rest" for word in words[: len(words) - ends]]
    return [*before, *["motion"] * ends]


def _model(settings: Settings, cache: Path) -> Claver:
    if settings["texts"]:
        return learned(settings, cache)
    from claver.studies.bench import stills

    return stills(bench_part(settings), cache).eval()


def _weighed(model: Claver, settings: Settings, cache: Path, count: int) -> Iterator[tuple[Sequence[Word], Verb]]:
    """The words of each clip's caption with their shares, and its verb."""
    import torch

    from claver.explain import text_relevance, weigh_words
    from claver.models.objective import video_embedding

    assert model.tokenizer is not None
    clips = held_out(settings, cache)
    # Captions depend on the numbers of clips alone, whatever the size and number of frames.
    shown = render_clips(range(count), split="test", seed=settings["seed"], frames=2, size=16)
    with torch.no_grad():
        tokens = clips.take(torch.arange(count))[0]
        videos = torch.cat([video_embedding(model.encode_tokens(part)) for part in tokens.split(60)])
    for caption, label, video in zip(shown.captions, shown.labels, videos, strict=True):
        scores = text_relevance(model, model.tokenizer([caption])[0], video)
        yield weigh_words(caption, scores.tolist(), model.tokenizer), VERBS[label]


def table(records: Sequence[Record]) -> Table:
    """Shares of each part for each model; the paper draws its own and prints no numbers."""
    body: list[list[Cell]] = [[row.label, *(_share(records, row, part) for part in PARTS)] for row in ROWS]
    alike: list[Cell] = [measured(records, f"{part} alike", {"texts": []}, scale=100) for part in PARTS]
    return Table(
        f"Importance of words in captions of motion clips, %, {spread_of(records)}",
        ("model", "verbs", "nouns", "words of the motion", "words of the thing", "rest"),
        [*body, [WORDS_ALIKE, *alike]],
        note=f"{WORDS_ALIKE.capitalize()}: what the shares would be if no word counted more than another. The "
        "last three columns add up to 100. Fig. 5 of the paper is drawn without numbers.",
    )


def draw(records: Sequence[Record], path: Path) -> None:
    """For each model a bar in three parts: words of the motion, of the thing, and the rest."""
    labels = [*(row.label for row in ROWS), WORDS_ALIKE]
    figure = new_figure(9.2, 0.42 * len(labels) + 1.5)
    set_title(figure, "Words of a caption (Fig. 5)", records)
    axes = figure.subplots()
    ends = [0.0] * len(labels)
    for part, color, hatch in zip(_PHRASES, (OURS, PAPER, "white"), ("", "////", ""), strict=True):
        shares = [_share(records, row, part).mean for row in ROWS]
        shares.append(measured(records, f"{part} alike", {"texts": []}, scale=100).mean)
        style = {"color": color, "edgecolor": INK, "linewidth": 0.6, "hatch": hatch, "label": _LABELS[part]}
        axes.barh(range(len(labels)), shares, left=ends, height=0.62, **style)
        for place, (start, share) in enumerate(zip(ends, shares, strict=True)):
            style = {
                "ha": "center",
                "va": "center",
                "fontsize": 9,
                "color": INK,
                "bbox": {"color": "white", "pad": 1.0},
            }
            axes.text(start + share / 2, place, f"{share:.0f}", **style)
        ends = [start + share for start, share in zip(ends, shares, strict=True)]
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlim=(0, 100), ylim=(len(labels) - 0.4, -0.6), xlabel="share of importance, %; measured: rendered motion")
    plain_axes(axes)
    axes.legend(ncols=3, frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0, 1))
    save_figure(figure, path)


_LABELS = {"motion": "motion: moves left", "thing": "thing: small red star", "rest": "rest: a video of a"}


def _share(records: Sequence[Record], row: Row, part: str) -> Measured:
    where = {"motion.temporal.kind": row.kind, "texts": list(row.texts)}
    return measured(records, part, where, scale=100)


STUDY = Study("words", "Words of a caption", "Fig. 5", runs, run, table, draw, made_of=made_of)
