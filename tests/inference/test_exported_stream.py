"""Streams by an exported model have the answers that the model itself gives."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.exports import exported, needs_onnx, recognizer_of, timed_model
from tests.videos import write_video

import claver
from claver.errors import ClaverError
from claver.inference.exported_stream import stream_encoder
from claver.models.exported.model import ExportedModel

exported_kmct = pytest.fixture(scope="module")(exported)


def answers(live: claver.LiveRecognizer, *sources: Path) -> list[Any]:
    return [(moment.stream, moment.frames, moment.scores) for moment in live.watch(*sources)]


@pytest.mark.slow
def test_every_frame_of_two_streams_is_answered_alike(exported_kmct: Any, tmp_path: Path) -> None:
    recognizer, folder = exported_kmct
    clips = [write_video(tmp_path / f"{seed}.mp4", frames=24 + 6 * seed, seed=seed) for seed in range(2)]
    made = answers(claver.LiveRecognizer(claver.Recognizer(folder), fps=None, streams=2), *clips)
    wanted = answers(claver.LiveRecognizer(recognizer, fps=None, streams=2), *clips)
    assert len(made) == 54
    for number in range(2):
        for (_, frames, scores), (_, own_frames, own) in zip(
            [one for one in made if one[0] == number], [one for one in wanted if one[0] == number], strict=True
        ):
            assert frames == own_frames
            np.testing.assert_allclose(scores, own, atol=1e-4)


@pytest.mark.slow
def test_frames_of_several_streams_at_once_and_a_new_beginning(exported_kmct: Any) -> None:
    recognizer, folder = exported_kmct
    made, own = stream_encoder(ExportedModel(folder)), stream_encoder(recognizer.model)
    for _ in range(2):
        for number in range(9):
            pixels = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
            wanted = own.push(recognizer.encoder.normalized(pixels))
            torch.testing.assert_close(made.push(pixels), wanted, atol=1e-4, rtol=1e-4)
            assert made.seen == number + 1
        assert made.nbytes == own.nbytes > 0
        made.reset()
        own.reset()
    assert made.nbytes == 0


@pytest.mark.slow
def test_another_window_is_refused(exported_kmct: Any) -> None:
    with pytest.raises(ClaverError, match="exported for windows of 4 frames, not 3"):
        claver.LiveRecognizer(claver.Recognizer(exported_kmct[1]), window=3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["class", "mean"])
def test_kinds_without_steps(kind: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    needs_onnx()
    from claver.export import export_model

    recognizer = recognizer_of(timed_model(kind), unknown=False)
    export_model(recognizer, tmp_path / "made")
    clip = write_video(tmp_path / "clip.mp4", frames=20)
    caplog.clear()
    made = answers(claver.LiveRecognizer(claver.Recognizer(tmp_path / "made", unknown=False), fps=None), clip)
    told = "encoding its whole window again, since kind class looks ahead"
    assert (told in caplog.text) == (kind == "class")
    wanted = answers(claver.LiveRecognizer(recognizer, fps=None), clip)
    for (_, frames, scores), (_, own_frames, own) in zip(made, wanted, strict=True):
        assert frames == own_frames
        np.testing.assert_allclose(scores, own, atol=1e-4)
