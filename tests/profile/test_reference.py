"""The usual way computes what the model computes."""

import pytest
import torch
from tests.tiny import random_texts, tiny_model

from claver.models.config import Temporal
from claver.profile.counting import random_video
from claver.profile.reference import reference_text, reference_video, text_steps

KINDS: list[Temporal] = ["kmt", "kmct", "joint", "pipeline", "class", "mean"]


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_video(kind: Temporal) -> None:
    model = tiny_model(kind).double()
    video = random_video(model, 2, 4)
    expected = model.encode_video(video)
    assert expected.std() > 0.01
    class_only = kind != "pipeline"
    for settings in ({}, {"class_only": class_only}):
        torch.testing.assert_close(reference_video(model, video, **settings), expected)


@torch.no_grad()
def test_text() -> None:
    model = tiny_model().double()
    texts = random_texts(6)
    torch.testing.assert_close(reference_text(model, texts), model.encode_text(texts))
    results = [step.run() for step in text_steps(model, torch.tensor([[3, 5, 99], [7, 8, 99]]))]
    for result in results[1:]:
        torch.testing.assert_close(result, results[0])
