"""open_clip's checkpoints: heads and activation as its config says, as published, or as given; never a silent guess."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tests.models.random_clip import assert_same_features, open_clip_config, openai_names, random_clip, write_json

import claver
from claver.errors import CheckpointError, ClaverError
from claver.models.checkpoint.hub import download
from claver.models.checkpoint.inferred import infer_config
from claver.models.checkpoint.open_clip import config_from_open_clip
from claver.models.config import Activation, ClaverConfig
from claver.video.transforms import Preprocess

pytest.importorskip("transformers", reason="transformers (extra hf) is not installed")

HEADS_80 = {"hidden_size": 320, "num_attention_heads": 4, "intermediate_size": 1280}


def open_clip_folder(folder: Path, theirs: Any, *, name: str = "open_clip_model.safetensors", **changes: Any) -> Path:
    write_json(folder / "open_clip_config.json", open_clip_config(theirs, **changes))
    state = openai_names(theirs)
    save_file(state, folder / name) if name.endswith(".safetensors") else torch.save(state, folder / name)
    return folder


@pytest.mark.parametrize("name", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"])
@pytest.mark.parametrize("hidden_act", ["gelu", "quick_gelu"])
@pytest.mark.parametrize("vision", [{}, HEADS_80, {"intermediate_size": 300}], ids=["heads32", "heads80", "mlp"])
def test_a_folder_or_its_file_gives_transformers_features(
    tmp_path: Path, name: str, hidden_act: str, vision: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    theirs = random_clip(hidden_act=hidden_act, vision=vision, text={"num_attention_heads": 4})
    folder = open_clip_folder(tmp_path, theirs, name=name)
    for source in (folder, folder / name):
        assert_same_features(claver.load(source, temporal="mean"), theirs)
    assert not caplog.records


def test_weights_without_a_config_are_told_what_they_do_not_tell(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = random_clip(hidden_act="gelu", vision=HEADS_80)
    torch.save(openai_names(theirs), tmp_path / "x.bin")
    with pytest.raises(CheckpointError, match=r"how many heads the image tower has, which is 320 wide \(5 or 4\)"):
        claver.load(tmp_path / "x.bin")
    claver.load(tmp_path / "x.bin", temporal="mean", heads=(4, 2))
    assert "do not tell the activation (taken as quick_gelu" in caplog.text
    caplog.clear()
    assert_same_features(claver.load(tmp_path / "x.bin", temporal="mean", heads=(4, 2), activation="gelu"), theirs)
    assert not caplog.records
    claver.load(tmp_path / "x.bin", temporal="mean", heads=4)
    assert "the heads of the text tower (taken as 1, 64 wide each), nor the activation" in caplog.text


def test_a_config_that_is_contradicted_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = open_clip_folder(tmp_path, random_clip())
    assert claver.load(folder, temporal="mean", activation="gelu", heads=2).config.image.heads == 2
    assert "in place of those of the checkpoint's config" in caplog.text
    for wrong in ({"activation": "relu"}, {"heads": 0}, {"heads": (1, 2, 3)}):
        with pytest.raises(CheckpointError, match="must be"):
            claver.load(folder, **wrong)  # type: ignore[arg-type]


def shapes(width: int, layers: int, mlp: int, text: tuple[int, int], embedding: int) -> dict[str, torch.Tensor]:
    """What tells the sizes of a model, without memory of its own."""
    empty = {"image.patch.weight": (width, 3, 14, 14), "image.position": (257, width)}
    empty |= {"text.position": (77, text[0]), "text.embedding.weight": (49408, text[0])}
    empty |= {"readout.projection": (width, embedding), "image.blocks.0.up.bias": (mlp,)}
    empty |= {f"image.blocks.{layers - 1}.up.bias": (mlp,), f"text.blocks.{text[1] - 1}.up.bias": (4 * text[0],)}
    return {key: torch.empty(shape, device="meta") for key, shape in empty.items()}


@pytest.mark.parametrize(
    ("sizes", "heads"),
    [
        ((1280, 32, 5120, (1024, 24), 1024), (16, 16)),  # ViT-H-14: heads 80 wide
        ((1408, 40, 6144, (1024, 24), 1024), (16, 16)),  # ViT-g-14: 88
        ((1664, 48, 8192, (1280, 32), 1280), (16, 20)),  # ViT-bigG-14: 104
    ],
)
def test_published_sizes_have_their_own_heads_but_not_their_activation(sizes: Any, heads: tuple[int, int]) -> None:
    with pytest.raises(CheckpointError, match=r"activation='gelu' .* or 'quick_gelu'"):
        infer_config(shapes(*sizes))
    config = infer_config(shapes(*sizes), activation="gelu")
    assert (config.image.heads, config.text.heads) == heads
    assert (config.image.mlp or 4 * config.image.width) == sizes[2]


def test_openai_s_sizes_are_taken_as_openai_s_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    config = infer_config(shapes(1024, 24, 4096, (768, 12), 768))
    assert (config.image.heads, config.text.heads, config.activation) == (16, 12, "quick_gelu")
    assert len(caplog.records) == 1
    assert "heads" not in caplog.text.split(";")[0]
    caplog.clear()
    infer_config(shapes(1024, 24, 4096, (768, 12), 768), openai=True)
    assert not caplog.records


PUBLISHED = {  # as open_clip has them
    "ViT-H-14": ((1280, 32, 80, 14, 4.0), (1024, 16, 24), 1024, (16, None)),
    "ViT-g-14": ((1408, 40, 88, 14, 4.3637), (1024, 16, 24), 1024, (16, 6144)),
    "ViT-bigG-14": ((1664, 48, 104, 14, 4.9231), (1280, 20, 32), 1280, (16, 8192)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_configs(name: str) -> None:
    (width, layers, head, patch, ratio), (text, heads, depth), embedding, (expected, mlp) = PUBLISHED[name]
    vision = {"image_size": 224, "layers": layers, "width": width, "head_width": head, "patch_size": patch}
    words = {"context_length": 77, "vocab_size": 49408, "width": text, "heads": heads, "layers": depth}
    model = {"embed_dim": embedding, "vision_cfg": vision | {"mlp_ratio": ratio}, "text_cfg": words}
    config = config_from_open_clip({"model_cfg": model, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3}})
    assert (config.image.heads, config.image.mlp, config.activation) == (expected, mlp, "gelu")
    assert config.text.eot == 49407
    assert config.preprocess == Preprocess(224, 256, (0.5,) * 3, (0.25,) * 3)
    assert config_from_open_clip({"model_cfg": model | {"quick_gelu": True}}).activation == "quick_gelu"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text_cfg": {"hf_model_name": "xlm-roberta-base"}}, "text tower is Hugging Face's 'xlm-roberta-base'"),
        ({"multimodal_cfg": {"width": 512}}, "this is a CoCa model"),
        ({"init_logit_bias": -10}, "this is a SigLIP model"),
        ({"vision_cfg": {"timm_model_name": "vit_base"}}, "image tower is timm's 'vit_base'"),
        ({"vision_cfg": {"layers": [3, 4, 6, 3]}}, "image tower is a ResNet"),
        ({"vision_cfg": {"attentional_pool": True}}, "attentional_pool True is not supported"),
        ({"vision_cfg": {"no_ln_pre": True, "pool_type": "avg"}}, "no_ln_pre True is not supported"),
        ({"vision_cfg": {"ls_init_value": 1e-4}}, "ls_init_value 0.0001 is not supported"),
        ({"text_cfg": {"pool_type": "last"}}, "pool_type 'last' is not supported"),
        ({"text_cfg": {"no_causal_mask": True}}, "no_causal_mask True is not supported"),
        ({"text_cfg": {"embed_cls": True}}, "embed_cls True is not supported"),
        ({"text_cfg": {"tokenizer_kwargs": {"clean": "canonicalize"}}}, "tokenizer_kwargs"),
        ({"vision_cfg": {"norm_kwargs": {"eps": 1e-6}}}, "eps is 1e-06 for images but 1e-05 for texts"),
        ({"vision_cfg": {"mlp_ratio": "x"}}, "mlp_ratio must be a number"),
        ({"vision_cfg": {"head_width": 48}}, "cannot be cut into heads of head_width 48"),
        ({"text_cfg": {"layers": 10**7}}, "no model has more"),
        ({"vision_cfg": {"something_new": 1}}, "something_new 1 is not supported"),
        ({"vision_cfg": {"norm_eps": 1e-3}}, "norm_eps 0.001 is not supported"),
        ({"vision_cfg": {"mlp_type": "swiglu"}}, "mlp_type 'swiglu' is not supported"),
        ({"preprocess_cfg": {"resize_mode": "longest"}}, "resize_mode 'longest' is not supported"),
        ({"preprocess_cfg": {"interpolation": "nearest"}}, "interpolation must be"),
        ({"preprocess_cfg": {"std": [0.5, 0, 0.5]}}, "std must be three finite numbers, each above 0"),
    ],
)
def test_what_is_no_clip_is_refused_by_its_name(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    folder = open_clip_folder(tmp_path, random_clip(), **changes)
    with pytest.raises(CheckpointError, match=f"open_clip_config.json: .*{message}"):
        claver.load(folder)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("visual.trunk.blocks.0.attn.qkv.weight", "its image tower is of timm"),
        ("logit_bias", "it is a SigLIP model"),
        ("text_decoder.resblocks.0.ln_1.weight", "it is a CoCa model"),
        ("text.transformer.encoder.layer.0.output.dense.weight", "its text tower is of Hugging Face"),
    ],
)
@pytest.mark.parametrize("rest", [True, False])
def test_weights_of_other_models_are_known_by_their_names(tmp_path: Path, key: str, message: str, rest: bool) -> None:
    state = openai_names(random_clip()) if rest else {}
    torch.save(state | {key: torch.zeros(2)}, tmp_path / "x.bin")
    with pytest.raises(CheckpointError, match=rf"x\.bin: {message}.* \('{key}'\)"):
        claver.load(tmp_path / "x.bin", heads=(2, 2))


def test_a_text_tower_of_its_own_and_a_scale_of_one_entry(tmp_path: Path) -> None:
    theirs = random_clip(hidden_act="gelu")
    text = ("transformer.", "token_embedding.", "positional_embedding", "ln_final.", "text_projection")
    state = {f"text.{key}" if key.startswith(text) else key: value for key, value in openai_names(theirs).items()}
    state["logit_scale"] = state["logit_scale"].reshape(1)
    write_json(tmp_path / "open_clip_config.json", open_clip_config(theirs, custom_text=True))
    save_file(state, tmp_path / "open_clip_model.safetensors")
    assert_same_features(claver.load(tmp_path, temporal="mean"), theirs)


def test_transformers_config_serves_open_clip_s_weights_beside_it(tmp_path: Path) -> None:
    theirs = random_clip(tmp_path, hidden_act="gelu")
    save_file(openai_names(theirs), tmp_path / "open_clip_model.safetensors")
    assert_same_features(claver.load(tmp_path / "open_clip_model.safetensors", temporal="mean"), theirs)
    (tmp_path / "model.safetensors").unlink()
    assert_same_features(claver.load(tmp_path, temporal="mean"), theirs)


def test_a_config_beside_weights_of_another_size_is_not_theirs(tmp_path: Path, caplog: Any) -> None:
    random_clip(tmp_path)
    torch.save(openai_names(random_clip(vision=HEADS_80)), tmp_path / "other.bin")
    with pytest.raises(CheckpointError, match="how many heads"):
        claver.load(tmp_path / "other.bin")


def test_names_that_need_a_config_say_so(tmp_path: Path) -> None:
    theirs = random_clip()
    torch.save(theirs.state_dict(), tmp_path / "x.bin")
    with pytest.raises(CheckpointError, match=r"names of a model of type 'clip', but there is no config\.json"):
        claver.load(tmp_path / "x.bin")
    write_json(tmp_path / "config.json", {"model_type": "siglip"})
    with pytest.raises(CheckpointError, match="beside them is of model_type 'siglip'"):
        claver.load(tmp_path / "x.bin")


@pytest.mark.parametrize("name", ["last.ckpt", "model.pyth", "weights.PT"])
def test_files_of_weights_by_any_of_their_suffixes(tmp_path: Path, name: str) -> None:
    theirs = random_clip()
    state = {f"model.{key}": value for key, value in openai_names(theirs).items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / name)
    assert_same_features(claver.load(tmp_path / name, temporal="mean", heads=(4, 2)), theirs)


def test_model_state_dict_of_other_training_code(tmp_path: Path) -> None:
    theirs = random_clip()
    checkpoint = {"epoch": 1, "model_state_dict": openai_names(theirs), "fusion_model_state_dict": {}}
    torch.save(checkpoint, tmp_path / "model.pt")
    loaded = claver.load(tmp_path / "model.pt", temporal="mean", heads=(4, 2), activation="quick_gelu")
    assert_same_features(loaded, theirs)


HF, OPEN_CLIP = "model.safetensors", "open_clip_model.safetensors"
SHARDS = {"model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}


@pytest.mark.parametrize(
    ("kind", "files", "fetched"),
    [
        ("clip", {HF, OPEN_CLIP, "pytorch_model.bin", "model_int8.safetensors"}, {HF}),
        ("clip", {*SHARDS, "pytorch_model.bin", "tf_model.h5"}, SHARDS),
        ("clip", {"pytorch_model.bin"}, {"pytorch_model.bin"}),
        ("clip", {OPEN_CLIP}, {OPEN_CLIP}),
        ("open_clip", {HF, OPEN_CLIP, "open_clip_pytorch_model.bin"}, {OPEN_CLIP}),
        ("open_clip", {"open_clip_pytorch_model.bin", "model.onnx"}, {"open_clip_pytorch_model.bin"}),
        ("claver", {HF, "optimizer.safetensors"}, {HF}),
    ],
)
def test_one_copy_of_the_weights_is_downloaded(tmp_path: Path, kind: str, files: set[str], fetched: set[str]) -> None:
    """A faked hub: what a snapshot's patterns fit appears in the folder."""
    configs = {"clip": "config.json", "open_clip": "open_clip_config.json", "claver": "config.json"}
    contents = dict.fromkeys([*files, "preprocessor_config.json", "tokenizer.json", "merges.txt", "README.md"], "{}")
    values = open_clip_config(random_clip()) if kind == "open_clip" else {"model_type": kind}
    contents[configs[kind]] = json.dumps(values)

    def snapshot(patterns: list[str]) -> str:
        for name, text in contents.items():
            if any(Path(name).match(pattern) for pattern in patterns):
                (tmp_path / name).write_text(text)
        return str(tmp_path)

    assert download(snapshot) == tmp_path
    there = {path.name for path in tmp_path.iterdir()}
    assert there == fetched | {configs[kind], "preprocessor_config.json", "tokenizer.json", "merges.txt"}


def test_no_weights_are_downloaded_for_a_config_that_cannot_be_loaded(tmp_path: Path) -> None:
    asked: list[list[str]] = []

    def snapshot(patterns: list[str]) -> str:
        asked.append(patterns)
        write_json(tmp_path / "open_clip_config.json", open_clip_config(random_clip(), multimodal_cfg={"width": 512}))
        return str(tmp_path)

    with pytest.raises(CheckpointError, match="this is a CoCa model"):
        download(snapshot)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("name", "heads", "activation"),
    [
        ("gelu_head64", 1, "gelu"),
        ("quickgelu_head80_as_ViT-H", 4, "quick_gelu"),
        ("quickgelu_head64_control", 1, "quick_gelu"),
    ],
)
def test_shared_cases(
    shared: Path, name: str, heads: int, activation: Activation, caplog: pytest.LogCaptureFixture
) -> None:
    """Right once the caller says what the file cannot; else a word or a refusal."""
    path = shared / "cases" / "models" / f"open_clip_{name}.bin"
    expected = torch.load(path.with_name(f"{path.name}.expected.pt"), weights_only=True)
    model = claver.load(path, temporal="mean", heads=(heads, 1), activation=activation)
    with torch.no_grad():
        images = torch.nn.functional.normalize(model.encode_video(expected["pixels"][:, None])[:, 0], dim=-1)
        words = torch.nn.functional.normalize(model.encode_text(expected["ids"]).reshape(-1, 48), dim=-1)
    torch.testing.assert_close(images, expected["image"], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(words, expected["text"], rtol=1e-3, atol=1e-4)
    caplog.clear()
    try:
        claver.load(path, temporal="mean")
    except ClaverError:
        return
    assert "the weights do not tell" in caplog.text


@pytest.mark.parametrize(
    "name",
    [
        "hf_folder_config_dicts_differ",
        "hf_folder_with_stray_model_int8.safetensors",
        "hf_pytorch_model_bin_module_prefix",
    ],
)
def test_shared_folders(shared: Path, name: str) -> None:
    folder = shared / "cases" / "models" / name
    expected = torch.load(folder.with_name(f"{name}.expected.pt"), weights_only=True)
    model = claver.load(folder, temporal="mean")
    with torch.no_grad():
        images = torch.nn.functional.normalize(model.encode_video(expected["pixels"][:, None])[:, 0], dim=-1)
        words = torch.nn.functional.normalize(model.encode_text(expected["ids"]).reshape(-1, 48), dim=-1)
    torch.testing.assert_close(images, expected["image"], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(words, expected["text"], rtol=1e-3, atol=1e-4)


def test_a_saved_model_keeps_what_open_clip_said(tmp_path: Path) -> None:
    theirs = random_clip(hidden_act="gelu", vision=HEADS_80)
    settings = {"resize_mode": "squash", "interpolation": "bilinear", "mean": 0.5, "std": [0.5] * 3}
    loaded = claver.load(open_clip_folder(tmp_path / "theirs", theirs, preprocess_cfg=settings), temporal="mean")
    assert loaded.config.preprocess == Preprocess(32, 32, (0.5,) * 3, (0.5,) * 3, "bilinear", "squash")
    loaded.save_pretrained(tmp_path / "ours")
    assert_same_features(claver.load(tmp_path / "ours"), theirs)
    values = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert ClaverConfig.from_dict(values) == loaded.config
