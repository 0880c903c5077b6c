"""How well "none of these" is told, on rendered motion: `python -m benchmarks.unknown`, minutes on two free cores.

For each seed a small KMTA model learns the twelve verbs. Written as a user would write them, in templates, the verbs
are compared with the shipped background on clips held out; then on clips of verbs never trained on, and on the first
clips under words that do not fit, nonsense or nouns. Beside the rule of `claver.inference.open_set` stand maximum
softmax (Hendrycks and Gimpel 2017), maximum logit (Hendrycks et al. 2022) and energy (Liu et al. 2020) of the same
model.
`--encoding` measures instead what the background costs a CLIP the first time.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.encoder import random_model
from claver.evaluation.metrics import auroc, fpr_at_tpr
from claver.inference.calibration import conformal_threshold
from claver.inference.open_set import OpenSet
from claver.models import Claver, video_embedding
from claver.models.tokenizer import packaged_clip_tokenizer
from claver.motion.prompts import aspect_texts
from claver.motion.verbs import VERBS, verb_names
from claver.studies.prompt_studies import EVERYTHING, held_out, learned, settings_of, unseen
from claver.studies.study import Options, Settings
from claver.text.selection import read_actions
from claver.text.templates import fill
from claver.text.text_bank import TextBank
from claver.training.tokens import TokenClips

NOUNS = ("apple", "bottle", "book", "bridge", "car", "house", "lamp", "mountain", "river", "shoe", "table", "window")
NONSENSE = (
    *("blorf", "dax", "frobnash", "grelk", "mibbly", "plimth"),
    *("quixle", "snarp", "toma", "vorkle", "wug", "zantor"),
)
ALPHA = 0.05
_DRAWS = 200
_CLIPS = 720
_SMALLER = {"stills.steps": 200, "motion.steps": 600, "motion.data.train": 2048, "motion.data.test": _CLIPS}


@dataclass(frozen=True)
class Words:
    """Actions as a user writes them, for one model."""

    bank: TextBank
    open_set: OpenSet

    @classmethod
    def of(cls, model: Claver, texts: Mapping[str, Sequence[str]]) -> Words:
        """Actions and their texts, with what is left of the background."""
        bank = TextBank.encode(model, read_actions(texts), cache=False)
        found = OpenSet.encode(model, bank, cache=False)
        assert found is not None
        return cls(bank, found)

    def logits(self, videos_BE: Tensor) -> Tensor:
        """Scores of Eq. 10, [B, C]."""
        return self.open_set.scale * videos_BE @ self.bank.prototypes.T


RULES: Mapping[str, Callable[[Words, Tensor], Tensor]] = {
    "maximum softmax": lambda words, videos: words.logits(videos).softmax(-1).amax(-1),
    "maximum logit": lambda words, videos: words.logits(videos).amax(-1),
    "energy": lambda words, videos: words.logits(videos).logsumexp(-1),
    "percentile of the background": lambda words, videos: words.open_set.percentile(videos).amax(-1),
    "above the bar (ours)": lambda words, videos: words.open_set.relative(videos).amax(-1),
}
"""The larger, the more does one of the words apply."""
OURS = RULES["above the bar (ours)"]
RIGHT = "right words"


def measure(settings: Settings, cache: Path) -> dict[str, float]:
    """AUROC and FPR at 95 % TPR of each rule, and what is rejected by default and calibrated, in per cent."""
    model = learned(settings, cache)
    clips = held_out(settings, cache)
    known, never = embeddings(model, clips), embeddings(model, unseen(settings, cache, "test", _CLIPS))
    typed = ({name: fill(name) for name in names} for names in (verb_names(), NOUNS, NONSENSE))
    right, nouns, nonsense = (Words.of(model, texts) for texts in typed)
    labels = clips.take(torch.arange(len(clips)))[1]
    named = right.logits(known).argmax(-1) == labels
    figures = {"top-1 of the twelve verbs": named.double().mean().item()}
    for what, videos in (("rightly", known[named]), ("wrongly", known[~named])):
        figures[f"none of these, default, clips named {what}"] = _share_below(OURS(right, videos), 0.0)
    explained = Words.of(model, aspect_texts(EVERYTHING, VERBS))
    figures[f"none of these, default, {RIGHT} with 15 texts each"] = _share_below(OURS(explained, known), 0.0)
    figures["background names"] = len(right.open_set.background) / 100
    cases = {"verbs never trained on": (right, never), "nonsense words": (nonsense, known), "nouns": (nouns, known)}
    for case, (words, videos) in cases.items():
        for name, rule in RULES.items():
            pair = rule(right, known), rule(words, videos)
            figures |= {f"AUROC, {case}, {name}": auroc(*pair), f"FPR95, {case}, {name}": fpr_at_tpr(*pair)}
    return {key: 100 * value for key, value in (figures | rejected(right, known, cases)).items()}


def rejected(right: Words, known: Tensor, cases: Mapping[str, tuple[Words, Tensor]]) -> dict[str, float]:
    """Shares told to be none of these: by default, and with thresholds from halves of the clips drawn at random."""
    own = OURS(right, known)
    thresholds, others = zip(*(_split(own, seed) for seed in range(_DRAWS)), strict=True)
    below = [_share_below(clips, level) for clips, level in zip(others, thresholds, strict=True)]
    found = {f"none of these, default, {RIGHT}": _share_below(own, 0.0)}
    found |= {f"none of these, alpha {ALPHA:g}, {RIGHT}": statistics.fmean(below)}
    for case, (words, videos) in cases.items():
        scores = OURS(words, videos)
        shares = [_share_below(scores, level) for level in thresholds]
        found |= {f"none of these, default, {case}": _share_below(scores, 0.0)}
        found |= {f"none of these, alpha {ALPHA:g}, {case}": statistics.fmean(shares)}
    return found


def _split(scores: Tensor, seed: int) -> tuple[float, Tensor]:
    """A threshold from one half of the clips, and the scores of the other half."""
    drawn, half = torch.randperm(len(scores), generator=torch.Generator().manual_seed(seed)), len(scores) // 2
    return conformal_threshold(scores[drawn[:half]].tolist(), ALPHA), scores[drawn[half:]]


def _share_below(scores: Tensor, level: float) -> float:
    return (scores < level).double().mean().item()


@torch.inference_mode()
def embeddings(model: Claver, clips: TokenClips) -> Tensor:
    """Unit video embeddings [B, E]."""
    parts = [clips.take(rows)[0] for rows in torch.arange(len(clips)).split(120)]
    return F.normalize(torch.cat([video_embedding(model.encode_tokens(part)) for part in parts]), dim=-1)


def encoding_seconds() -> None:
    """Print what encoding the background costs a CLIP of random weights, and what finding it again does."""
    for size in ("B/32", "B/16"):
        model = random_model(size, "mean")
        model.tokenizer = packaged_clip_tokenizer()
        bank = TextBank.encode(model, read_actions(["waving", "bowing", "running"]), cache=False)
        with TemporaryDirectory() as folder:
            for what in ("encoded", "found again"):
                wall, processor = time.perf_counter(), time.process_time()
                found = OpenSet.encode(model, bank, cache=Path(folder))
                assert found is not None
                took = f"{time.perf_counter() - wall:.1f} s, {time.process_time() - processor:.1f} s of processor"
                print(f"{size}: {len(found.background)} names {what} in {took}, {torch.get_num_threads()} threads")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print every figure with its mean and sample standard deviation over the seeds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.unknown", description=__doc__)
    parser.add_argument("--seeds", default="0,1,2", help="separated by commas")
    parser.add_argument("--cache", type=Path, default=Path(gettempdir()) / "claver-unknown", help="for trained models")
    parser.add_argument("--encoding", action="store_true", help="only what encoding the background costs")
    options = parser.parse_args(arguments)
    if options.encoding:
        encoding_seconds()
        return
    runs = []
    for seed in map(int, options.seeds.split(",")):
        runs.append(measure({**settings_of(Options(), seed, "kmt"), **_SMALLER}, options.cache))
    for key in runs[0]:
        values = [run[key] for run in runs]
        spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
        print(f"{key:70} {statistics.fmean(values):6.1f}{spread}")


if __name__ == "__main__":
    main()
