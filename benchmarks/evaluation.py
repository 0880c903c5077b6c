"""One clip in 12 views against classes with 31 texts each: the texts known, or encoded again for the clip.

`python -m benchmarks.evaluation 400` is all of Kinetics-400, a quarter of an hour; a tenth of it is measured otherwise.
"""

from __future__ import annotations

import argparse
from itertools import cycle, islice

import torch
from torch import Tensor, nn

from benchmarks.banks import interpretive_texts
from benchmarks.baseline import CONTEXT, UsualText, UsualVideo
from benchmarks.encoder import FRAMES, random_model
from benchmarks.timing import Row, Settings, assert_same, compare, missing
from claver.models import class_scores, similarity, video_embedding
from claver.models.tokenizer import packaged_clip_tokenizer

AREA = "evaluation"
VIEWS, TEXTS, CLASSES = 12, 31, 40
_AT_ONCE = 400


@torch.inference_mode()
def rows(settings: Settings, classes: int = CLASSES) -> list[Row]:
    tokens_KCL = _texts(1 if settings.quick else classes)
    if tokens_KCL is None:
        return [missing(AREA, "one clip", "needs the package instant-clip-tokenizer")]
    views = 1 if settings.quick else VIEWS
    model, video = random_model("B/32", "kmct"), torch.randn(views, FRAMES, 3, 224, 224)
    reference_video, reference_text = UsualVideo(model).eval(), UsualText(model).eval()
    known_KCE = model.encode_text(tokens_KCL)
    prototypes_CE = nn.functional.normalize(known_KCE, dim=-1).sum(0)

    def usual() -> Tensor:
        flat = nn.functional.pad(tokens_KCL.flatten(0, 1), (0, CONTEXT - tokens_KCL.shape[-1]))
        texts = torch.cat([reference_text(part) for part in flat.split(_AT_ONCE)]).unflatten(0, tokens_KCL.shape[:2])
        return class_scores(similarity(video_embedding(reference_video(video)), texts, model.scale)).sum(0)

    def ours() -> Tensor:
        unit = nn.functional.normalize(video_embedding(model.encode_video(video)), dim=-1)
        return model.scale * (unit @ prototypes_CE.T).sum(0)

    assert_same(ours(), usual())
    name = f"one clip, B/32, {views} views, {tokens_KCL.shape[1]} classes × {TEXTS} texts"
    once = Settings(quick=settings.quick, budget=0, least=1, most=1, clock=settings.clock)  # minutes, not seconds
    note = "the reference implementation once; ours has the texts encoded before"
    return [row.labelled(name, note=note) for row in compare(AREA, "texts encoded again", usual, {name: ours}, once)]


def _texts(classes: int) -> Tensor | None:
    """Ids [31, C, L] of Kinetics-400's interpretive texts; those of an action begin again until there are 31."""
    tokenizer = packaged_clip_tokenizer()
    if tokenizer is None:
        return None
    texts = [list(islice(cycle(own), TEXTS)) for own in interpretive_texts("kinetics400")[:classes]]
    return tokenizer([own[slot] for slot in range(TEXTS) for own in texts]).unflatten(0, (TEXTS, -1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("classes", type=int)
    print(*rows(Settings(), parser.parse_args().classes), sep="\n")
