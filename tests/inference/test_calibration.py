"""Thresholds by split-conformal prediction: what is promised holds in simulation, and for what was calibrated alone."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tiny import talking_model
from tests.videos import write_video

from claver.data.opening import open_clips
from claver.errors import ClaverError
from claver.evaluation.calibration import calibrate
from claver.evaluation.metrics import auroc, fpr_at_tpr
from claver.inference.calibration import Calibration, Conditions, conformal_threshold
from claver.inference.recognizer import Recognizer

HOLDS = Conditions("m", "a", "b", 8, "1x1", "p")


@given(st.integers(19, 120), st.floats(0.05, 0.5), st.integers(0, 2**32 - 1), st.sampled_from(["normal", "ties"]))
@settings(max_examples=25, deadline=None)
def test_at_most_a_share_alpha_is_rejected(count: int, alpha: float, seed: int, kind: str) -> None:
    """Over exchangeable draws of the calibration clips and the next one; ties make it rarer, never more frequent."""
    rng, trials = np.random.default_rng(seed), 2000
    drawn = rng.normal(size=(trials, count + 1)) + rng.normal(size=(trials, 1))  # exchangeable, not independent
    drawn = np.round(drawn) if kind == "ties" else drawn
    rejected = sum(row[-1] < conformal_threshold(row[:-1].tolist(), alpha) for row in drawn) / trials
    assert rejected <= alpha + 4 * (alpha * (1 - alpha) / trials) ** 0.5
    if kind == "normal":
        assert rejected >= alpha - 1 / (count + 1) - 4 * (alpha * (1 - alpha) / trials) ** 0.5


@given(st.lists(st.floats(-50, 50), min_size=19, max_size=60), st.floats(0.05, 0.9), st.floats(0.05, 0.9))
def test_a_larger_alpha_never_rejects_less(scores: list[float], first: float, second: float) -> None:
    small, large = sorted((first, second))
    assert conformal_threshold(scores, small) <= conformal_threshold(scores, large)


def test_thresholds_by_hand_and_what_cannot_be() -> None:
    assert conformal_threshold(list(map(float, range(19))), 0.05) == 0
    assert conformal_threshold(list(map(float, range(39))), 0.05) == 1
    for alpha in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(ClaverError, match="alpha is a share between 0 and 1"):
            conformal_threshold([1.0] * 50, alpha)
    with pytest.raises(ClaverError, match=r"alpha 0\.05 needs at least 19 clips of the actions, and there are 18"):
        conformal_threshold([1.0] * 18, 0.05)
    with pytest.raises(ClaverError, match="not finite"):
        conformal_threshold([float("nan")] * 50, 0.1)


def test_a_file_comes_back_as_it_was_and_no_other_is_taken(tmp_path: Path) -> None:
    made = Calibration(-1.25, 0.05, 40, HOLDS)
    made.save(tmp_path / "calibration.json")
    assert Calibration.load(tmp_path / "calibration.json") == made
    values = json.loads((tmp_path / "calibration.json").read_text())
    for wrong in ([], {}, {**values, "format": "else"}, {**values, "threshold": "1"}, {**values, "conditions": {}}):
        (tmp_path / "wrong.json").write_text(json.dumps(wrong))
        with pytest.raises(ClaverError, match=r"wrong\.json is no calibration of this version"):
            Calibration.load(tmp_path / "wrong.json")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("model", "x", "another model"),
        ("actions", "x", "other actions"),
        ("background", "x", "another background"),
        ("frames", 4, "another number of frames"),
        ("views", "4x3", "other views"),
        ("preprocess", "x", "pixels prepared in another way"),
    ],
)
def test_another_model_or_other_actions_are_refused(key: str, value: object, said: str) -> None:
    with pytest.raises(ClaverError, match=f"was made for {said}"):
        Calibration(0.0, 0.1, 20, HOLDS).require(replace(HOLDS, **{key: value}))  # type: ignore[arg-type]


def test_from_clips_to_answers(tmp_path: Path) -> None:
    """Nine clips of the actions, one of another class and one that cannot be read."""
    model, actions = talking_model(), ["waving", "bowing"]
    rows = ["path,label"]
    for seed in range(10):
        write_video(tmp_path / f"{seed}.mp4", seed=seed)
        rows.append(f"{seed}.mp4,{'flying' if seed == 9 else actions[seed % 2]}")
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    (tmp_path / "clips.csv").write_text("\n".join([*rows, "bad.mp4,waving"]) + "\n")
    recognizer = Recognizer(model, actions, cache=False)
    clips = open_clips(tmp_path / "clips.csv")
    found = calibrate(recognizer, clips, 0.2)
    assert (len(found.known), len(found.others), len(found.failures)) == (9, 1, 1)
    assert found.calibration.threshold == sorted(found.known.values())[1]
    found.calibration.save(tmp_path / "calibration.json")
    told = Recognizer(model, actions, calibration=tmp_path / "calibration.json", cache=False)
    below = [told(path).none_of_these for path in found.known]
    assert sum(below) == 1 == sum(score < found.calibration.threshold for score in found.known.values())
    assert found.rejected(found.known) == pytest.approx(1 / 9)
    with pytest.raises(ClaverError, match=r"calibration\.json was made for other actions"):
        Recognizer(model, [*actions, "running"], calibration=tmp_path / "calibration.json", cache=False)
    with pytest.raises(ClaverError, match="it needs unknown=True"):
        Recognizer(model, actions, unknown=False, calibration=found.calibration, cache=False)
    with pytest.raises(ClaverError, match=r"alpha 0\.05 needs at least 19 clips"):
        calibrate(recognizer, clips, 0.05)
    with pytest.raises(ClaverError, match="no clip is of one of the actions"):
        calibrate(Recognizer(model, ["running"], cache=False), clips, 0.2)


def test_how_well_two_kinds_are_told_apart() -> None:
    known, unknown = torch.tensor([1.0, 2, 3, 4]), torch.tensor([0.0, 2, 2.5])
    pairs = [(a > b) + 0.5 * (a == b) for a in known.tolist() for b in unknown.tolist()]
    assert auroc(known, unknown) == pytest.approx(np.mean(pairs))
    many = torch.arange(100.0)
    assert fpr_at_tpr(many, torch.tensor([4.0, 5.0, 6.0, 200.0])) == 0.75, "95 of the hundred reach 5"
