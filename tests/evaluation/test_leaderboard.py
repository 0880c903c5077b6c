"""A model scored by the package `mteb`, by a small task of our own, without any download."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.tiny import talking_model
from tests.videos import write_video
from torch.nn import functional as F

pytest.importorskip("mteb", reason="mteb (extra leaderboard) is not installed")

import datasets
import mteb
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.abstasks.zeroshot_classification import AbsTaskZeroShotClassification

from claver.errors import ClaverError, VideoError
from claver.evaluation.leaderboard import MtebModel
from claver.inference.encoder import VideoEncoder
from claver.text.encoding import encode_texts

LABELS = ["a video of falling", "a video of rising", "a video of turning"]


class Falling(AbsTaskZeroShotClassification):
    """Which of three texts a video shows."""

    metadata = TaskMetadata(
        name="FallingVideos",
        description="Videos of our own.",
        reference=None,
        dataset={"path": "nowhere", "revision": "1"},
        type="VideoZeroshotClassification",
        category="v2t",
        modalities=["video", "text"],
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="accuracy",
    )
    input_column_name = "video"
    files: tuple[Path, ...] = ()
    labels: tuple[int, ...] = ()

    def load_data(self, **_: Any) -> None:
        rows = datasets.Dataset.from_dict({"video": [str(path) for path in self.files], "label": list(self.labels)})
        self.dataset = datasets.DatasetDict(test=rows.cast_column("video", datasets.Video()))
        self.data_loaded = True

    def get_candidate_labels(self) -> list[str]:
        return LABELS


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folder = tmp_path_factory.mktemp("videos")
    paths = tuple(folder / f"{seed}.mp4" for seed in range(7))
    for seed, path in enumerate(paths):
        write_video(path, frames=12 + seed, seed=seed)
    return paths


@pytest.fixture(scope="module")
def scores(videos: tuple[Path, ...]) -> torch.Tensor:
    """Cosines [videos, labels], by the model's own way (Eq. 10)."""
    model = talking_model()
    encoder = VideoEncoder(model)
    clips = F.normalize(torch.stack([encoder(path).frames.mean(1)[0] for path in videos]), dim=-1)
    return clips @ F.normalize(encode_texts(model, LABELS, cache=False), dim=-1).T


@pytest.mark.slow
def test_a_task_of_the_package_gives_the_accuracy_that_the_model_has(
    videos: tuple[Path, ...], scores: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = scores.argmax(-1).tolist()
    labels = tuple((label + wrong) % 3 for label, wrong in zip(best, (1, 0, 0, 2, 0, 0, 1), strict=True))
    task = Falling()
    task.files, task.labels = videos, labels
    model = MtebModel(talking_model(), "us/tiny", revision="1", training_datasets={"FallingVideos"})
    (result,) = mteb.evaluate(model, [task], cache=None, show_progress_bar=False).task_results
    assert result.scores["test"][0]["accuracy"] == pytest.approx(4 / 7)
    assert model.mteb_model_meta.name == "us/tiny"
    assert model.mteb_model_meta.embed_dim == 32


def test_vectors_are_those_of_the_model_from_files_bytes_and_frames(
    videos: tuple[Path, ...], scores: torch.Tensor
) -> None:
    model = MtebModel(talking_model(), "us/tiny", batch_size=3)
    texts = model.encode(_loader({"text": LABELS}))
    files = datasets.Dataset.from_dict({"video": [str(path) for path in videos]})
    held = datasets.Dataset.from_dict({"video": [{"bytes": path.read_bytes(), "path": None} for path in videos]})
    for rows in (files, held):
        vectors = model.encode(_of(rows.cast_column("video", datasets.Video())))
        torch.testing.assert_close(model.similarity(vectors, texts), scores)
        torch.testing.assert_close(model.similarity_pairwise(vectors[:3], texts), scores[:3].diagonal())
    frames = torch.randint(0, 256, (2, 4, 3, 40, 60), dtype=torch.uint8)
    given = model.encode(_loader({"video": frames.tolist()}))
    expected = [model.encoder(clip.permute(0, 2, 3, 1).numpy()).frames.mean(1)[0] for clip in frames]
    torch.testing.assert_close(given, F.normalize(torch.stack(expected), dim=-1))
    both = _loader({"video": frames.tolist(), "text": LABELS[:2]})
    torch.testing.assert_close(model.encode(both), F.normalize(given + texts[:2], dim=-1))


def test_what_cannot_be_scored_is_said(videos: tuple[Path, ...], tmp_path: Path) -> None:
    model = MtebModel(talking_model(), "us/tiny")
    (tmp_path / "no.mp4").write_text("no video")
    rows = datasets.Dataset.from_dict({"video": [str(videos[0]), str(tmp_path / "no.mp4")]})
    with pytest.raises(VideoError, match=r"no\.mp4"):
        model.encode(_of(rows.cast_column("video", datasets.Video())))
    held = datasets.Dataset.from_dict({"video": [{"bytes": b"no video", "path": None}]})
    with pytest.raises(VideoError, match="FallingVideos test, video 0"):
        model.encode(_of(held.cast_column("video", datasets.Video())), task_metadata=Falling.metadata, hf_split="test")
    with pytest.raises(VideoError, match=r"\[T, 3, H, W\], .* not \[2, 2\]"):
        model.encode(_loader({"video": [[[1, 2], [3, 4]]]}))
    with pytest.raises(VideoError, match="uint8"):
        model.encode(_loader({"video": torch.rand(1, 4, 3, 8, 8).tolist()}))
    with pytest.raises(ClaverError, match="a text must be a string, not None"):
        model.encode(_loader({"text": ["falls", None]}))
    with pytest.raises(ClaverError, match="videos and texts, and the data has audio"):
        model.encode(_loader({"audio": [1]}))
    with pytest.raises(ClaverError, match="name"):
        MtebModel(talking_model(), "no organisation")
    silent = talking_model()
    silent.tokenizer = None
    with pytest.raises(ClaverError, match="no tokenizer"):
        MtebModel(silent, "us/tiny")


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mteb.models.model_meta", None)
    with pytest.raises(ClaverError, match=r"pip install 'claver\[leaderboard\]'"):
        MtebModel(talking_model(), "us/tiny")


def _loader(columns: dict[str, Any]) -> Any:
    return _of(datasets.Dataset.from_dict(columns))


def _of(rows: Any) -> Any:
    return torch.utils.data.DataLoader(rows)
