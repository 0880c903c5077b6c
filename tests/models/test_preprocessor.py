"""What a checkpoint's image processor says is done to the pixels, as `transformers` itself does it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import claver
from claver.errors import CheckpointError
from claver.models.checkpoint.hugging_face import preprocess_from_hugging_face
from claver.video.transforms import CLIP_MEAN, CLIP_STD, Preprocess
from tests.models.random_clip import random_clip, write_json

transformers = pytest.importorskip("transformers", reason="transformers (extra hf) is not installed")

STANDARD = {
    "image_processor_type": "CLIPImageProcessor",
    "crop_size": {"height": 32, "width": 32},
    "size": {"shortest_edge": 32},
    "image_mean": list(CLIP_MEAN),
    "image_std": list(CLIP_STD),
    "do_center_crop": True,
    "resample": 3,
}
OLD = {"feature_extractor_type": "CLIPFeatureExtractor", "crop_size": 32, "size": 32, "resample": 3}


def picture(height: int = 60, width: int = 90) -> np.ndarray[Any, Any]:
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / 7 + channel) * np.cos(columns / (5 + channel)) for channel in range(3)]
    return (127 + 120 * np.stack(waves, -1)).astype(np.uint8)


@pytest.mark.parametrize("values", [STANDARD, OLD, {}], ids=["standard", "old", "none"])
def test_clip_s_own_becomes_the_paper_s(values: dict[str, Any]) -> None:
    assert preprocess_from_hugging_face(values, 32) == Preprocess.paper(32)


@pytest.mark.parametrize(
    "changes",
    [
        {"size": {"shortest_edge": 40}},
        {"size": 40, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.6, 0.7]},
        {"size": {"shortest_edge": 40}, "resample": 2},
        {"size": {"height": 32, "width": 32}, "do_center_crop": False},
        {"size": {"height": 40, "width": 40}},
        {"size": {"shortest_edge": 40}, "do_rescale": False, "image_mean": [120, 110, 100], "image_std": [60, 61, 62]},
        {"size": {"shortest_edge": 40}, "rescale_factor": 1 / 127.5, "image_mean": [1, 1, 1], "image_std": [1, 1, 1]},
        {"size": {"shortest_edge": 40}, "do_normalize": False},
        {"size": {"shortest_edge": 40}, "image_mean": 0.5, "image_std": 0.25},
    ],
)
def test_what_differs_is_done_as_transformers_does_it(changes: dict[str, Any]) -> None:
    values = STANDARD | changes
    kind = getattr(transformers, "CLIPImageProcessorPil", None) or transformers.CLIPImageProcessor
    expected = kind(**values)(images=[picture()], return_tensors="pt")["pixel_values"][0]
    ours = preprocess_from_hugging_face(values, 32)(picture()[None])[0, 0]
    grey_level = expected.abs().max() / 100  # two implementations of one resampling, rounded to bytes
    assert (ours - expected).abs().max() <= grey_level


@pytest.mark.parametrize("place", ["preprocessor_config.json", "processor_config.json"])
def test_a_folder_s_processor_is_used(tmp_path: Path, place: str) -> None:
    random_clip(tmp_path)
    values: dict[str, Any] = STANDARD | {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 2}
    if place == "processor_config.json":
        values = {"processor_class": "CLIPProcessor", "image_processor": values}
    write_json(tmp_path / place, values)
    expected = Preprocess(32, 37, (0.5,) * 3, (0.5,) * 3, "bilinear")
    assert claver.load(tmp_path, temporal="mean").config.preprocess == expected
    assert claver.load(tmp_path / "model.safetensors", temporal="mean").config.preprocess == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resample": 1}, "resample 1 is not supported"),
        ({"do_resize": False}, "do_resize is false"),
        ({"do_center_crop": False}, "do_center_crop is false"),
        ({"crop_size": {"height": 24, "width": 24}}, "pictures of 24 pixels, but the model takes 32"),
        ({"crop_size": {"height": 24, "width": 32}}, r"crop_size \[24, 32\] is not square"),
        ({"size": {"longest_edge": 40}}, "longest_edge"),
        ({"size": {"shortest_edge": 20}}, "size must be in 1 ... short_side"),
        ({"image_std": [0.5, 0, 0.5]}, "std must be three finite numbers, each above 0"),
        ({"image_std": [0.5, float("nan"), 0.5]}, "NaN is not finite"),
        ({"image_mean": [0.5, "x", 0.5]}, "mean must be three finite numbers"),
        ({"image_mean": [0.5]}, "mean must be three finite numbers"),
        ({"rescale_factor": 0}, "rescale_factor must be a number above 0"),
        ({"image_processor_type": "ConvNextImageProcessor"}, "ConvNextImageProcessor is not supported"),
    ],
)
def test_what_cannot_be_done_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    random_clip(tmp_path)
    write_json(tmp_path / "preprocessor_config.json", STANDARD | changes)
    with pytest.raises(CheckpointError, match=f"preprocessor_config.json.*{message}"):
        claver.load(tmp_path)


def test_the_shared_case(shared: Path) -> None:
    model = claver.load(shared / "cases" / "models" / "hf_folder_preprocessor_mean_0.5", temporal="mean")
    white = torch.full((1, 32, 32, 3), 255, dtype=torch.uint8)
    assert torch.equal(model.config.preprocess(white), torch.ones(1, 1, 3, 32, 32))


def test_the_checkpoint_s_own_is_what_its_processor_does(tmp_path: Path) -> None:
    random_clip(tmp_path)
    write_json(tmp_path / "preprocessor_config.json", STANDARD)
    usual, own = claver.load(tmp_path), claver.load(tmp_path, preprocess="checkpoint")
    assert (
        usual.config.preprocess == claver.load(tmp_path, preprocess="paper").config.preprocess == Preprocess.paper(32)
    )
    assert own.config.preprocess == Preprocess(32, 32, center="floored")
    own.save_pretrained(tmp_path / "ours")  # a model of ours says what it was made with
    assert claver.load(tmp_path / "ours").config.preprocess == Preprocess(32, 32, center="floored")
    other = Preprocess(32, 50, mean=(0.5, 0.5, 0.5))
    assert claver.load(tmp_path, preprocess=other).config.preprocess == other
    for wrong, message in (
        (Preprocess(64, 64), "pictures of 64 pixels"),
        ("papre", "paper or checkpoint, not 'papre'"),
    ):
        with pytest.raises(CheckpointError, match=message):
            claver.load(tmp_path, preprocess=wrong)


@pytest.mark.parametrize(("height", "width"), [(60, 90), (240, 320), (33, 32), (35, 32), (32, 39), (90, 41)])
def test_own_pixels_and_features_are_those_of_transformers(height: int, width: int, tmp_path: Path) -> None:
    random_clip(tmp_path)
    write_json(tmp_path / "preprocessor_config.json", STANDARD)
    model = claver.load(tmp_path, preprocess="checkpoint", temporal="mean")
    kind = getattr(transformers, "CLIPImageProcessorPil", None) or transformers.CLIPImageProcessor
    frames = np.stack([picture(height, width), picture(height, width)[:, ::-1]])
    expected = kind(**STANDARD)(images=list(frames), return_tensors="pt")["pixel_values"]
    ours = model.config.preprocess(frames)[0]
    # Pillow and torch round the weights of one resampling differently: at most one grey level of 255.
    levels = (ours - expected).abs() * torch.tensor(CLIP_STD).view(3, 1, 1) * 255
    assert levels.max() < 1.01
    assert levels.mean() < 0.1
    reference = transformers.CLIPModel.from_pretrained(tmp_path).eval()
    with torch.inference_mode():
        theirs = reference.get_image_features(pixel_values=expected)
        theirs = getattr(theirs, "pooler_output", theirs)
        mine = model.encode_video(ours[None])[0]
    assert torch.nn.functional.cosine_similarity(mine, theirs).min() > 0.999


def test_a_recogniser_takes_it(tmp_path: Path) -> None:
    random_clip(tmp_path)
    model = claver.load(tmp_path)
    actions = {"waving": ["a"], "bowing": ["b"]}
    with pytest.raises(claver.ClaverError, match=r"give preprocess='checkpoint' to claver\.load"):
        claver.Recognizer(model, actions, preprocess="checkpoint")
    with pytest.raises(claver.ClaverError, match="pictures of 64 pixels"):
        claver.Recognizer(model, actions, preprocess=Preprocess(64, 64))
