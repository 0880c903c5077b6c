"""Every clip once, whatever the number of sets and processes; figures as counted by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tiny import talking_model
from tests.videos import write_video

from claver.data import Clips, Manifest, Sample, open_clips, write_shards
from claver.errors import ClaverError
from claver.evaluation.protocols import Evaluation, TestSet, by_benchmark, evaluate, mean_and_std
from claver.inference.recognizer import Recognizer

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
    first, second = evaluate(recognizer, tests, on_record=lambda record: seen.append(record["path"]))
    assert sorted(seen) == sorted(videos[:4])
    pair = Recognizer(talking_model(), list(CLASSES[1:]))
    np.testing.assert_allclose(second.scores[0], pair(videos[1]).scores, rtol=1e-4)
    assert first.scores.shape == (3, 2)


def test_known_results_are_not_computed_again(videos: tuple[str, ...]) -> None:
    recognizer, seen = Recognizer(talking_model(), list(CLASSES)), []
    test = TestSet("all", CLASSES, videos[:2], (0, 0))
    scores = dict(zip(CLASSES, (3.0, 1.0, 2.0), strict=True))
    known = {videos[0]: {"path": videos[0], "scores": scores, "damaged": "a bit", "seconds": [0.5]}}
    (result,) = evaluate(recognizer, [test], known=known, on_record=lambda record: seen.append(record["path"]))
    assert seen == [videos[1]]
    assert result.scores[0].tolist() == [3.0, 1.0, 2.0]
    assert (result.damaged, result.seconds[videos[0]]) == ({videos[0]: "a bit"}, [0.5])


def test_per_class_and_deviation() -> None:
    scores = torch.tensor([[2.0, 1, 0], [0, 1, 2], [0, 2, 1], [float("-inf")] * 3])
    result = Evaluation(TestSet("x", CLASSES, ("a", "b", "c", "d"), (0, 0, 1, 1)), scores, {"d": "broken"})
    assert result.per_class() == {"waving": 0.5, "bowing": 0.5}  # of two clips of bowing one cannot be read
    assert result.top(1) == 0.5
    assert mean_and_std([1.0, 2.0, 3.0]) == (2.0, 1.0)
    assert mean_and_std([1.0]) == (1.0, None)
    nothing = Evaluation(TestSet("x", CLASSES, ("a",), (0,)), torch.full((1, 3), float("-inf")), {"a": "broken"})
    assert nothing.top(1) == 0.0


def test_known_scores_are_found_by_the_names_of_their_classes(videos: tuple[str, ...]) -> None:
    recognizer, seen = Recognizer(talking_model(), list(CLASSES)), []
    test = TestSet("all", CLASSES, videos[:2], (0, 0))
    scores = {videos[0]: {"running": 2.0, "waving": 3.0, "bowing": 1.0}, videos[1]: {"waving": 1.0}}
    known = {path: {"path": path, "scores": named} for path, named in scores.items()}
    (result,) = evaluate(recognizer, [test], known=known, on_record=seen.append)
    assert result.scores[0].tolist() == [3.0, 1.0, 2.0]
    [record] = seen  # the scores of one action alone are no result
    assert (record["path"], list(record["scores"])) == (videos[1], list(CLASSES))


def test_a_model_that_gives_nan_is_an_error(videos: tuple[str, ...]) -> None:
    model = talking_model()
    with torch.no_grad():
        next(model.temporal.parameters()).fill_(float("nan"))
    recognizer = Recognizer(model, list(CLASSES))
    with pytest.raises(ClaverError, match=r"0\.mp4: the model gives non-finite scores"):
        evaluate(recognizer, [TestSet("all", CLASSES, videos[:2], (0, 0))])


def test_of_splits_test_is_taken_then_val_and_never_train(
    videos: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    def clips(*splits: str) -> Clips:
        samples = tuple(Sample(videos[row], 0, split) for row, split in enumerate(splits))
        return Clips.of_files(Manifest(CLASSES, samples))

    of_three = TestSet.of("k", clips("train", "test", "val"))
    assert (of_three.paths, of_three.split) == (videos[1:2], "test")
    assert "k: 1 of 3 clips are taken, split 'test'; left out: 'train', 'val'" in caplog.text
    assert TestSet.of("k", clips("train", "val", "val")).paths == videos[1:3]
    assert TestSet.of("k", clips("", "")).paths == videos[:2]
    assert TestSet.of("k", clips("holdout")).paths == videos[:1]
    assert TestSet.of("k", clips("train", "test"), split="training").paths == videos[:1]
    with pytest.raises(
        ClaverError, match=r"k has training clips alone, .*claver data split .* or ask for the training"
    ):
        TestSet.of("k", clips("train", "train"))
    with pytest.raises(ClaverError, match="k has no clip of split test or val for testing but 'train', 'extra'"):
        TestSet.of("k", clips("train", "extra"))
    with pytest.raises(ClaverError, match="no clip of the manifest is of split 'val'"):
        TestSet.of("k", clips("train", "test"), split="val")


def test_all_classes_that_are_given_compete(videos: tuple[str, ...]) -> None:
    clips = Clips.of_files(Manifest(("running",), (Sample(videos[0], 0),)))
    test = TestSet.of("k", clips, classes=CLASSES)
    assert (test.classes, test.labels) == (CLASSES, (2,))
    with pytest.raises(ClaverError, match="class 'running' of k is none of the 2 classes"):
        TestSet.of("k", clips, classes=CLASSES[:2])


def test_sets_of_one_benchmark_are_told_from_those_of_another() -> None:
    def of(dataset: str, classes: tuple[str, ...] = CLASSES) -> TestSet:
        return TestSet("x", classes, (), (), dataset=dataset)

    tests = [of("ucf101"), of("hmdb51"), of("kinetics600-draw1"), of("ucf101"), of("kinetics600-draw2")]
    tests += [of("kinetics600"), of(""), of("", CLASSES[::-1]), of("", CLASSES[:2])]
    groups = [[tests.index(test) for test in group] for group in by_benchmark(tests)]
    assert [len(group) for group in groups] == [2, 1, 2, 1, 2, 1]


def test_what_cannot_be_evaluated_is_said(videos: tuple[str, ...]) -> None:
    recognizer = Recognizer(talking_model(), list(CLASSES[:2]))
    with pytest.raises(ClaverError, match="has class 'running', for which the recogniser has no text"):
        evaluate(recognizer, [TestSet("k", CLASSES, videos[:1], (0,))])
    released = Recognizer(talking_model(aggregate="released"), list(CLASSES))
    with pytest.raises(ClaverError, match="evaluate such sets one by one"):
        evaluate(released, [TestSet("k", CLASSES[:2], videos[:1], (0,))])


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
