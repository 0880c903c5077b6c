"""Peers: the logits of `transformers` itself, in our views, from folders that may be anybody's."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.peers import save_videoprism, save_x_clip
from tests.videos import write_video

import claver
from claver.errors import ClaverError, PeerError
from claver.inference.encoder import Failure
from claver.inference.peer_models import PeerModel, load_peer
from claver.inference.peers import Peer
from claver.log import warn_once
from claver.models.fingerprint import weights_identity
from claver.video.views import sample_frames

pytest.importorskip("transformers.models.videoprism", reason="transformers with VideoPrism is not installed")

TEXTS = ["waving", "a person jumps", "zzz qqq", "playing the piano"]
SIZES = {"xclip": (40, 60), "videoprism": (36, 36)}
"""Of clips that need no resizing, at which libraries differ by a level of brightness."""


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("peers")
    save_x_clip(folder / "xclip")
    save_videoprism(folder / "videoprism")
    return folder


@pytest.fixture
def copy(peers: Path, tmp_path: Path) -> Callable[[str], Path]:
    return lambda kind: Path(shutil.copytree(peers / kind, tmp_path / kind))


def frames_of(clip: Path, count: int = 4) -> list[Any]:
    sampled = sample_frames(clip, frames=count)
    return [np.asarray(sampled.pixels[place]) for place in sampled.indices[0]]


def of_transformers(folder: Path, frames: list[Any], texts: list[str]) -> tuple[Any, Any]:
    """Logits and probabilities of a clip's frames, by the library's own processor, tokenizer and model."""
    import transformers

    with torch.no_grad():
        if folder.name == "xclip":
            processor = transformers.XCLIPProcessor.from_pretrained(folder)
            inputs = processor(text=texts, videos=frames, return_tensors="pt", padding=True, truncation=True)
            [logits] = transformers.XCLIPModel.from_pretrained(folder)(**inputs).logits_per_video
            return logits.numpy(), logits.softmax(0).numpy()
        from PIL import Image

        words = transformers.VideoPrismTokenizer.from_pretrained(folder)
        inputs = words(texts, padding="max_length", max_length=20, truncation=True, return_tensors="pt")
        whole = [np.asarray(Image.fromarray(frame).resize((36, 36), Image.Resampling.BICUBIC)) for frame in frames]
        pixels = torch.from_numpy(np.stack(whole)).permute(0, 3, 1, 2)[None] / 255
        other = len(frames) != 4
        model = transformers.VideoPrismClipModel.from_pretrained(folder)
        out = model(pixels, **inputs, interpolate_pos_encoding=other)
        return (out.video_embeds @ out.text_embeds.T)[0].numpy(), out.logits_per_text[:, 0].numpy()


@pytest.mark.parametrize("kind", SIZES)
def test_logits_and_probabilities_are_those_of_transformers(kind: str, peers: Path, tmp_path: Path) -> None:
    height, width = SIZES[kind]
    peer = Peer(load_peer(peers / kind), {text: [text] for text in TEXTS})
    answers = []
    for seed in range(2):
        clip = write_video(tmp_path / f"{seed}.mp4", height=height, width=width, seed=seed)
        logits, probabilities = of_transformers(peers / kind, frames_of(clip), TEXTS)
        found = peer(clip)
        np.testing.assert_allclose(found.scores, logits, atol=1e-5)
        np.testing.assert_allclose(found.probabilities, probabilities, atol=1e-5)
        assert np.ptp(logits) > 0.01, "answers that do not differ compare nothing"
        answers.append(logits)
    assert np.abs(answers[0] - answers[1]).max() > 1e-3


@pytest.mark.parametrize("kind", SIZES)
def test_a_clip_that_is_resized(kind: str, peers: Path, tmp_path: Path) -> None:
    """Pillow, which transformers has here, and torch round to levels of brightness that are at most one apart."""
    clip = write_video(tmp_path / "a.mp4", height=72, width=100)
    peer = Peer(load_peer(peers / kind), {text: [text] for text in TEXTS})
    logits, _ = of_transformers(peers / kind, frames_of(clip), TEXTS)
    np.testing.assert_allclose(peer(clip).scores, logits, atol=1e-3)
    if kind == "xclip":
        from transformers import XCLIPProcessor

        theirs = XCLIPProcessor.from_pretrained(peers / kind)(videos=frames_of(clip), return_tensors="pt")
        ours = peer.encoder.look(clip).pixels[0].double() / 255
        mean, std = (
            torch.tensor(values, dtype=torch.float64)[:, None, None]
            for values in (peer.preprocess.mean, peer.preprocess.std)
        )
        assert ((theirs["pixel_values"][0].double() * std + mean) - ours).abs().max() < 1.01 / 255


def test_a_shared_clip(clips: Path, peers: Path) -> None:
    clip = min((path for path in clips.rglob("*") if path.suffix in (".mp4", ".avi")), key=lambda path: path.name)
    logits, _ = of_transformers(peers / "videoprism", frames_of(clip), TEXTS)
    peer = Peer(load_peer(peers / "videoprism"), {text: [text] for text in TEXTS})
    np.testing.assert_allclose(peer(clip).scores, logits, atol=1e-3)


@pytest.mark.parametrize("kind", SIZES)
def test_texts_and_views_are_averaged(kind: str, peers: Path, tmp_path: Path) -> None:
    model, clip = load_peer(peers / kind), write_video(tmp_path / "a.mp4", frames=30, height=48, width=80)
    asked, count = {"xclip": ("2x3", 6), "videoprism": ("2x1", 2)}[kind]
    apart = Peer(model, {text: [text] for text in TEXTS}, views=asked)
    joined = Peer(model, {"first": TEXTS[:3], "second": TEXTS[3:]}, views=asked)
    views = apart.encoder.look(clip).pixels
    assert len(views) == count
    each = torch.stack([model.logits(apart.encoder.encode(view[None], 1), apart._texts_ME)[0] for view in views])
    assert each.std(0).max() > 1e-4
    np.testing.assert_allclose(apart(clip).scores, each.mean(0), atol=1e-5)
    expected = [float(each.mean(0)[:3].mean()), float(each.mean(0)[3])]
    np.testing.assert_allclose(joined(clip).scores, expected, atol=1e-5)
    assert joined(clip).probabilities.sum() == pytest.approx(1)


def test_more_texts_than_are_taken_at_once(peers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, model, seen = write_video(tmp_path / "a.mp4"), load_peer(peers / "xclip"), []
    whole = Peer(model, {text: [text] for text in TEXTS})(clip).scores
    monkeypatch.setattr("claver.inference.peers.TEXTS_AT_ONCE", 3)
    peer = Peer(model, {text: [text] for text in TEXTS}, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(3, 4), (4, 4)]
    np.testing.assert_allclose(peer(clip).scores, whole, atol=1e-5)


def test_a_stream_goes_on_past_what_cannot_be_read(peers: Path, tmp_path: Path) -> None:
    (tmp_path / "b.mp4").write_bytes(b"broken")
    paths = [write_video(tmp_path / "a.mp4"), tmp_path / "b.mp4", write_video(tmp_path / "c.mp4", seed=3)]
    peer = Peer(peers / "xclip", TEXTS)
    first, second, third = peer.stream(paths, batch_size=1)
    assert isinstance(second, Failure)
    assert not second.by_model
    for path, answer in ((paths[0], first), (paths[2], third)):
        np.testing.assert_allclose(answer.scores, peer(path).scores, atol=1e-5)  # type: ignore[union-attr]
    assert first.seconds.shape == (1, 4)  # type: ignore[union-attr]


def test_other_numbers_of_frames(peers: Path, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.mp4", height=36, width=36)
    peer = Peer(peers / "videoprism", {text: [text] for text in TEXTS}, frames=6)
    logits, _ = of_transformers(peers / "videoprism", frames_of(clip, 6), TEXTS)
    np.testing.assert_allclose(peer(clip).scores, logits, atol=1e-5)
    with pytest.raises(ClaverError, match="this X-CLIP takes 4 frames per view and no other number, not 6"):
        Peer(peers / "xclip", TEXTS, frames=6)


@pytest.mark.parametrize("kind", SIZES)
def test_long_texts_are_cut_as_transformers_does_and_that_is_said(
    kind: str, peers: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    warn_once.cache_clear()
    height, width = SIZES[kind]
    clip = write_video(tmp_path / "a.mp4", height=height, width=width)
    texts = [*TEXTS, "one who plays the piano while it rains and snows"]
    logits, _ = of_transformers(peers / kind, frames_of(clip), texts)
    np.testing.assert_allclose(Peer(peers / kind, {text: [text] for text in texts})(clip).scores, logits, atol=1e-5)
    [told] = [record.getMessage() for record in caplog.records if "cut to" in record.getMessage()]
    assert "one who plays the piano" in told


def test_of_three_crops_of_whole_frames_one_is_looked_at(
    peers: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    warn_once.cache_clear()
    clip = write_video(tmp_path / "a.mp4")
    peer = Peer(peers / "videoprism", TEXTS, views="2x3")
    assert str(peer.views) == "2x1"
    assert "three crops would be the same" in caplog.text
    np.testing.assert_array_equal(peer(clip).scores, Peer(peers / "videoprism", TEXTS, views="2x1")(clip).scores)


def test_bfloat16_is_near(peers: Path, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.mp4")
    for kind in SIZES:
        exact, near = (Peer(load_peer(peers / kind, dtype=dtype), TEXTS) for dtype in (None, torch.bfloat16))
        assert near(clip).scores.dtype == np.float32
        np.testing.assert_allclose(near(clip).scores, exact(clip).scores, atol=0.3)


def test_scores_that_are_not_finite(peers: Path, tmp_path: Path) -> None:
    peer = Peer(peers / "xclip", TEXTS)
    peer._texts_ME = torch.full_like(peer._texts_ME, torch.nan)
    [answer] = peer.stream([write_video(tmp_path / "a.mp4")])
    assert isinstance(answer, Failure)
    assert (answer.by_model, "X-CLIP gives non-finite scores" in answer.error) == (True, True)


def test_only_evaluation_takes_a_peer(peers: Path) -> None:
    for kind, name in (("xclip", "X-CLIP"), ("videoprism", "VideoPrism")):
        with pytest.raises(PeerError, match=f"{name} is a peer, which only `claver evaluate` runs"):
            claver.load(peers / kind)


def test_old_files_are_read_as_well(copy: Callable[[str], Path], tmp_path: Path) -> None:
    """As those of 2022 are: a feature extractor, towers' sections under two names, ids of places among the weights."""
    folder, clip = copy("xclip"), write_video(tmp_path / "a.mp4")
    before = Peer(folder, TEXTS)(clip).scores
    processor = json.loads((folder / "processor_config.json").read_text())["image_processor"]
    (folder / "processor_config.json").unlink()
    del processor["image_processor_type"]
    processor |= {"feature_extractor_type": "VideoMAEFeatureExtractor"}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    config = json.loads((folder / "config.json").read_text())
    config |= {"text_config_dict": config["text_config"], "text_config": {"hidden_size": 7}, "vision_config_dict": None}
    (folder / "config.json").write_text(json.dumps(config))
    weights = load_file(folder / "model.safetensors")
    weights["text_model.embeddings.position_ids"] = torch.arange(24)[None].flip(1)
    save_file(weights, folder / "model.safetensors")
    np.testing.assert_array_equal(Peer(folder, TEXTS)(clip).scores, before)


def test_identity_is_what_the_files_hold(copy: Callable[[str], Path]) -> None:
    folder = copy("xclip")
    before = weights_identity(folder)
    assert weights_identity(folder) == before
    weights = load_file(folder / "model.safetensors")
    weights["logit_scale"] += 1
    save_file(weights, folder / "model.safetensors")
    other = weights_identity(folder)
    (folder / "video_preprocessor_config.json").write_text("{}")
    assert len({before, other, weights_identity(folder)}) == 3


def config_with(*keys: str, value: Any) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        place = config
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value
        (folder / "config.json").write_text(json.dumps(config))

    return change


def processor_with(**values: Any) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        path = folder / "processor_config.json"
        held = json.loads(path.read_text())
        held["image_processor"] |= values
        path.write_text(json.dumps(held))

    return change


def weights_with(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], object]:
    def rewrite(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors")

    return rewrite


def pickled(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def pickled_code(folder: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {folder}/touched",)

    torch.save({"logit_scale": Evil()}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "has no weights: none of model.safetensors"),
    "more than tensors": (pickled_code, "pytorch_model.bin holds no tensors by name"),
    "damaged weights": (lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 99), "cannot be read as safe"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "has no tokenizer.json"),
    "damaged tokenizer": (lambda folder: (folder / "tokenizer.json").write_text("{}"), "cannot be read"),
    "no processor": (lambda folder: (folder / "processor_config.json").unlink(), "has no preprocessor_config.json"),
    "another processor": (
        processor_with(image_processor_type="LevitImageProcessor"),
        "LevitImageProcessor is not supported; .*VideoMAEImageProcessor",
    ),
    "another crop": (processor_with(crop_size={"height": 40, "width": 40}), "of 40 pixels, but the model takes 32"),
    "another filter": (processor_with(resample=0), "resample 0 is not supported"),
    "another model": (config_with("model_type", value="bert"), "only 'xclip' and 'videoprism' are peers"),
    "a list as model": (config_with("model_type", value=[]), r"says model_type \[\]"),
    "many layers": (config_with("vision_config", "num_hidden_layers", value=10**9), "no model has more than 1024"),
    "no heads": (
        config_with("text_config", "num_attention_heads", value=0),
        "not a multiple of num_attention_heads, 0",
    ),
    "odd heads": (config_with("text_config", "num_attention_heads", value=3), "hidden_size is not a multiple"),
    "huge": (
        config_with("text_config", "hidden_size", value=2**18),
        r"a model of [\d,]+ numbers, but they hold 53,233",
    ),
    "an endless vocabulary": (
        config_with("text_config", "vocab_size", value=2**40),
        "vocabulary is 1099511627776; no model has more",
    ),
    "unknown activation": (
        config_with("vision_config", "hidden_act", value="os.system"),
        "XCLIPModel cannot be made: 'os.system'",
    ),
    "words": (config_with("vision_config", "image_size", value="32"), "refuses its settings: .*image_size"),
    "oblong": (config_with("vision_config", "image_size", value=[32, 16]), "is not square"),
    "no section": (config_with("text_config", value=[1]), "refuses its settings: .*text_config"),
    "unlike widths": (config_with("projection_dim", value=16), r"has shape \(20,\), but this model needs \(16,\)"),
    "one missing": (
        weights_with(lambda held: held.pop("logit_scale")),
        "the model lacks 1 parameters, first 'logit_scale'",
    ),
    "one more": (
        weights_with(lambda held: held.update(more=torch.zeros(1))),
        "no place for 1 parameters, first 'more'",
    ),
    "not finite": (weights_with(lambda held: held["logit_scale"].fill_(torch.nan)), "'logit_scale' holds NaN"),
    "whole numbers": (
        weights_with(lambda held: held.update(logit_scale=torch.tensor(1))),
        "'logit_scale' is of type int64",
    ),
}


@pytest.mark.parametrize("kind", SIZES)
def test_settings_that_fetch_code_are_left_out(kind: str, copy: Callable[[str], Path], tmp_path: Path) -> None:
    folder, clip = copy(kind), write_video(tmp_path / "a.mp4")
    before = Peer(folder, TEXTS)(clip).scores
    evil = {"auto_map": {"AutoModel": "a.B"}, "quantization_config": {"quant_method": "bitsandbytes", "bits": 4}}
    evil |= {"attn_implementation": {"": "someone/kernel"}, "_attn_implementation": "kernels-community/x"}
    for keys in ((), ("text_config",), ("vision_config",)):
        for name, value in evil.items():
            config_with(*keys, name, value=value)(folder)
    peer = Peer(folder, TEXTS)
    np.testing.assert_array_equal(peer(clip).scores, before)
    assert "kernel" not in str(peer.model.model.config)


def test_pickled_weights_are_read_by_our_own_reader(copy: Callable[[str], Path], tmp_path: Path) -> None:
    folder, clip = copy("xclip"), write_video(tmp_path / "a.mp4")
    before = Peer(folder, TEXTS)(clip).scores
    pickled(folder)
    np.testing.assert_array_equal(Peer(folder, TEXTS)(clip).scores, before)


def test_sizes_that_fit_the_weights_but_not_each_other(tmp_path: Path) -> None:
    save_x_clip(tmp_path / "xclip", projection_dim=16)
    with pytest.raises(ClaverError, match="xclip: its sizes do not fit together: "):
        load_peer(tmp_path / "xclip")


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str, copy: Callable[[str], Path]) -> None:
    change, told = REFUSED[name]
    folder = copy("xclip")
    change(folder)
    with pytest.raises(ClaverError, match=told) as caught:
        load_peer(folder)
    assert str(folder) in str(caught.value), "it says where"
    assert not (folder / "touched").exists(), "its code was run"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            config_with("vision_config", "tubelet_size", value=[2, 18, 18]),
            r"has shape \(16, 3, 1, 18, 18\), but .* \(16, 3, 2, 18, 18\)",
        ),
        (config_with("vision_config", "num_frames", value=2**30), r"a model of [\d,]+ numbers"),
        (config_with("text_config", "apply_l2norm", value="yes"), "refuses its settings: .*apply_l2norm"),
        (
            config_with("text_config", "attn_logit_softcapping", value=0),
            "refuses its settings: .*attn_logit_softcapping",
        ),
        (lambda folder: (folder / "tokenizer.json").unlink(), "has no tokenizer.json"),
        (lambda folder: (folder / "tokenizer.json").write_text("[]"), "the tokenizer at .* cannot be read"),
        (lambda folder: (folder / "video_preprocessor_config.json").unlink(), "has no video_preprocessor_config.json"),
    ],
)
def test_what_is_refused_of_a_videoprism(
    change: Callable[[Path], object], told: str, copy: Callable[[str], Path]
) -> None:
    folder = copy("videoprism")
    change(folder)
    with pytest.raises(ClaverError, match=told):
        load_peer(folder)


def test_a_token_that_the_model_does_not_know(copy: Callable[[str], Path]) -> None:
    folder = copy("videoprism")
    words = json.loads((folder / "tokenizer.json").read_text())
    words["model"]["vocab"].append(["jump", 0.0])
    (folder / "tokenizer.json").write_text(json.dumps(words))
    model = load_peer(folder)
    Peer(model, ["waving"])
    with pytest.raises(ClaverError, match=r"text '.*jump.*' has token 32, but the model knows 32"):
        Peer(model, ["jump"])


def test_nowhere_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(ClaverError, match="is no model folder"):
        load_peer(tmp_path)
    with pytest.raises(
        ClaverError, match=r"nobody/nothing is neither a local path nor .* and could not be downloaded: "
    ):
        load_peer("nobody/nothing")


def test_without_transformers_the_extra_is_named(peers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ClaverError, match=r"pip install 'claver\[hf\]'"):
        load_peer(peers / "xclip")


def test_an_older_transformers_is_told(peers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claver.models.library.library", lambda: SimpleNamespace(__version__="5.0.0"))
    with pytest.raises(ClaverError, match=r"transformers 5.0.0 has no VideoPrismClipModel, .*pip install -U"):
        load_peer(peers / "videoprism")


def test_nothing_is_fetched_or_written_while_loading(peers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    before = {path: path.stat().st_mtime_ns for path in peers.rglob("*")}
    for kind in SIZES:
        assert isinstance(load_peer(peers / kind), PeerModel)
    assert {path: path.stat().st_mtime_ns for path in peers.rglob("*")} == before
