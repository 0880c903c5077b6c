"""The column FLOPs (G) of the paper's Table 1, reproduced.

It counts what a tool sees that knows `Linear` and `Conv2d` and not the inside of `MultiheadAttention`: multiply-adds of
the MLPs of all three towers and of the patch embedding, for one clip and one text padded to 77 tokens. So counted, the
seven models are within 0.5 % of what is printed. With attention they cost 1.4 to 2.2 times as much.
"""

from __future__ import annotations

from claver.evaluation.paper import paper_rows
from claver.models import SIZES, Claver, ClaverConfig
from claver.profile.counting import Counts, count, plain_texts
from claver.profile.reference import reference_text

_NAMES = {"B/32": "B/32", "B/16": "B/16", "L/14": "L/14", "L/14-336": "L/14 (336)"}
_KINDS = {"kmt": "KMT", "kmct": "KMCT"}


def paper_count(model: Claver, everything: Counts) -> int:
    """Multiply-adds of a clip as the paper counts them.

    Args:
        model: for the text tower.
        everything: one view of a clip, all computed.
    """
    tokens = plain_texts(model, 1, model.config.text.context)
    text = count(model, lambda: reference_text(model, tokens), outside="text")
    return everything.total(kind="mlp") + everything.total("image", "embeddings") + text.total(kind="mlp")


def printed(config: ClaverConfig) -> float | None:
    """What Table 1 prints for this size, kind and number of frames, in units of 10⁹; None if it has no such row."""
    size = next((name for name, known in SIZES.items() if known.image == config.image), None)
    if size is None or config.temporal.kind not in _KINDS:
        return None
    method = f"CLAVER-{_NAMES[size]} ({_KINDS[config.temporal.kind]})"
    wanted = ("1", method, config.temporal.frames)
    return next((row.gflops for row in paper_rows() if (row.table, row.method, row.frames) == wanted), None)
