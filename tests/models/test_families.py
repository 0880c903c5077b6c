"""The law of towers: with an untrained temporal tower a model equals its own library, averaged over frames."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

import claver
from claver.errors import ClaverError
from claver.inference.recognizer import Recognizer
from claver.models import Claver
from claver.models.blend import blend
from claver.models.checkpoint.families import sentence_pooling
from claver.models.hosting import HostedLayer
from claver.models.library import plain_settings
from claver.models.load import load_weights
from tests.models import random_family as families

pytest.importorskip("transformers")
FRAMES = 3


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each family and its model beside it, made when first asked for."""
    return {"root": tmp_path_factory.mktemp("families")}


def folder_of(family: str, folders: dict[str, Path]) -> tuple[Path, Any]:
    if family not in folders:
        folder = folders["root"] / family
        MODELS[family] = families.saved(family, folder)
        folders[family] = folder
    return folders[family], MODELS[family]


MODELS: dict[str, Any] = {}


def text_folder(folders: dict[str, Path], pooling: str = "mean") -> tuple[Path, Any]:
    name = f"text-{pooling}"
    if name not in folders:
        MODELS[name] = families.sentence_encoder(folders["root"] / name, pooling)
        folders[name] = folders["root"] / name
    return folders[name], MODELS[name]


def clip_frames(height: int = 45, width: int = 60) -> npt.NDArray[np.uint8]:
    """Smooth moving pictures: what is resampled by two libraries is then near the same."""
    y, x, t = np.mgrid[0:height, 0:width, 0:FRAMES].transpose(0, 3, 1, 2)
    waves = [np.sin((y + 3 * t) / 7 + c) + np.cos((x * (c + 1) - 5 * t) / 11) for c in range(3)]
    return (63 * np.stack(waves, axis=-1) + 127).astype(np.uint8)


def their_pixels(folder: Path, frames: npt.NDArray[np.uint8]) -> Tensor:
    from PIL import Image
    from transformers import AutoImageProcessor

    kind = json.loads((folder / "preprocessor_config.json").read_text())["image_processor_type"]
    if kind.startswith("DINOv3"):
        pytest.skip("its processor needs torchvision")
    processor = AutoImageProcessor.from_pretrained(folder, use_fast=False)
    pixels: Tensor = processor(images=[Image.fromarray(frame) for frame in frames], return_tensors="pt").pixel_values
    return pixels


def random_pixels(model: Claver, clips: int = 2) -> Tensor:
    torch.manual_seed(3)
    return torch.randn(clips, FRAMES, 3, model.config.image.size, model.config.image.size)


def their_tokens(folder: Path, family: str) -> dict[str, Tensor]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    fixed = {"padding": "max_length", "truncation": True, "max_length": 16} if "siglip" in family else {"padding": True}
    return dict(tokenizer(families.TEXTS, return_tensors="pt", **fixed))


@torch.no_grad()
@pytest.mark.parametrize("temporal", ["kmct", "kmt", "mean"])
@pytest.mark.parametrize("family", families.PAIRS)
def test_a_pair_equals_its_library_averaged_over_frames(family: str, temporal: Any, folders: dict[str, Path]) -> None:
    folder, theirs = folder_of(family, folders)
    model = claver.load(folder, temporal=temporal, frames=FRAMES)
    assert model.tokenizer is not None
    pixels, ids = random_pixels(model), their_tokens(folder, family)
    if "siglip" in family:
        ids.pop("attention_mask", None)  # as its processor gives them: every place is looked at
    frames = theirs.get_image_features(pixel_values=pixels.flatten(0, 1)).pooler_output.unflatten(0, (2, FRAMES))
    texts = theirs.get_text_features(**ids).pooler_output
    tokens = model.tokenizer(families.TEXTS)
    ours = model(pixels, tokens[None])
    torch.testing.assert_close(ours.frame_embeddings, frames, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(ours.text_embeddings[0], texts, atol=2e-5, rtol=1e-4)
    cosine = F.normalize(frames.mean(1), dim=-1) @ F.normalize(texts, dim=-1).T
    logits = theirs.logit_scale.exp() * cosine + (theirs.logit_bias if "siglip" in family else 0)
    torch.testing.assert_close(ours.logits[:, 0], logits, atol=2e-4, rtol=1e-4)
    one = theirs(pixel_values=pixels[:1, 0], **ids).logits_per_image  # a clip of one frame is an image
    torch.testing.assert_close(model(pixels[:1, :1], tokens[None]).logits[:, 0], one, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("family", families.PAIRS)
def test_texts_have_the_tokens_of_the_library(family: str, folders: dict[str, Path]) -> None:
    folder, _ = folder_of(family, folders)
    model = claver.load(folder, temporal="mean")
    assert model.tokenizer is not None
    theirs = their_tokens(folder, family)["input_ids"]
    ours = model.tokenizer(families.TEXTS)
    if family == "metaclip_2":  # it is read at the end of text, and what comes after plays no part
        ends = model.text.last_token(ours)
        assert all(torch.equal(a[: end + 1], b[: end + 1]) for a, b, end in zip(ours, theirs, ends, strict=True))
    else:
        assert torch.equal(ours, theirs)


@torch.no_grad()
@pytest.mark.parametrize("family", families.IMAGES)
def test_an_image_tower_equals_its_library_up_to_the_projection(family: str, folders: dict[str, Path]) -> None:
    folder, theirs = folder_of(family, folders)
    words, _encoder = text_folder(folders)
    model = claver.load(folder, text=words, temporal="kmct", frames=FRAMES)
    pixels = random_pixels(model)
    body = getattr(theirs, "vit", theirs)
    more = {"interpolate_pos_encoding": True} if family == "vit" else {}
    read = body(pixel_values=pixels.flatten(0, 1), **more).last_hidden_state[:, 0]
    projection: Any = model.readout.projection
    torch.testing.assert_close(
        model.encode_video(pixels), (read @ projection).unflatten(0, (2, FRAMES)), atol=2e-5, rtol=1e-4
    )
    assert model.image_tokens(pixels).shape[2] == model.config.image.tokens


@torch.no_grad()
@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_a_sentence_encoder_gives_its_own_vectors(pooling: str, folders: dict[str, Path]) -> None:
    from transformers import AutoTokenizer

    folder, theirs = text_folder(folders, pooling)
    image, _ = folder_of("vit", folders)
    model = claver.load(image, text=folder, temporal="mean")
    ids = AutoTokenizer.from_pretrained(folder)(families.TEXTS, padding=True, return_tensors="pt")
    hidden, mask = theirs(**ids).last_hidden_state, ids["attention_mask"][..., None]
    wanted = hidden[:, 0] if pooling == "first" else (hidden * mask).sum(1) / mask.sum(1)
    assert model.tokenizer is not None
    torch.testing.assert_close(model.encode_text(model.tokenizer(families.TEXTS)), wanted, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("shape", [(45, 60), (60, 45), (32, 32), (31, 200)])
@pytest.mark.parametrize("family", [*families.PAIRS, *families.IMAGES])
def test_pixels_are_prepared_as_the_processor_does(
    family: str, shape: tuple[int, int], folders: dict[str, Path]
) -> None:
    folder, _ = folder_of(family, folders)
    words, _ = text_folder(folders)
    more = {"text": words} if family in families.IMAGES else {}
    model = claver.load(folder, temporal="mean", **more)
    frames = clip_frames(*shape)
    ours, theirs = model.config.preprocess(frames)[0], their_pixels(folder, frames)
    step = 1 / 255 / min(model.config.preprocess.std)
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) < 2.5 * step  # two libraries that round
    assert float((ours - theirs).abs().mean()) < 0.6 * step


@torch.no_grad()
@pytest.mark.parametrize("family", [*families.PAIRS, *families.IMAGES])
def test_a_saved_model_is_the_same_model(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    folder, _ = folder_of(family, folders)
    words, _ = text_folder(folders)
    more = {"text": words} if family in families.IMAGES else {}
    model = claver.load(folder, temporal="kmt", frames=FRAMES, **more)
    model.save_pretrained(tmp_path / "saved")
    again = claver.load(tmp_path / "saved")
    assert again.config == model.config
    assert model.tokenizer is not None
    assert again.tokenizer is not None
    tokens = again.tokenizer(families.TEXTS)
    assert torch.equal(tokens, model.tokenizer(families.TEXTS))
    pixels = random_pixels(model)
    first, second = model(pixels, tokens[None]), again(pixels, tokens[None])
    assert torch.equal(first.logits, second.logits)
    assert torch.equal(first.text_embeddings, second.text_embeddings)


def test_joining_is_the_same_every_time(folders: dict[str, Path]) -> None:
    folder, _ = folder_of("dinov2", folders)
    words, _ = text_folder(folders)
    torch.manual_seed(1)
    first = claver.load(folder, text=words)
    torch.manual_seed(2)
    second = claver.load(folder, text=words)
    assert all(
        torch.equal(a, second.state_dict()[key]) for key, a in first.state_dict().items() if "temporal" not in key
    )


def test_probabilities_of_siglip_are_sigmoids_as_its_library_gives_them(folders: dict[str, Path]) -> None:
    folder, theirs = folder_of("siglip", folders)
    model = claver.load(folder, temporal="mean", frames=1)
    names = ["plays chess", "a person"]
    frames = clip_frames()[:1]
    found = Recognizer(model, {name: [name] for name in names}, cache=False)(frames)
    pixels = model.config.preprocess(frames)[0]
    assert model.tokenizer is not None
    with torch.no_grad():
        logits = theirs(pixel_values=pixels, input_ids=model.tokenizer(names)).logits_per_image[0]
    np.testing.assert_allclose(found.scores, logits.numpy(), atol=2e-4)
    np.testing.assert_allclose(found.probabilities, logits.sigmoid().numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("family", "break_it", "told"),
    [
        ("dinov2", lambda p: None, "is an image tower without texts"),
        ("siglip", lambda p: (p / "preprocessor_config.json").unlink(), "no preprocessor_config.json"),
        ("siglip", lambda p: rewrite(p, "vision_config", hidden_size=10**9), "no model has more than"),
        ("siglip", lambda p: rewrite(p, "vision_config", hidden_size=63), "refuses its settings|cannot be cut"),
        ("siglip", lambda p: rewrite(p, "vision_config", patch_size=7), "not a multiple of the patch|do not fit"),
        ("siglip", lambda p: rewrite(p, "vision_config", vision_use_head=False), "no pooling head"),
        (
            "siglip",
            lambda p: rewrite(p, "vision_config", intermediate_size=24),
            r"has shape \(96,\), but .* \(24,\)",
        ),
        (
            "siglip",
            lambda p: rewrite(p, "text_config", intermediate_size=2**17),
            r"describes a model of [\d,]+ numbers",
        ),
        ("siglip", lambda p: rewrite(p, "text_config", num_hidden_layers=10**9), "no model has more than 1024"),
        ("siglip", lambda p: rewrite(p, None, model_type=[]), r"says model_type \[\]; what can be loaded is"),
        ("siglip", lambda p: as_whole_numbers(p), "is of type int8"),
        ("siglip", lambda p: rewrite(p, None, model_type="siglip2"), "NaFlex"),
        ("altclip", lambda p: rewrite(p, "vision_config", hidden_act="relu"), "activation 'relu' is not supported"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_one_sentence(
    family: str, break_it: Any, told: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder, _ = folder_of(family, folders)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    break_it(copy)
    with pytest.raises(ClaverError, match=told) as caught:
        claver.load(copy)
    assert "\n" not in str(caught.value)
    assert str(copy) in str(caught.value)


def test_a_sentence_encoder_with_more_behind_it_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    image, _ = folder_of("vit", folders)
    folder, _ = text_folder(folders)
    shutil.copytree(folder, tmp_path / "words")
    steps = json.loads((folder / "modules.json").read_text())
    (tmp_path / "words" / "modules.json").write_text(
        json.dumps([*steps, {"type": "sentence_transformers.models.Dense"}])
    )
    with pytest.raises(ClaverError, match="pass through Dense as well"):
        claver.load(image, text=tmp_path / "words")


def test_siglip_without_sentencepiece_is_refused_rather_than_tokenised_otherwise(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    folder, _ = folder_of("siglip", folders)
    other = families.byte_level("Siglip2Tokenizer", folder)
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda *args, **more: other)
    with pytest.raises(ClaverError, match="needs the packages sentencepiece and protobuf"):
        claver.load(folder)


def as_whole_numbers(folder: Path) -> None:
    """As quantised weights lie on disk."""
    weights = load_file(folder / "model.safetensors")
    save_file({key: value.to(torch.int8) for key, value in weights.items()}, folder / "model.safetensors")


def rewrite(folder: Path, section: str | None, **values: Any) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    (config if section is None else config[section]).update(values)
    path.write_text(json.dumps(config))


def test_settings_that_fetch_code_are_left_out_at_any_depth() -> None:
    evil = {
        "attn_implementation": {"": "someone/kernel"},
        "_attn_implementation": "x",
        "auto_map": {"AutoModel": "a.B"},
    }
    kept = {"vision_config": {"hidden_size": 8, "eos_token_id": None}, "heads": 2, "more": None}
    assert plain_settings({**kept, "vision_config": {**kept["vision_config"], **evil}, **evil}) == kept


def test_settings_that_fetch_code_are_left_alone(folders: dict[str, Path], tmp_path: Path) -> None:
    folder, _ = folder_of("siglip", folders)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    evil = {"attn_implementation": "kernels-community/evil", "_attn_implementation": "kernels-community/evil"}
    evil |= {"auto_map": {"AutoModel": "evil.Model"}, "quantization_config": {"quant_method": "bitsandbytes"}}
    rewrite(copy, None, **evil)
    rewrite(copy, "vision_config", **evil)
    model = claver.load(copy, temporal="mean")
    assert "evil" not in json.dumps(model.config.to_dict())
    assert model.image.body.config._attn_implementation == "claver"


@pytest.mark.parametrize(
    ("source", "text", "told"),
    [
        ("siglip", "text-mean", "is of model_type 'siglip', but an image tower without texts is needed"),
        ("vit", "siglip", "is of model_type 'siglip', but a sentence encoder is needed"),
        ("text-mean", None, "is a sentence encoder without images"),
    ],
)
def test_towers_are_only_joined_with_what_fits(
    source: str, text: str | None, told: str, folders: dict[str, Path]
) -> None:
    for name in ("siglip", "vit"):
        folder_of(name, folders)
    text_folder(folders)
    with pytest.raises(ClaverError, match=told):
        claver.load(folders[source], text=None if text is None else folders[text])


def test_an_untrained_projection_is_told_at_every_load(
    folders: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, _ = folder_of("dinov2", folders)
    words, _ = text_folder(folders)
    model = claver.load(folder, text=words, temporal="mean")
    assert "answers mean nothing" in caplog.text
    model.save_pretrained(tmp_path / "saved")
    caplog.clear()
    again = claver.load(tmp_path / "saved", temporal="kmct")
    assert "answers mean nothing" in caplog.text
    assert "image-text model" not in caplog.text
    again.config = replace(again.config, untrained=False)
    again.save_pretrained(tmp_path / "trained")
    caplog.clear()
    claver.load(tmp_path / "trained")
    assert "answers mean nothing" not in caplog.text


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ({"pooling_mode": "cls"}, "first"),
        ({"pooling_mode": "mean"}, "mean"),
        ({"pooling_mode": "max"}, None),
        ({"pooling_mode_cls_token": True}, "first"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, None),
        ({}, "mean"),
    ],
)
def test_pooling_is_read_in_either_form_and_from_where_it_is(
    written: dict[str, Any], wanted: str | None, tmp_path: Path
) -> None:
    families.sentence_encoder(tmp_path)
    shutil.move(tmp_path / "1_Pooling", tmp_path / "7_Pooling")
    steps = [{"type": "m.Transformer", "path": ""}, {"type": "m.Pooling", "path": "7_Pooling"}]
    (tmp_path / "modules.json").write_text(json.dumps(steps))
    (tmp_path / "7_Pooling" / "config.json").write_text(json.dumps(written))
    if wanted is None:
        with pytest.raises(ClaverError, match="is not supported; by cls or mean it is"):
            sentence_pooling(tmp_path)
    else:
        assert sentence_pooling(tmp_path) == wanted


def test_a_prompt_before_every_text_is_refused(tmp_path: Path) -> None:
    families.sentence_encoder(tmp_path)
    path = tmp_path / "config_sentence_transformers.json"
    path.write_text(json.dumps({"prompts": {"query": "query: "}, "default_prompt_name": "query"}))
    with pytest.raises(ClaverError, match="puts the prompt 'query' before every text"):
        sentence_pooling(tmp_path)


def without_vocabulary(folder: Path) -> None:
    for name in ("tokenizer.json", "vocab.txt", "spiece.model"):
        (folder / name).unlink(missing_ok=True)


def tokenizer_setting(**values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "tokenizer_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without_vocabulary, "has no vocabulary"),
        (tokenizer_setting(padding_side="left"), "on the left, but the model expects 0 on the right"),
        (lambda p: rewrite(p, None, pad_token_id=7), "it pads with 0 on the right, but the model expects 7"),
        (tokenizer_setting(pad_token="[SEP]"), "it pads with 3"),
    ],
)
def test_a_tokenizer_that_would_be_misread_is_refused(
    change: Callable[[Path], None], told: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    image, _ = folder_of("vit", folders)
    words, _ = text_folder(folders)
    shutil.copytree(words, tmp_path / "words")
    change(tmp_path / "words")
    with pytest.raises(ClaverError, match=told):
        claver.load(image, text=tmp_path / "words")


def test_scale_and_bias_stay_exact_in_half_precision(folders: dict[str, Path]) -> None:
    folder, _ = folder_of("siglip", folders)
    exact, half = (claver.load(folder, temporal="mean", dtype=dtype) for dtype in (None, torch.bfloat16))
    assert half.dtype == torch.bfloat16
    assert half.bias is not None
    assert exact.bias is not None
    assert half.bias.dtype == torch.float32
    assert torch.equal(half.bias, exact.bias)
    assert torch.equal(half.logit_scale, exact.logit_scale)


def test_tables_that_are_no_weights_stay_exact_in_half_precision(folders: dict[str, Path]) -> None:
    folder, _ = folder_of("dinov3_vit", folders)
    words, _ = text_folder(folders)
    half = claver.load(folder, text=words, temporal="mean", dtype=torch.bfloat16)
    assert half.image.body.rope_embeddings.inv_freq.dtype == torch.float32  # type: ignore[union-attr]
    pixels = random_pixels(half).bfloat16()
    assert bool(half.encode_video(pixels).isfinite().all())


def test_loading_in_threads_leaves_other_models_alone(folders: dict[str, Path]) -> None:
    """What keeps a model from being filled before it is loaded must not keep others from it, then or later."""
    folder, _ = folder_of("siglip", folders)
    words, _ = text_folder(folders)
    image, _ = folder_of("dinov3_vit", folders)
    loads = [lambda: claver.load(folder, temporal="mean"), lambda: claver.load(image, text=words, temporal="mean")] * 4
    normal, verbosity = torch.nn.init.normal_, logging_of_transformers()
    with ThreadPoolExecutor(4) as threads:
        models = list(threads.map(lambda load: load(), loads))
    assert torch.nn.init.normal_ is normal
    assert logging_of_transformers() == verbosity
    assert torch.equal(torch.nn.init.zeros_(torch.full((3,), 7.0)), torch.zeros(3))
    for model in models[2:]:
        twin = models[0] if model.config.bias else models[1]
        assert all(torch.equal(value, twin.state_dict()[key]) for key, value in model.state_dict().items())


def logging_of_transformers() -> int:
    from transformers.utils import logging

    return int(logging.get_verbosity())


def test_a_model_is_copied_and_pickled_whole(folders: dict[str, Path]) -> None:
    folder, _ = folder_of("siglip", folders)
    model = claver.load(folder, temporal="mean")
    model.tokenizer = None
    pixels = random_pixels(model)
    expected = model.encode_video(pixels)
    for made in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(made.encode_video(pixels), expected)
        first = made.image.body.encoder.layers[0]
        assert isinstance(first, HostedLayer)
        with torch.no_grad():
            first.mlp.fc1.weight.zero_()  # type: ignore[union-attr, operator]
        assert not torch.equal(made.encode_video(pixels), expected)
        assert torch.equal(model.encode_video(pixels), expected)


@pytest.mark.parametrize(
    ("part", "values", "told"),
    [
        ("image", {"model_type": ["siglip_vision_model"]}, "are not known; known are"),
        ("image", {"model_type": {}}, "are not known; known are"),
        ("text", {"model_type": None}, "are not known; known are"),
        ("image", {"image_size": None}, "makes? no sense|refuses its settings|cannot be made|do not|has shape"),
    ],
)
def test_odd_settings_of_our_own_folder_are_said_in_one_sentence(
    part: str, values: dict[str, Any], told: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder, _ = folder_of("siglip", folders)
    claver.load(folder, temporal="mean").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config[part]["settings"].update(values)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ClaverError, match=told):
        claver.load(tmp_path)


def test_other_pooling_and_other_prefixes_than_there_are_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    image, _ = folder_of("dinov2_with_registers", folders)
    words, _ = text_folder(folders)
    claver.load(image, text=words, temporal="mean").save_pretrained(tmp_path)
    right = json.loads((tmp_path / "config.json").read_text())
    for change, told in (
        (lambda c: c["text"]["settings"].update(claver_pooling="x"), "claver_pooling must be one of"),
        (lambda c: c["image"].pop("prefix"), "prefix is 1, but the tower has 4"),
    ):
        config = copy.deepcopy(right)
        change(config)
        (tmp_path / "config.json").write_text(json.dumps(config))
        with pytest.raises(ClaverError, match=told):
            claver.load(tmp_path)


def test_names_of_another_version_of_the_library_are_told_by_its_number(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder, _ = folder_of("siglip", folders)
    claver.load(folder, temporal="mean").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["image"]["settings"]["transformers_version"] = "9.9.9"
    (tmp_path / "config.json").write_text(json.dumps(config))
    weights = load_file(tmp_path / "model.safetensors")
    renamed = {key.replace("image.body.encoder.", "image.body.blocks."): value for key, value in weights.items()}
    save_file(renamed, tmp_path / "model.safetensors")
    with pytest.raises(ClaverError, match=r"it was saved by transformers 9\.9\.9, with which it can be loaded"):
        claver.load(tmp_path)


@pytest.mark.parametrize("place", ["2_Pooling", "..", ".", "sub/1_Pooling"])
def test_a_pooling_that_is_not_where_it_is_said_is_refused(place: str, tmp_path: Path) -> None:
    families.sentence_encoder(tmp_path / "words")
    shutil.copy(tmp_path / "words" / "1_Pooling" / "config.json", tmp_path / "config.json")
    steps = [{"type": "m.Transformer", "path": ""}, {"type": "m.Pooling", "path": place}]
    (tmp_path / "words" / "modules.json").write_text(json.dumps(steps))
    with pytest.raises(ClaverError, match="says that its pooling is in"):
        sentence_pooling(tmp_path / "words")


def test_a_blend_in_half_precision_keeps_scale_and_bias_exact(folders: dict[str, Path]) -> None:
    folder, _ = folder_of("siglip", folders)
    half = claver.load(folder, temporal="mean", dtype=torch.bfloat16)
    made = blend(load_weights(folder), half, 0.5)
    assert torch.equal(made.logit_scale, half.logit_scale)
    assert made.bias is not None
    assert made.bias.dtype == torch.float32
