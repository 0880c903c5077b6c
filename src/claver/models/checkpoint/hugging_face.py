"""The configs of a `transformers` CLIP folder, `config.json` and its image processor's, as ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from claver.errors import CheckpointError, ClaverError
from claver.models.checkpoint.files import read_json
from claver.models.config import ClaverConfig, ImageConfig, TemporalConfig, TextConfig
from claver.video.transforms import (
    CLIP_MEAN,
    CLIP_STD,
    IMAGENET_MEAN,
    IMAGENET_STD,
    Interpolation,
    Preprocess,
    Resize,
)

PREPROCESSOR, PROCESSOR = "preprocessor_config.json", "processor_config.json"
VIDEO_PREPROCESSOR = "video_preprocessor_config.json"
_RESAMPLING: dict[Any, Interpolation] = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers
_HALF = (0.5, 0.5, 0.5)
_SQUASHED = {"do_center_crop": False, "image_mean": _HALF, "image_std": _HALF}
_PROCESSORS: dict[str, dict[str, Any]] = {
    "CLIP": {},
    "ChineseCLIP": {},
    "Bit": {},
    "Siglip": {**_SQUASHED, "size": {"height": 224, "width": 224}},
    "ViT": {**_SQUASHED, "size": {"height": 224, "width": 224}, "resample": 2},
    "DINOv3ViT": {
        "do_center_crop": False,
        "size": {"height": 224, "width": 224},
        "resample": 2,
        "image_mean": IMAGENET_MEAN,
        "image_std": IMAGENET_STD,
    },
    "VideoMAE": {"size": {"shortest_edge": 224}, "resample": 2, "image_mean": _HALF, "image_std": _HALF},
    "LlavaOnevision": {"do_center_crop": False, "size": {"height": 384, "width": 384}},
    "VideoPrism": {"do_center_crop": False, "size": {"height": 288, "width": 288}, "do_normalize": False},
}
"""Processors that can be followed, and what they do where their files leave it out, beside what CLIP's does."""


def config_from_hugging_face(
    values: Mapping[str, Any],
    preprocess: Mapping[str, Any] | None = None,
    *,
    own: bool = False,
    literal_eot: bool = False,
) -> ClaverConfig:
    """Our config from a `transformers` CLIP's; what its file leaves out has that library's default.

    Args:
        values: contents of `config.json`.
        preprocess: those of `preprocessor_config.json`, see `preprocess_from_hugging_face`; CLIP's if None.
        own: as there.
        literal_eot: take the id of the end of text as it stands, as MetaCLIP 2 means it.

    Raises:
        ClaverError: something that CLIP does not have.
    """
    vision, language = _section(values, "vision_config"), _section(values, "text_config")
    image = _image(vision)
    activation, eps = vision.get("hidden_act", "quick_gelu"), vision.get("layer_norm_eps", 1e-5)
    if activation not in ("quick_gelu", "gelu") or activation != language.get("hidden_act", "quick_gelu"):
        raise CheckpointError(f"activation {activation!r} is not supported; CLIP has quick_gelu or gelu in both towers")
    if eps != (other := language.get("layer_norm_eps", 1e-5)):
        raise CheckpointError(f"layer_norm_eps is {eps!r} for images but {other!r} for texts; both must be equal")
    return ClaverConfig(
        image,
        _text(language, literal_eot),
        TemporalConfig(layers=max(1, image.layers // 3)),
        embedding=values.get("projection_dim", 512),
        activation=activation,
        norm_eps=eps,
        preprocess=preprocess_from_hugging_face(preprocess or {}, image.size, own=own),
    )


def _section(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """One tower's section; `NAME_dict`, which old files have beside it, takes its place whole, as in transformers."""
    older = values.get(f"{name}_dict")
    section = older if older is not None else values.get(name) or {}
    if not isinstance(section, Mapping):
        raise CheckpointError(f"{name} must hold a mapping of keys to values, not {section!r}")
    return section


def _image(vision: Mapping[str, Any]) -> ImageConfig:
    width = vision.get("hidden_size", 768)
    return ImageConfig(
        square(vision.get("image_size", 224), "image_size"),
        square(vision.get("patch_size", 32), "patch_size"),
        width,
        vision.get("num_hidden_layers", 12),
        vision.get("num_attention_heads", 12),
        _mlp(vision.get("intermediate_size", 3072), width),
    )


def _text(language: Mapping[str, Any], literal_eot: bool) -> TextConfig:
    vocabulary, eot = language.get("vocab_size", 49408), language.get("eos_token_id", 49407)
    width = language.get("hidden_size", 512)
    return TextConfig(
        language.get("max_position_embeddings", 77),
        vocabulary,
        # Old configs say 2 and mean the largest id; transformers reads them so as well.
        vocabulary - 1 if eot == 2 and isinstance(vocabulary, int) and not literal_eot else eot,
        width,
        language.get("num_hidden_layers", 12),
        language.get("num_attention_heads", 8),
        _mlp(language.get("intermediate_size", 2048), width),
    )


def _mlp(hidden: Any, width: Any) -> Any:
    return None if isinstance(width, int) and hidden == 4 * width else hidden


def read_preprocessor(folder: Path, *, video: bool = False) -> dict[str, Any] | None:
    """The config of a folder's image or video processor, wherever transformers puts it; None if there is none.

    Raises:
        CheckpointError: it is not JSON, or of another library's processor.
    """
    if (folder / PROCESSOR).is_file():
        nested = read_json(folder / PROCESSOR).get("video_processor" if video else "image_processor")
        if isinstance(nested, dict):
            return nested
    names = (VIDEO_PREPROCESSOR, PREPROCESSOR) if video else (PREPROCESSOR,)
    return next((read_json(folder / name) for name in names if (folder / name).is_file()), None)


def preprocess_from_hugging_face(values: Mapping[str, Any], size: int, *, own: bool = False) -> Preprocess:
    """How an image processor prepares pixels, for a model of `size` pixels.

    Mean, standard deviation, rescaling and resampling are the processor's. A short side equal to the crop is CLIP's
    own, which the paper replaces by 256/224 of it, and so do we unless `own`; any other size is taken as it stands.

    Raises:
        CheckpointError: a processor of another kind, or a setting that cannot be followed.
    """
    values = with_defaults(values)
    for key in ("do_resize", "do_convert_rgb"):
        if not values.get(key, True):
            raise CheckpointError(f"{PREPROCESSOR}: {key} is false; frames of videos are always resized RGB")
    if values.get("do_pad"):
        raise CheckpointError(f"{PREPROCESSOR}: do_pad is not supported; pictures are cropped to a square")
    resample = values.get("resample", 3)
    if not isinstance(resample, int) or resample not in _RESAMPLING:
        raise CheckpointError(
            f"{PREPROCESSOR}: resample {resample!r} is not supported; 2 (bilinear) and 3 (bicubic) are"
        )
    short_side, resize = _resizing(values, size)
    as_paper = short_side == size and resize == "short_side" and not own
    mean, std = _constants(values)
    return made_preprocess(
        PREPROCESSOR,
        size=size,
        short_side=Preprocess.paper(size).short_side if as_paper else short_side,
        mean=mean,
        std=std,
        interpolation=_RESAMPLING[resample],
        resize=resize,
        center="floored" if own else "rounded",
    )


def with_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a processor, with those that its kind has beside what CLIP's has.

    Raises:
        CheckpointError: a kind that is not known here.
    """
    named = (values.get(f"{what}_type") for what in ("video_processor", "image_processor", "feature_extractor"))
    kind = str(next(filter(None, named), "CLIPImageProcessor"))
    name = re.sub(r"(Image|Video)Processor(Fast|Pil)?$|FeatureExtractor$", "", kind)
    if name not in _PROCESSORS:
        known = ", ".join(f"{name}ImageProcessor" for name in _PROCESSORS)
        raise CheckpointError(f"{PREPROCESSOR}: {kind} is not supported; {known} are")
    return {**_PROCESSORS[name], **{key: value for key, value in values.items() if value is not None}}


def processed_size(values: Mapping[str, Any] | None, usual: int) -> int:
    """Pixels along a side of the pictures that an image processor gives; `usual` where it does not say."""
    if values is None:
        return usual
    known = with_defaults(values)
    given = known.get("crop_size" if known.get("do_center_crop", True) else "size", usual)
    if isinstance(given, Mapping):
        given = [given.get("height", given.get("shortest_edge")), given.get("width", given.get("shortest_edge"))]
    found = square(given, f"{PREPROCESSOR}: size")
    if type(found) is not int:
        raise CheckpointError(f"{PREPROCESSOR}: size must be in whole pixels, not {found!r}")
    return found


def _resizing(values: Mapping[str, Any], size: int) -> tuple[int, Resize]:
    """What the short side, or both sides, are resized to before the crop."""
    wanted = values.get("size", size)
    resize: Resize = "short_side"
    if isinstance(wanted, Mapping) and {"height", "width"} <= wanted.keys():
        resize = "squash"
        wanted = square([wanted["height"], wanted["width"]], f"{PREPROCESSOR}: size")
    elif isinstance(wanted, Mapping):
        if set(wanted) != {"shortest_edge"}:
            raise CheckpointError(
                f"{PREPROCESSOR}: size {wanted!r} is not supported; shortest_edge is, or height and width"
            )
        wanted = wanted["shortest_edge"]
    if type(wanted) is not int or wanted < 1:
        raise CheckpointError(f"{PREPROCESSOR}: size must be in whole pixels, not {wanted!r}")
    crop = values.get("crop_size", size)
    if isinstance(crop, Mapping):
        crop = [crop.get("height"), crop.get("width")]
    crop = square(crop, f"{PREPROCESSOR}: crop_size")
    if not values.get("do_center_crop", True):
        if resize != "squash":
            raise CheckpointError(
                f"{PREPROCESSOR}: do_center_crop is false, so pictures are not square; the model needs that"
            )
        crop = wanted
    if crop != size:
        raise CheckpointError(f"{PREPROCESSOR} gives pictures of {crop} pixels, but the model takes {size}")
    return wanted, resize


def _constants(values: Mapping[str, Any]) -> tuple[Any, Any]:
    """Mean and standard deviation of RGB values in [0, 1], with the processor's own scale of values worked in."""
    mean, std = triple(values.get("image_mean", CLIP_MEAN)), triple(values.get("image_std", CLIP_STD))
    if not values.get("do_normalize", True):
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    factor = values.get("rescale_factor", 1 / 255) if values.get("do_rescale", True) else 1
    if not isinstance(factor, int | float) or not 0 < factor < float("inf"):
        raise CheckpointError(f"{PREPROCESSOR}: rescale_factor must be a number above 0, not {factor!r}")
    top = 255 * factor  # what white becomes before the mean is taken away
    if abs(top - 1) < 1e-6:
        return mean, std
    return _divided(mean, top), _divided(std, top)


def _divided(values: Any, top: float) -> Any:
    numbers = isinstance(values, list | tuple) and all(isinstance(value, int | float) for value in values)
    return tuple(value / top for value in values) if numbers else values


def made_preprocess(origin: str, **settings: Any) -> Preprocess:
    """A `Preprocess` of somebody's config.

    Raises:
        CheckpointError: values that make no sense; the message begins with `origin`.
    """
    try:
        return Preprocess(**settings)
    except (ClaverError, TypeError, ValueError) as error:
        raise CheckpointError(f"{origin}: {error}") from error


def triple(value: Any) -> Any:
    """One number that stands for all three channels, three times."""
    return (value,) * 3 if isinstance(value, int | float) else value


def square(value: Any, name: str) -> Any:
    """One side of what may be given as two equal ones."""
    if not isinstance(value, list | tuple):
        return value
    if len(value) not in (1, 2) or value[0] != value[-1]:
        raise CheckpointError(f"{name} {list(value)} is not square; the model takes square pictures and patches")
    return value[0]
