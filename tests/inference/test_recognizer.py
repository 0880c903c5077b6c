"""From a file to its answer, one video and many."""

import io
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tiny import talking_model
from tests.videos import write_ffv1, write_video

import claver
from claver.errors import ClaverError, VideoError
from claver.inference import encoder
from claver.inference.recognizer import Failure, Prediction, Recognizer, Views
from claver.models import Claver, class_scores, similarity, video_embedding
from claver.models.compiling import CompiledTowers
from claver.video import load_views, read_video

ACTIONS = ["waving", "bowing", "running", "sitting down"]


@pytest.fixture(scope="module")
def model() -> Claver:
    return talking_model()


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("videos")
    return [write_video(folder / f"{seed}.mp4", frames=9 + seed, seed=seed) for seed in range(5)]


def test_an_answer_is_the_model_s_score_of_the_file_s_frames(model: Claver, videos: list[Path]) -> None:
    recognizer = Recognizer(model, {action: [f"a person {action}"] for action in ACTIONS})
    prediction = recognizer(videos[0])
    views = load_views(videos[0], frames=4, preprocess=model.config.preprocess)
    with torch.no_grad():
        texts = model.encode_text(model.tokenizer([f"a person {action}" for action in ACTIONS]))[None]
        expected = class_scores(similarity(video_embedding(model.encode_video(views)), texts, model.scale))[0]
    np.testing.assert_allclose(prediction.scores, expected, rtol=1e-5)
    np.testing.assert_allclose(prediction.probabilities, expected.softmax(0), rtol=1e-5)
    assert prediction.top(2)[0].action == ACTIONS[int(expected.argmax())] == prediction.action
    assert prediction.frames.shape == (4, 32, 32, 3)


def test_every_kind_of_source_gives_the_same_answer(model: Claver, videos: list[Path]) -> None:
    recognizer = Recognizer(model, ACTIONS)
    expected = recognizer(videos[1]).scores
    data = videos[1].read_bytes()
    with videos[1].open("rb") as stream:
        sources = [str(videos[1]), data, io.BytesIO(data), stream, read_video(videos[1])]
        for source in sources:
            np.testing.assert_array_equal(recognizer(source).scores, expected)


def test_an_answer_says_when_its_frames_are_shown(model: Claver, videos: list[Path]) -> None:
    """Ten frames a second and 13 of them: the middles of four segments are frames 1, 4, 8 and 11."""
    recognizer = Recognizer(model, ACTIONS)
    prediction = recognizer(videos[4])
    assert prediction.seconds is not None
    np.testing.assert_allclose(prediction.seconds, [[0.1, 0.4, 0.8, 1.1]], atol=1e-9)
    assert prediction.damaged is None
    for streamed in recognizer.stream([videos[4]], workers=1):
        assert isinstance(streamed, Prediction)
        np.testing.assert_array_equal(streamed.seconds, prediction.seconds)
    several = Recognizer(model, ACTIONS, views="2x3")(videos[4]).seconds
    assert several is not None
    assert several.shape == (6, 4)
    assert recognizer(read_video(videos[4])).seconds is None


def test_views_are_averaged(model: Claver, videos: list[Path]) -> None:
    recognizer = Recognizer(model, ACTIONS, views="2x3")
    views = load_views(videos[2], frames=4, temporal_views=2, crops=3, preprocess=model.config.preprocess)
    single = [recognizer.bank.scores(model.encode_video(view[None]), model.scale) for view in views]
    np.testing.assert_allclose(recognizer(videos[2]).scores, torch.stack(single).mean(0).detach(), rtol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_many_files_answer_as_each_alone(model: Claver, videos: list[Path], batch_size: int) -> None:
    recognizer = Recognizer(model, ACTIONS, views="1x3")
    bad = videos[0].with_name("bad.mp4")
    bad.write_bytes(b"nothing")
    files = [videos[0], bad, *videos[1:], videos[0].with_name("missing.mp4")]
    results = list(recognizer.stream(files, batch_size=batch_size))
    assert [result.source for result in results] == [str(file) for file in files]
    assert [isinstance(result, Failure) for result in results] == [False, True, False, False, False, False, True]
    for file, result in zip(files, results, strict=True):
        if isinstance(result, Prediction):
            np.testing.assert_allclose(result.scores, recognizer(file).scores, rtol=1e-4, atol=1e-5)
        else:
            assert str(file) in result.error


def test_worker_processes_change_nothing(model: Claver, videos: list[Path]) -> None:
    recognizer = Recognizer(model, ACTIONS)
    here = list(recognizer.stream(videos))
    there = list(recognizer.stream(videos, workers=2))
    for mine, theirs in zip(here, there, strict=True):
        assert isinstance(mine, Prediction)
        assert isinstance(theirs, Prediction)
        np.testing.assert_allclose(mine.scores, theirs.scores, rtol=1e-5)


def test_the_released_arithmetic_gives_a_distribution(videos: list[Path]) -> None:
    recognizer = Recognizer(talking_model(aggregate="released"), ACTIONS, views="2x1")
    prediction = recognizer(videos[0])
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(prediction.scores.sum(), 2, rtol=1e-5)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Half a file that is sound as far as it goes, and files with wrong checksums in all frames and in 4 and 5 of 8."""
    folder = tmp_path_factory.mktemp("damaged")
    whole = write_ffv1(folder / "whole.avi", frames=20)
    cut = folder / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return [cut, write_ffv1(folder / "torn.mkv", range(8)), write_ffv1(folder / "partly.mkv", range(4, 6))]


def test_an_answer_from_damaged_frames_is_marked_or_refused(model: Claver, damaged: list[Path]) -> None:
    recognizer = Recognizer(model, ACTIONS)
    cut, torn, partly = recognizer.stream(damaged)
    assert isinstance(cut, Prediction)
    assert cut.damaged is not None
    assert cut.damaged.present is not None
    assert 0.2 < cut.damaged.present < 0.8
    assert cut.to_dict()["damaged"] == cut.damaged.to_dict()
    assert "damaged: truncated at" in str(cut)
    assert isinstance(torn, Failure), "nothing but damaged frames"
    assert "100 % of the frames used damaged" in torn.error
    assert "error" in torn.to_dict()
    assert isinstance(partly, Prediction)
    assert partly.damaged is not None
    assert partly.damaged.share == 0.25  # of frames 1, 3, 5 and 7
    assert partly.damaged.present is None


def test_damaged_files_can_be_skipped_or_failed(model: Claver, videos: list[Path], damaged: list[Path]) -> None:
    files = [videos[0], *damaged]
    recognizer = Recognizer(model, ACTIONS, damaged="skip")
    sound, *rest = recognizer.stream(files, workers=1)
    assert isinstance(sound, Prediction)
    assert sound.damaged is None
    for result in rest:
        assert isinstance(result, Failure)
        assert result.skipped
        assert result.damaged is not None
        assert set(result.to_dict()) == {"path", "skipped", "damaged"}
    for result in list(recognizer.stream(files, damaged="fail"))[1:]:
        assert isinstance(result, Failure)
        assert not result.skipped
        assert result.error.startswith(f"{result.source}: it is damaged (")
    with pytest.raises(VideoError, match="is damaged"):
        recognizer(damaged[0])
    with pytest.raises(ClaverError, match="damaged is one of answer, skip, fail"):
        Recognizer(model, ACTIONS, damaged="never")  # type: ignore[arg-type]


def test_from_a_saved_folder_and_a_picture(model: Claver, videos: list[Path], tmp_path: Path) -> None:
    model.save_pretrained(tmp_path / "model")
    recognizer = claver.Recognizer(tmp_path / "model", ACTIONS)
    prediction = recognizer(videos[3])
    np.testing.assert_allclose(prediction.scores, Recognizer(model, ACTIONS)(videos[3]).scores, rtol=1e-6)
    pytest.importorskip("matplotlib")
    prediction.plot(3, tmp_path / "answer.png")
    assert (tmp_path / "answer.png").read_bytes()[:4] == b"\x89PNG"
    answer = prediction.to_dict(2)
    assert answer["path"] == str(videos[3])
    assert [set(entry) for entry in answer["top"]] == [{"action", "probability", "score"}] * 2
    assert prediction.action in str(prediction)


def test_bad_input(model: Claver, videos: list[Path]) -> None:
    with pytest.raises(ClaverError, match="views must be clips x crops"):
        Recognizer(model, ACTIONS, views="4x2")
    with pytest.raises(ClaverError, match="views must be clips x crops"):
        Recognizer(model, ACTIONS, views="")
    for frames in (0, -1):
        with pytest.raises(ClaverError, match=f"frames must be at least 1, .* not {frames}$"):
            Recognizer(model, ACTIONS, frames=frames)
    assert str(Views.parse("10×3")) == "10x3"
    recognizer = Recognizer(model, ACTIONS)
    with pytest.raises(VideoError, match="there is no such file"):
        recognizer("missing.mp4")
    with pytest.raises(ClaverError, match="damaged is one of answer, skip, fail, not ''"):
        next(recognizer.stream(videos[:1], damaged=""))  # type: ignore[arg-type]
    with pytest.raises(ClaverError, match="at least 1"):
        recognizer(videos[0]).top(0)
    with pytest.raises(VideoError, match=r"uint8 \[T, H, W, 3\]"):
        recognizer(np.zeros((2, 3), dtype=np.float32))


@pytest.mark.parametrize("aggregate", ["paper", "released"])
def test_a_score_that_is_not_finite_is_no_answer(videos: list[Path], aggregate: str) -> None:
    broken = talking_model(aggregate=aggregate)
    recognizer = Recognizer(broken, ACTIONS)
    with torch.no_grad():
        broken.image.position[3, 5] = float("nan")
    with pytest.raises(VideoError, match=r"0\.mp4: the model gives non-finite scores"):
        recognizer(videos[0].with_name("0.mp4"))
    results = list(recognizer.stream(videos[:2]))
    assert [type(result) for result in results] == [Failure, Failure]
    assert "non-finite scores" in results[1].error  # type: ignore[union-attr]


def test_texts_that_are_not_finite_are_no_texts() -> None:
    broken = talking_model()
    with torch.no_grad():
        broken.text.position[1, 5] = float("inf")
    with pytest.raises(ClaverError, match="text tower gives non-finite vectors"):
        Recognizer(broken, ACTIONS)


def eagerly(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Have towers compiled by the compiler that changes nothing; what they are given is noted."""
    monkeypatch.setattr(encoder, "CompiledTowers", partial(CompiledTowers, backend="eager"))
    given: list[tuple[int, ...]] = []
    run = CompiledTowers._run
    monkeypatch.setattr(
        CompiledTowers, "_run", lambda self, video: (given.append(tuple(video.shape)), run(self, video))[1]
    )
    return given


@pytest.mark.parametrize(("views", "batch_size", "sizes"), [("1x1", 2, {2}), ("2x3", 4, {3}), ("1x1", 8, {5})])
def test_compiled_towers_answer_the_same_and_one_size_is_enough(
    model: Claver, videos: list[Path], monkeypatch: pytest.MonkeyPatch, views: str, batch_size: int, sizes: set[int]
) -> None:
    given = eagerly(monkeypatch)
    plain = Recognizer(model, ACTIONS, views=views, unknown=False)
    compiled = Recognizer(model, ACTIONS, views=views, unknown=False, compile=True)
    compiled.encoder.warm_up(len(videos), batch_size)
    warmed = set(given)
    for ours, usual in zip(*(one.stream(videos, batch_size=batch_size) for one in (compiled, plain)), strict=True):
        assert isinstance(ours, Prediction)
        assert isinstance(usual, Prediction)
        np.testing.assert_allclose(ours.scores, usual.scores, rtol=1e-4, atol=1e-5)
    assert set(given) == warmed
    assert {shape[0] for shape in given} == sizes
    np.testing.assert_allclose(compiled(videos[0]).scores, plain(videos[0]).scores, rtol=1e-4, atol=1e-5)
    assert len({shape[0] for shape in given} - sizes) <= 1, "one video alone is not filled up to a batch"
    plain.encoder.warm_up(3)
