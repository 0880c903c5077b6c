"""Every clip once, whatever the number of sets and processes; figures as counted by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tiny import talking_model
from tests.videos import write_video

from claver.data import Manifest, Sample, open_clips, write_shards
from claver.errors import ClaverError
from claver.evaluation.protocols import Evaluation, TestSet, evaluate, mean_and_deviation
from claver.recognizer import Recognizer

CLASSES = ("waving", "bowing", "running")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    folder = tmp_path_factory.mktemp("videos")
    made = [str(write_video(folder / f"{seed}.mp4", seed=seed)) for seed in range(4)]
    (folder / "bad.mp4").write_bytes(b"nothing")
    return (*made, str(folder / "bad.mp4"))


def test_scores_are_the_recogniser_s_and_bad_clips_count_as_wrong(videos: tuple[str, ...]) -> None:
    recognizer = Recognizer(talking_model(), list(CLASSES))
    best = [int(recognizer(path).scores.argmax()) for path in videos[:4]]
    labels = (best[0], best[1], (best[2] + 1) % 3, best[3], 0)
    (result,) = evaluate(recognizer, [TestSet("all", CLASSES, videos, labels)], batch_size=2)
    np.testing.assert_allclose(result.scores[1], recognizer(videos[1]).scores, rtol=1e-4)
    assert result.top(1) == pytest.approx(3 / 5)
    assert result.top(3) == pytest.approx(4 / 5)
    assert list(result.failures) == [videos[4]]
    assert result.confusions() == [(CLASSES[labels[2]], CLASSES[best[2]], 1)]


def test_a_draw_lets_only_its_classes_compete_and_reads_no_clip_twice(videos: tuple[str, ...]) -> None:
    recognizer, seen = Recognizer(talking_model(), list(CLASSES)), []
    tests = [TestSet("1", CLASSES[:2], videos[:3], (0, 1, 0)), TestSet("2", CLASSES[1:], videos[1:4], (0, 1, 1))]
    first, second = evaluate(recognizer, tests, on_result=lambda path, _: seen.append(path))
    assert sorted(seen) == sorted(videos[:4])
    pair = Recognizer(talking_model(), list(CLASSES[1:]))
    np.testing.assert_allclose(second.scores[0], pair(videos[1]).scores, rtol=1e-4)
    assert first.scores.shape == (3, 2)


def test_known_results_are_not_computed_again(videos: tuple[str, ...]) -> None:
    recognizer, seen = Recognizer(talking_model(), list(CLASSES)), []
    test = TestSet("all", CLASSES, videos[:2], (0, 0))
    known = {videos[0]: [3.0, 1.0, 2.0]}
    (result,) = evaluate(recognizer, [test], known=known, on_result=lambda path, _: seen.append(path))
    assert seen == [videos[1]]
    assert result.scores[0].tolist() == [3.0, 1.0, 2.0]


def test_per_class_and_deviation() -> None:
    scores = torch.tensor([[2.0, 1, 0], [0, 1, 2], [0, 2, 1], [float("-inf")] * 3])
    result = Evaluation(TestSet("x", CLASSES, ("a", "b", "c", "d"), (0, 0, 1, 1)), scores, {"d": "broken"})
    assert result.per_class() == {"waving": 0.5, "bowing": 1.0}
    assert result.top(1) == 0.5
    assert mean_and_deviation([1.0, 2.0, 3.0]) == (2.0, 1.0)
    assert mean_and_deviation([1.0]) == (1.0, None)
    nothing = Evaluation(TestSet("x", CLASSES, ("a",), (0,)), torch.full((1, 3), float("-inf")), {"a": "broken"})
    assert nothing.top(1) == 0.0


def test_what_cannot_be_evaluated_is_said(videos: tuple[str, ...]) -> None:
    recognizer = Recognizer(talking_model(), list(CLASSES[:2]))
    with pytest.raises(ClaverError, match="has class 'running', for which the recogniser has no text"):
        evaluate(recognizer, [TestSet("k", CLASSES, videos[:1], (0,))])
    released = Recognizer(talking_model(aggregate="released"), list(CLASSES))
    with pytest.raises(ClaverError, match="evaluate such sets one by one"):
        evaluate(released, [TestSet("k", CLASSES[:2], videos[:1], (0,))])
    assert Path(videos[0]).exists()


@pytest.mark.parametrize("workers", [0, 1])
def test_members_of_shards_are_scored_as_the_files_they_were_made_of(
    videos: tuple[str, ...], tmp_path: Path, workers: int
) -> None:
    samples = tuple(Sample(Path(path).name, number % 3) for number, path in enumerate(videos))
    clips = open_clips(Manifest(CLASSES, samples, Path(videos[0]).parent))
    write_shards(clips.manifest, tmp_path / "shards")
    recognizer = Recognizer(talking_model(), list(CLASSES))
    tests = [TestSet.of("shards", open_clips(tmp_path / "shards")), TestSet.of("files", clips)]
    packed, files = evaluate(recognizer, tests, workers=workers)
    assert torch.equal(packed.scores, files.scores)
    [(path, cause)] = packed.failures.items()
    assert path == str(tmp_path / "shards" / "bad.mp4")
    assert cause.startswith(f"{path}: FFmpeg cannot open it")
