"""mAP of temporal localization, with values worked out by hand, and against a second, slower implementation."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claver.errors import ClaverError
from claver.evaluation.annotations import read_annotations
from claver.evaluation.localization import ACTIVITYNET, THUMOS, Detection, Instance, localize


def runs(start: float, stop: float, score: float, video: str = "v", label: str = "run") -> Detection:
    return Detection(video, label, start, stop, score)


def test_the_thresholds() -> None:
    assert THUMOS == (0.3, 0.4, 0.5, 0.6, 0.7)
    assert ACTIVITYNET == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def test_by_hand() -> None:
    """Two instances, 0-10 and 20-30. Ranked: 0-10 (1), 0-8 (0.8 of the first, taken), 22-30 (0.8), 50-60 (0)."""
    truth = [Instance("v", "run", 0, 10), Instance("v", "run", 20, 30)]
    found = [runs(0, 10, 0.9), runs(0, 8, 0.8), runs(22, 30, 0.7), runs(50, 60, 0.6)]
    result = localize(found, truth, [0.5, 0.8, 0.81])
    # True, false, true, false: precision 1 at recall 1/2, 2/3 at recall 1. With 0.81: true, then all false.
    np.testing.assert_allclose(result.precisions, [[0.5 + 0.5 * 2 / 3, 0.5 + 0.5 * 2 / 3, 0.5]])


def test_several_overlapping_detections_of_one_instance() -> None:
    """Only the best takes it; a false one before it costs precision, those after it cost nothing here."""
    truth = [Instance("v", "run", 0, 10)]
    found = [runs(5, 15, 0.9), runs(0, 9, 0.8), runs(0, 10, 0.7), runs(1, 10, 0.6)]
    # tIoU 1/3, 0.9, 1, 0.9.
    np.testing.assert_allclose(localize(found, truth, [0.3]).precisions, [[1.0]])
    np.testing.assert_allclose(localize(found, truth, [0.5]).precisions, [[1 / 2]])
    np.testing.assert_allclose(localize(found, truth, [0.95]).precisions, [[1 / 3]])


def test_a_detection_takes_the_next_best_instance_if_its_best_is_taken() -> None:
    """Both overlap the first most; the second then takes the second instance, which it overlaps by 6/14."""
    truth = [Instance("v", "run", 0, 10), Instance("v", "run", 4, 14)]
    found = [runs(0, 10, 0.9), runs(0, 10, 0.8)]
    np.testing.assert_allclose(localize(found, truth, [0.4]).precisions, [[1.0]])
    np.testing.assert_allclose(localize(found, truth, [0.5]).precisions, [[0.5]])


def test_interpolated_precision() -> None:
    """False, true, true over two instances: precisions 0, 1/2, 2/3; both recalls get the best that follows, 2/3."""
    truth = [Instance("v", "run", 0, 1), Instance("w", "run", 0, 1)]
    found = [runs(5, 6, 0.9), runs(0, 1, 0.8), runs(0, 1, 0.7, video="w")]
    np.testing.assert_allclose(localize(found, truth, [0.5]).precisions, [[2 / 3]])


def test_the_mean_is_over_annotated_classes() -> None:
    truth = [Instance("v", "run", 0, 1), Instance("v", "sit", 3, 4)]
    found = [runs(0, 1, 0.5), runs(0, 1, 0.9, label="fly"), runs(0, 1, 0.9, video="elsewhere")]
    result = localize(found, truth)
    assert result.classes == ("run", "sit")
    assert result.mean() == pytest.approx((0.5 + 0) / 2)  # the detection in a video without annotations is false
    assert result.mean(THUMOS) == pytest.approx(0.25)
    assert result.to_dict()["map_0.5_0.95"] == pytest.approx(0.25)
    assert localize([], truth).mean() == 0
    with pytest.raises(ClaverError, match="was not measured"):
        result.mean([0.42])


def slow_precision(found: list[Detection], truth: list[Instance], threshold: float) -> float:
    """By pairs, and precision at each recall as the best over all longer lists."""
    free, hits = set(range(len(truth))), []
    for detection in sorted(found, key=lambda one: -one.score):
        best = None
        for number in sorted(free):
            instance = truth[number]
            shared = max(0.0, min(detection.stop, instance.stop) - max(detection.start, instance.start))
            union = detection.stop - detection.start + instance.stop - instance.start - shared
            share = shared / union
            if instance.video == detection.video and share >= threshold and (best is None or share > best[0]):
                best = (share, number)
        hits.append(best is not None)
        if best is not None:
            free.remove(best[1])
    precisions = [sum(hits[: n + 1]) / (n + 1) for n in range(len(hits))]
    return sum(max(precisions[n:]) for n, hit in enumerate(hits) if hit) / len(truth)


spans = st.tuples(st.sampled_from("vw"), st.integers(0, 20), st.integers(1, 10))


@given(
    st.lists(spans, max_size=12), st.lists(spans, min_size=1, max_size=6), st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.95])
)
def test_as_a_second_implementation(found: list, truth: list, threshold: float) -> None:
    detections = [runs(s, s + n, 1 / (rank + 1), video=v) for rank, (v, s, n) in enumerate(found)]
    instances = [Instance(v, "run", s, s + n) for v, s, n in truth]
    value = localize(detections, instances, [threshold]).mean()
    assert value == pytest.approx(slow_precision(detections, instances, threshold))


def test_what_cannot_be_measured() -> None:
    with pytest.raises(ClaverError, match="no annotated action"):
        localize([], [])
    with pytest.raises(ClaverError, match="ends before it starts"):
        localize([runs(3, 2, 1)], [Instance("v", "run", 0, 1)])
    with pytest.raises(ClaverError, match="tIoU"):
        localize([], [Instance("v", "run", 0, 1)], [0])


def test_activitynet_json(tmp_path: Path) -> None:
    path = tmp_path / "activity_net.json"
    entries = {
        "a": {"subset": "training", "duration": 9, "annotations": [{"segment": [0, 4.5], "label": "Ironing"}]},
        "b": {
            "subset": "validation",
            "annotations": [{"segment": ["1.5", "3"], "label": "Rafting"}, {"segment": [5, 5], "label": "Rafting"}],
        },
        "c": {"subset": "validation", "annotations": []},
    }
    path.write_text(json.dumps({"version": "1.3", "taxonomy": [], "database": entries}))
    found = read_annotations(path, "Validation")
    assert (found.videos, found.left_out) == (("b", "c"), 1)
    assert found.instances == (Instance("b", "Rafting", 1.5, 3.0),)
    assert read_annotations(path).classes == ("Ironing", "Rafting")
    with pytest.raises(ClaverError, match=r"no subset 'valdation'.*validation"):
        read_annotations(path, "valdation")


def test_thumos_text_files(tmp_path: Path) -> None:
    (tmp_path / "Diving_val.txt").write_text("video_validation_1  0.5 2.5\nvideo_validation_2  3 4.0\n")
    (tmp_path / "Diving_test.txt").write_text("video_test_1 1 2\n")
    (tmp_path / "Ambiguous_val.txt").write_text("video_validation_3 7 8\n")
    (tmp_path / "readme.txt").write_text("about")
    found = read_annotations(tmp_path, "val")
    assert found.classes == ("Diving",)
    assert found.instances[0] == Instance("video_validation_1", "Diving", 0.5, 2.5)
    assert len(read_annotations(tmp_path).instances) == 3


@pytest.mark.parametrize(
    "content",
    ["[]", '{"database": []}', '{"database": {"a": 1}}', '{"database": {"a": {"annotations": [{"segment": [0]}]}}}'],
)
def test_other_json(content: str, tmp_path: Path) -> None:
    path = tmp_path / "annotations.json"
    path.write_text(content)
    with pytest.raises(ClaverError, match=r"layout|segment of two times"):
        read_annotations(path)
