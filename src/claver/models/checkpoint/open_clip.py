"""open_clip's `open_clip_config.json` as our config, and the sizes of its models whose weights came without one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from claver.errors import CheckpointError
from claver.models.checkpoint.hugging_face import made_preprocess, square, triple
from claver.models.config import ClaverConfig, ImageConfig, TemporalConfig, TextConfig
from claver.video.transforms import CLIP_MEAN, CLIP_STD, Preprocess

OPEN_CLIP_CONFIG = "open_clip_config.json"

IMAGE_HEADS = {
    (384, 12): 6,  # ViT-S
    (512, 12): 8,  # ViT-M
    (768, 12): 12,  # ViT-B
    (896, 12): 14,  # ViT-B-plus
    (1024, 24): 16,  # ViT-L
    (1280, 32): 16,  # ViT-H
    (1408, 40): 16,  # ViT-g
    (1664, 48): 16,  # ViT-bigG
    (1792, 56): 16,  # ViT-e
}
"""Heads of the image towers published for open_clip, by width and layers."""
TEXT_HEADS = {
    (256, 10): 4,
    (384, 12): 6,
    (512, 12): 8,
    (640, 12): 10,
    (768, 12): 12,
    (1024, 24): 16,
    (1280, 32): 20,
    (1280, 36): 20,
}
"""Heads of the text towers published for open_clip, by width and layers."""
OPENAI_IMAGES = ((768, 12), (1024, 24))
"""Image towers of this width and depth OpenAI published as well, with QuickGELU; the others only open_clip did."""

_OTHER_MODELS = {
    "multimodal_cfg": "a CoCa model",
    "audio_cfg": "a model of sounds (CLAP)",
    "genlip_cfg": "a generative model (GenLIP)",
    "genlap_cfg": "a generative model (GenLAP)",
}
_IMAGE_USUAL: dict[str, Any] = {"pool_type": "tok", "pos_embed_type": "learnable", "block_type": "default"}
_TEXT_USUAL: dict[str, Any] = {"text_arch": "clip", "proj_type": "linear", "block_type": "default"}
_FREE = {  # keys that do not change what is computed here, or are read below
    *(
        "layers",
        "width",
        "head_width",
        "heads",
        "mlp_ratio",
        "patch_size",
        "image_size",
        "image_seq_len",
        "patch_dropout",
    ),
    *("context_length", "vocab_size", "pad_id", "bos_id", "eos_id", "pool_type", "norm_kwargs", "output_tokens"),
    *("final_ln_after_pool", "attn_pooler_queries", "attn_pooler_heads", "hf_tokenizer_name", "tokenizer_mode"),
    *("hf_model_pretrained", "timm_model_pretrained", "timm_pool", "timm_proj", "timm_drop", "timm_drop_path"),
    *("timm_proj_bias", "hf_proj_type", "hf_pooler_type"),
}


def config_from_open_clip(values: Mapping[str, Any], *, own: bool = False) -> ClaverConfig:
    """Our config from the contents of an `open_clip_config.json`; what it leaves out has open_clip's default.

    Raises:
        ClaverError: something that CLIP's two transformers do not have; the message says what.
    """
    model = _mapping(values.get("model_cfg", values), "model_cfg")
    for key, what in _OTHER_MODELS.items():
        if model.get(key):
            raise CheckpointError(f"this is {what}; only CLIP's image and text transformers can be loaded")
    if model.get("init_logit_bias") is not None:
        raise CheckpointError("this is a SigLIP model, whose similarity has a bias; only CLIP models can be loaded")
    vision, language = _mapping(model.get("vision_cfg"), "vision_cfg"), _mapping(model.get("text_cfg"), "text_cfg")
    _check_image(vision)
    _check_text(language)
    image, text = _image(vision), _text(language)
    return ClaverConfig(
        image,
        text,
        TemporalConfig(layers=max(1, image.layers // 3)),
        embedding=model.get("embed_dim"),  # type: ignore[arg-type]  # checked there
        activation="quick_gelu" if model.get("quick_gelu", False) else "gelu",
        norm_eps=_norm_eps(vision, language),
        preprocess=preprocess_from_open_clip(values.get("preprocess_cfg") or {}, image.size, own=own),
    )


def _check_image(vision: Mapping[str, Any]) -> None:
    if vision.get("timm_model_name"):
        raise CheckpointError(
            f"its image tower is timm's {vision['timm_model_name']!r}; only CLIP's own ViT can be loaded"
        )
    if isinstance(vision.get("layers"), list):
        raise CheckpointError("its image tower is a ResNet; only CLIP's own ViT can be loaded")
    _check_usual("vision_cfg", vision, _IMAGE_USUAL)


def _check_text(language: Mapping[str, Any]) -> None:
    if language.get("hf_model_name"):
        name = language["hf_model_name"]
        raise CheckpointError(
            f"its text tower is Hugging Face's {name!r}; only CLIP's own text transformer can be loaded"
        )
    pool = language.get("pool_type", "argmax")
    if pool not in ("argmax", "eos"):
        raise CheckpointError(
            f"text_cfg: pool_type {pool!r} is not supported; CLIP reads a text at its end-of-text token"
        )
    if pool == "eos" and language.get("eos_id") is None:
        raise CheckpointError("text_cfg: pool_type 'eos' needs an eos_id")
    _check_usual("text_cfg", language, _TEXT_USUAL)


def _check_usual(section: str, given: Mapping[str, Any], usual: Mapping[str, Any]) -> None:
    """Refuse whatever is set to something that CLIP's transformers do not have, keys nobody knows included."""
    for key, value in given.items():
        off = value in (None, False, "", {}, []) or value == usual.get(key)
        if not off and (key not in _FREE or key in usual):
            raise CheckpointError(
                f"{section}: {key} {value!r} is not supported; CLIP's transformers have no such thing"
            )


def _image(vision: Mapping[str, Any]) -> ImageConfig:
    width, head = vision.get("width", 768), vision.get("head_width", 64)
    return ImageConfig(
        square(vision.get("image_size", 224), "image_size"),
        square(vision.get("patch_size", 16), "patch_size"),
        width,
        vision.get("layers", 12),
        _heads(width, head),
        _mlp(width, vision.get("mlp_ratio", 4.0)),
    )


def _heads(width: Any, head: Any) -> Any:
    if type(width) is not int or type(head) is not int or head < 1 or width % head:
        raise CheckpointError(f"vision_cfg: a width of {width!r} cannot be cut into heads of head_width {head!r}")
    return width // head


def _text(language: Mapping[str, Any]) -> TextConfig:
    vocabulary, width = language.get("vocab_size", 49408), language.get("width", 512)
    # `argmax` reads the text at its largest id, which is end of text.
    largest = vocabulary - 1 if isinstance(vocabulary, int) else vocabulary
    return TextConfig(
        language.get("context_length", 77),
        vocabulary,
        language["eos_id"] if language.get("pool_type") == "eos" else largest,
        width,
        language.get("layers", 12),
        language.get("heads", 8),
        _mlp(width, language.get("mlp_ratio", 4.0)),
    )


def _mlp(width: Any, ratio: Any) -> int | None:
    """Hidden width of an MLP, None for the usual one; rounded as open_clip does."""
    if not isinstance(ratio, int | float) or not 0 < ratio < 1e6:
        raise CheckpointError(f"mlp_ratio must be a number above 0, not {ratio!r}")
    return None if ratio == 4 or type(width) is not int else int(width * ratio)


def _norm_eps(vision: Mapping[str, Any], language: Mapping[str, Any]) -> Any:
    found = []
    for name, section in (("vision_cfg", vision), ("text_cfg", language)):
        settings = _mapping(section.get("norm_kwargs") or {}, f"{name}: norm_kwargs")
        if unknown := sorted(set(settings) - {"eps"}):
            raise CheckpointError(f"{name}: norm_kwargs {unknown} are not supported, only eps")
        found.append(settings.get("eps", 1e-5))
    if found[0] != found[1]:
        raise CheckpointError(f"norm_kwargs: eps is {found[0]!r} for images but {found[1]!r} for texts")
    return found[0]


def preprocess_from_open_clip(values: Mapping[str, Any], size: int, *, own: bool = False) -> Preprocess:
    """open_clip's preprocessing of pictures, with the paper's short side in place of the crop's own unless `own`.

    Its `size` counts for nothing there either: the image tower's does.

    Raises:
        CheckpointError: a setting that cannot be followed.
    """
    origin = f"{OPEN_CLIP_CONFIG}: preprocess_cfg"
    values = {key: value for key, value in _mapping(values, origin).items() if value is not None}
    mode, resize = values.get("mode", "RGB"), values.get("resize_mode", "shortest")
    if mode != "RGB":
        raise CheckpointError(f"{origin}: mode {mode!r} is not supported; frames are RGB")
    if resize not in ("shortest", "squash"):
        raise CheckpointError(f"{origin}: resize_mode {resize!r} is not supported; shortest and squash are")
    interpolation = values.get("interpolation", "bicubic")
    return made_preprocess(
        origin,
        size=size,
        short_side=Preprocess.paper(size).short_side if resize == "shortest" and not own else size,
        mean=triple(values.get("mean", CLIP_MEAN)),
        std=triple(values.get("std", CLIP_STD)),
        interpolation="bicubic" if interpolation == "random" else interpolation,  # `random` is of training alone
        resize="squash" if resize == "squash" else "short_side",
    )


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise CheckpointError(f"{name} must hold a mapping of keys to values, not {value!r}")
    return value
