"""Against `transformers`' X-CLIP B/32 on 8 frames, of random weights: another model of the same size and purpose.

The two compute different functions, so here nothing can be equal but the shapes; what is compared is the time to an
answer. X-CLIP encodes all texts again for every video, since its prompts depend on the video. Its texts are padded to
the longest of them, which is kinder to it than the 77 tokens of its own code.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.encoder import FRAMES, random_model
from benchmarks.text import class_tokens
from benchmarks.timing import Row, Settings, compare, missing
from claver.models import Claver, similarity, video_embedding

AREA = "X-CLIP"


@torch.inference_mode()
def rows(settings: Settings) -> list[Row]:
    try:
        theirs = x_clip()
    except ImportError:
        return [missing(AREA, "X-CLIP B/32", "needs the package transformers")]
    tokens = class_tokens("hmdb51")
    if tokens is None:
        return [missing(AREA, "X-CLIP B/32", "needs the package instant-clip-tokenizer")]
    model, video = random_model("B/32", "kmct", quick=settings.quick), torch.randn(1, FRAMES, 3, 224, 224)
    return [_encoder(theirs, model, video, settings), *_answers(theirs, model, video, tokens, settings)]


def x_clip() -> Any:
    """X-CLIP of the sizes of microsoft/xclip-base-patch32."""
    from transformers import XCLIPConfig, XCLIPModel

    torch.manual_seed(0)
    vision = {"patch_size": 32, "num_frames": FRAMES, "mit_hidden_size": 512, "mit_intermediate_size": 2048}
    return XCLIPModel(XCLIPConfig(vision_config=vision)).eval()


def _encoder(theirs: Any, model: Claver, video: Tensor, settings: Settings) -> Row:
    def ours() -> Tensor:
        return video_embedding(model.encode_video(video))

    def usual() -> Any:
        return theirs.get_video_features(pixel_values=video)

    usual()
    assert ours().shape == (1, 512)
    what = "video encoder, B/32, KMCTA, 8 frames"
    return compare(AREA, "X-CLIP's video encoder", usual, {what: ours}, settings)[0]


def _answers(theirs: Any, model: Claver, video: Tensor, tokens: Tensor, settings: Settings) -> list[Row]:
    tokens = tokens[:4] if settings.quick else tokens
    seen = (torch.arange(tokens.shape[1]) <= tokens.argmax(-1, keepdim=True)).long()
    bank = model.encode_text(tokens[None])

    def usual() -> Any:
        return theirs(input_ids=tokens, attention_mask=seen, pixel_values=video).logits_per_video

    def later() -> Tensor:
        return similarity(video_embedding(model.encode_video(video)), bank, model.scale)

    def first() -> Tensor:
        return model(video, tokens[None]).logits

    assert usual().shape == later()[:, 0].shape == first()[:, 0].shape
    names = f"{len(tokens)} classes"
    works = {f"first answer, {names}, texts and video": first, f"each later answer, {names}, texts known": later}
    return compare(AREA, "X-CLIP, texts encoded per video", usual, works, settings)
