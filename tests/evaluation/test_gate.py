"""The gate at test time: its share by hand, what it does to frames, and what cannot be gated."""

import numpy as np
import pytest
import torch
from tests.tiny import tiny_model

from claver.errors import ClaverError
from claver.evaluation.gate import Gate, gated
from claver.models.objective import video_embedding


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def share_by_hand(clip, test, trained, nearest, tau):
    clip, test, trained = unit(clip), unit(test), unit(trained)
    close_tests = np.argsort(-(test @ clip))[:nearest]
    close_trained = np.argsort(-(trained @ clip))[:nearest]
    s = np.mean([max(test[i] @ trained[j] for j in close_trained) for i in close_tests])
    return np.exp(-(1 - s) / tau)


@pytest.mark.parametrize(("tests", "trained"), [(9, 12), (3, 12), (9, 2)])
def test_the_share_by_hand(tests, trained):
    rng = np.random.default_rng(0)
    clips, test, known = (3 * rng.standard_normal((n, 16)) for n in (6, tests, trained))
    gate = Gate(*(torch.tensor(x, dtype=torch.float32) for x in (test, known)), nearest=4, tau=0.5)
    found = gate(torch.tensor(clips, dtype=torch.float32))
    expected = [share_by_hand(clip, test, known, 4, 0.5) for clip in clips]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert len(set(np.round(expected, 6))) > 1


def test_texts_of_training_open_it_and_texts_at_right_angles_close_it():
    texts = torch.eye(8)
    clip = texts[:1] + 0.1
    assert Gate(texts, texts)(clip).item() == pytest.approx(1.0)
    assert Gate(texts[:4], texts[4:])(clip).item() == pytest.approx(np.exp(-1 / 0.05))


def test_a_gated_model_stands_between_the_mean_of_its_frames_and_itself():
    model = tiny_model("kmct")
    video = torch.randn(3, 4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    rng = torch.Generator().manual_seed(1)
    test, trained = (torch.randn(6, 32, generator=rng) for _ in range(2))
    whole = gated(model, Gate(test, test))
    part = gated(model, Gate(test, trained, tau=2.0))
    with torch.no_grad():
        tokens = model.image_tokens(video)
        still, moved = tokens[:, :, 0], model.temporal(tokens)
        shares = Gate(test, trained, tau=2.0)(video_embedding(model.readout(still)))
        expected = model.readout(still + shares[:, None, None] * (moved - still))
        torch.testing.assert_close(part.encode_video(video), expected)
        torch.testing.assert_close(whole.encode_video(video), model.encode_video(video), rtol=1e-4, atol=1e-5)
    assert 0.1 < shares.max() < 0.9
    assert (expected - model.readout(moved)).abs().max() > 1e-3
    assert part.text is model.text
    assert type(model.temporal).__name__ == "TemporalTower"


@pytest.mark.parametrize("kind", ["mean", "pipeline"])
def test_what_cannot_be_gated_is_said(kind):
    with pytest.raises(ClaverError, match=f"kind '{kind}' cannot be gated: take kmt, kmct, joint or class"):
        gated(tiny_model(kind), Gate(torch.eye(4), torch.eye(4)))
