"""Model folders of `transformers` other than CLIP's: pairs of towers, image towers alone, sentence encoders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from claver.errors import CheckpointError
from claver.models.checkpoint.files import read_json, read_list
from claver.models.checkpoint.folder import CONFIG
from claver.models.checkpoint.hugging_face import (
    config_from_hugging_face,
    preprocess_from_hugging_face,
    processed_size,
    read_preprocessor,
    square,
)
from claver.models.checkpoint.library_tokenizer import longest_row
from claver.models.checkpoint.library_weights import library_model
from claver.models.checkpoint.names import State, from_hugging_face
from claver.models.checkpoint.weights import find_weights, read_tensors, require_sound
from claver.models.config import Activation, ClaverConfig, ImageConfig, TemporalConfig, TextConfig
from claver.models.library import made_by, made_config, plain_settings
from claver.models.text.transformers import POOLING
from claver.models.towers import CLIP, TRANSFORMERS
from claver.models.vision.transformers import FAMILIES as IMAGES
from claver.video.transforms import Preprocess

Part = Literal["pair", "image", "text"]
_ACTIVATIONS: dict[object, Activation] = {
    "quick_gelu": "quick_gelu",
    "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
}
_POOLING = "1_Pooling"
SENTENCE = "modules.json"
"""What a folder of sentence-transformers has beside a model of transformers."""
_UNREAD = r"(.*\.)?(classifier|pooler|cls|lm_head|qa_outputs|mask_token|position_ids|token_type_ids)(\..*)?"
"""Weights that a tower may lack or have too much: heads of other tasks, and tables that are no weights."""


@dataclass(frozen=True)
class Family:
    """What a folder with a `model_type` of transformers holds.

    Attributes:
        part: a pair of towers, or one.
        model: the class that reads its weights.
        image: the settings' `model_type` of its image tower; None where it is CLIP's ViT.
        text: the same of its text tower.
        bias: whether similarities have one.
        options: of the class.
    """

    part: Part
    model: str
    image: str | None = None
    text: str | None = None
    bias: bool = False
    options: tuple[tuple[str, Any], ...] = ()


_UNPOOLED = (("add_pooling_layer", False),)
FAMILIES: dict[str, Family] = {
    "siglip": Family("pair", "SiglipModel", "siglip_vision_model", "siglip_text_model", bias=True),
    "altclip": Family("pair", "AltCLIPModel", None, "altclip_text_model"),
    "chinese_clip": Family("pair", "ChineseCLIPModel", None, "chinese_clip_text_model"),
    "metaclip_2": Family("pair", "MetaClip2Model"),
    "dinov2": Family("image", "Dinov2Model", "dinov2"),
    "dinov2_with_registers": Family("image", "Dinov2WithRegistersModel", "dinov2_with_registers"),
    "dinov3_vit": Family("image", "DINOv3ViTModel", "dinov3_vit"),
    "vit": Family("image", "ViTModel", "vit", options=_UNPOOLED),
    "bert": Family("text", "BertModel", text="bert", options=_UNPOOLED),
    "roberta": Family("text", "RobertaModel", text="roberta", options=_UNPOOLED),
    "xlm-roberta": Family("text", "XLMRobertaModel", text="xlm-roberta", options=_UNPOOLED),
    "mpnet": Family("text", "MPNetModel", text="mpnet", options=_UNPOOLED),
}
REFUSED = {
    "siglip2": "is SigLIP 2 of any resolution (NaFlex), whose frames keep their proportions; "
    "its models of fixed resolution can be loaded, such as google/siglip2-base-patch16-224",
}
"""Model types that are near to what can be loaded, and why they cannot be."""


def config_of(folder: Path, kind: str) -> ClaverConfig:
    """The config of a pair of towers; of one tower alone with the usual for the other, which `join` replaces.

    Raises:
        ClaverError: settings that make no sense, or that this project cannot follow.
    """
    values, family = read_json(folder / CONFIG), FAMILIES[kind]
    processor = read_preprocessor(folder)
    if kind == "metaclip_2":
        found = config_from_hugging_face(values, processor, own=True, literal_eot=True)
        return replace(found, preprocess=_pixels(processor, found.image.size))
    whole = made_config(family.model, values)
    try:
        return _whole_config(folder, family, values, whole, processor)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise CheckpointError(f"a setting is missing or makes no sense: {type(error).__name__} {error}") from error


def _whole_config(
    folder: Path, family: Family, values: Mapping[str, Any], whole: Any, processor: Mapping[str, Any] | None
) -> ClaverConfig:
    vision = _section(whole, "vision_config", family.part == "pair")
    language = _section(whole, "text_config", family.part == "pair")
    image, preprocess = ImageConfig(), Preprocess.paper()
    if family.part != "text":
        image = _image(vision, family.image, processor)
        preprocess = _pixels(processor, image.size)
    text = TextConfig() if family.part == "image" else _text(language, family, folder)
    return ClaverConfig(
        image,
        text,
        TemporalConfig(layers=max(1, image.layers // 3)),
        embedding=_embedding(values, family, whole, text),
        activation=_activation(vision, strict=family.image is None) if family.part != "text" else "gelu",
        norm_eps=float(vision.get("layer_norm_eps", 1e-5)) if family.part != "text" else 1e-5,
        preprocess=preprocess,
        bias=family.bias,
    )


def _section(config: Any, name: str, nested: bool) -> dict[str, Any]:
    """The settings of one tower, with the library's defaults for what is left out."""
    return plain_settings((getattr(config, name) if nested else config).to_dict())


def _embedding(values: Mapping[str, Any], family: Family, whole: Any, text: TextConfig) -> int:
    if family.bias:
        return int(whole.text_config.projection_size)
    return int(whole.projection_dim) if family.part == "pair" else text.width


def _activation(vision: Mapping[str, Any], *, strict: bool) -> Activation:
    """That of the tower, which a temporal tower has as well; one that we do not have is only refused in our own ViT."""
    named = vision.get("hidden_act")
    if strict and named not in ("quick_gelu", "gelu"):
        raise CheckpointError(f"activation {named!r} is not supported in an image tower; quick_gelu and gelu are")
    return _ACTIVATIONS.get(named, "gelu")


def _image(vision: Mapping[str, Any], tower: str | None, processor: Mapping[str, Any] | None) -> ImageConfig:
    width, heads, patch = (
        vision["hidden_size"],
        vision["num_attention_heads"],
        square(vision["patch_size"], "patch_size"),
    )
    mlp = vision.get("intermediate_size") if "mlp_ratio" not in vision else None
    made_for = square(vision["image_size"], "image_size")
    if vision.get("num_channels", 3) != 3:
        raise CheckpointError(f"its image tower takes {vision['num_channels']} channels; frames have 3")
    if tower is not None and tower.startswith("siglip") and not vision.get("vision_use_head", True):
        raise CheckpointError("its image tower has no pooling head, so nothing stands for a frame")
    # Towers that were made for other tasks are used at the size that their processor gives.
    size = made_for if tower is None or tower.startswith("siglip") else processed_size(processor, made_for)
    return ImageConfig(
        size,
        patch,
        width,
        vision["num_hidden_layers"],
        heads,
        None if mlp == 4 * width else mlp,
        1 + vision.get("num_register_tokens", 0),
        CLIP if tower is None else TRANSFORMERS,
        {}
        if tower is None
        else {**vision, "model_type": tower, "image_size": made_for, "patch_size": patch, **made_by()},
    )


def _text(language: Mapping[str, Any], family: Family, folder: Path) -> TextConfig:
    settings = {**language, "model_type": family.text, **made_by()}
    if family.part == "text":
        settings[POOLING] = sentence_pooling(folder)
    width, mlp, eot = language["hidden_size"], language["intermediate_size"], language.get("eos_token_id")
    positions = language["max_position_embeddings"]
    if family.text in ("roberta", "xlm-roberta", "mpnet", "altclip_text_model"):
        positions -= language["pad_token_id"] + 1  # positions begin behind that of the padding
    vocabulary = language["vocab_size"]
    return TextConfig(
        positions if family.bias else min(positions, longest_row(folder) or positions),
        vocabulary,
        eot if type(eot) is int and 0 <= eot < vocabulary else 0,  # nothing is read at it
        width,
        language["num_hidden_layers"],
        language["num_attention_heads"],
        None if mlp == 4 * width else mlp,
        TRANSFORMERS,
        settings,
    )


def sentence_pooling(folder: Path) -> str:
    """What of a text a sentence encoder reads, as sentence-transformers writes it; the mean where it does not say.

    Raises:
        CheckpointError: a pooling that is not known here.
    """
    if not (folder / SENTENCE).is_file():
        return "mean"
    steps = read_list(folder / SENTENCE)
    kinds = [str(step.get("type", "")).rpartition(".")[2] for step in steps]
    if more := [kind for kind in kinds if kind not in ("Transformer", "Pooling", "Normalize")]:
        raise CheckpointError(f"{folder / SENTENCE}: its texts pass through {more[0]} as well, which is not supported")
    _refuse_prompts(folder)
    if "Pooling" not in kinds:
        return "mean"
    place = str(steps[kinds.index("Pooling")].get("path") or _POOLING).rstrip("/")
    path = folder / place / CONFIG
    if Path(place).name != place or place in (".", "..") or not path.is_file():
        raise CheckpointError(f"{folder / SENTENCE} says that its pooling is in {place!r}, where there is no {CONFIG}")
    values = read_json(path)
    modes = [key for key, value in values.items() if key.startswith("pooling_mode_") and value is True]
    named = values.get("pooling_mode")  # as later versions write it
    modes += named if isinstance(named, list) else [] if named is None else [named]
    known = {"pooling_mode_mean_tokens": "mean", "mean": "mean", "pooling_mode_cls_token": "first", "cls": "first"}
    if not modes:
        return "mean"
    if len(modes) > 1 or modes[0] not in known:
        raise CheckpointError(f"{path}: pooling by {', '.join(map(str, modes))} is not supported; by cls or mean it is")
    return known[modes[0]]


def _refuse_prompts(folder: Path) -> None:
    """Texts that are put before every other, or changed: what is encoded without them are not its vectors."""
    path = folder / "config_sentence_transformers.json"
    name = read_json(path).get("default_prompt_name") if path.is_file() else None
    if name is not None:
        raise CheckpointError(f"{path}: it puts the prompt {name!r} before every text, which is not supported")


def _pixels(processor: Mapping[str, Any] | None, size: int) -> Preprocess:
    """What the checkpoint's own processor does."""
    if processor is None:
        raise CheckpointError(
            "there is no preprocessor_config.json beside the weights; it says what the model does to pixels, which "
            "differs from family to family"
        )
    return preprocess_from_hugging_face(processor, size, own=True)


def state_of(folder: Path, kind: str, config: ClaverConfig) -> State:
    """Weights of a folder under our names.

    Raises:
        CheckpointError: they are damaged, or not those of the config.
    """
    family, raw = FAMILIES[kind], read_tensors(find_weights(folder, kind))
    if kind == "metaclip_2":
        require_sound({key: value for key, value in raw.items() if value.is_floating_point()})
        return from_hugging_face(raw)
    settings = read_json(folder / CONFIG)
    return _own(family, library_model(family.model, settings, raw, dict(family.options), _UNREAD).state_dict())


def _own(family: Family, state: State) -> State:
    """Names of the library as ours."""
    nested = family.part == "pair"
    made: State = {}
    vision: State = {}
    for key, value in state.items():
        if key in ("logit_scale", "logit_bias"):
            made[key] = value.reshape(())
        elif key == "text_projection.weight":
            made["text.projection"] = value.T.contiguous()
        elif (nested and key.startswith("text_model.")) or family.part == "text":
            made[f"text.body.{key.removeprefix('text_model.')}"] = value
        elif family.image is None:
            vision[key] = value
        else:
            made[_image_name(key.removeprefix("vision_model.") if nested else key, family.image)] = value
    return made | (from_hugging_face(vision) if vision else {})


def _image_name(key: str, tower: str) -> str:
    family = IMAGES[tower]
    if family.pools:
        if key.startswith(f"{family.norm}."):
            return f"image.pool.{key.replace(family.norm, 'norm', 1)}"
        return f"image.pool.{key}" if key.startswith("head.") else f"image.body.{key}"
    return (
        f"readout.{key.replace(family.norm, 'norm', 1)}" if key.startswith(f"{family.norm}.") else f"image.body.{key}"
    )
