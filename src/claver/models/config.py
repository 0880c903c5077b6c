"""Sizes and settings of a CLAVER model, and nothing else: every number the towers need stands here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from claver.errors import ClaverError
from claver.video.transforms import Preprocess

Temporal = Literal["kmt", "kmct", "joint", "pipeline", "class", "mean"]
"""How frames attend to each other: the paper's KMTA and KMCTA, its four baselines (Table 7)."""
Aggregate = Literal["paper", "released"]
"""Whose arithmetic joins frames and texts: the paper's, or that of the released code, for published checkpoints."""
Activation = Literal["quick_gelu", "gelu", "gelu_tanh"]
"""Of CLIP, of open_clip's later models, of SigLIP."""
MOST_LAYERS = 1024
_LIMITS = {"layers": MOST_LAYERS, "frames": 65_536, "size": 65_536, "vocabulary": 2**24, "eot": 2**24}
_LARGEST, _LARGEST_EPS = 2**18, 0.1
"""No model is larger: a config that asks for more is damaged, or is meant to fill the memory."""
_USUAL: tuple[tuple[str, str, Any], ...] = (
    ("image", "mlp", None),
    ("image", "prefix", 1),
    ("image", "tower", "clip"),
    ("image", "settings", {}),
    ("text", "mlp", None),
    ("text", "tower", "clip"),
    ("text", "settings", {}),
    ("preprocess", "resize", "short_side"),
    ("preprocess", "center", "rounded"),
)
"""What `config.json` leaves out where it is as usual, so that other versions can read it."""
_ADDED = ("prefix", "tower", "settings")
"""What CLIP's own towers have no need of."""


class _Tower:
    """What the configs of towers have in common."""

    def __repr__(self) -> str:
        """As of any dataclass, but for another tower than CLIP's only what it adds: caches go by this text."""
        plain = vars(self)["tower"] == "clip"
        shown = {name: value for name, value in vars(self).items() if not (plain and name in _ADDED)}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


@dataclass(frozen=True, repr=False)
class ImageConfig(_Tower):
    """The image tower: CLIP's ViT, or another, which has its own settings beside these sizes."""

    size: int = 224  # pixels of a square frame
    patch: int = 16  # pixels of a square patch
    width: int = 768  # D
    layers: int = 12
    heads: int = 12
    mlp: int | None = None  # hidden width of a block's MLP; 4 · width if None
    prefix: int = 1  # tokens of a frame that are no patch, the summary first
    tower: str = "clip"  # or `transformers`, or the name of a registered one
    settings: Mapping[str, Any] = field(default_factory=dict)  # that tower's own, plain values

    def __post_init__(self) -> None:
        _check_sizes("image", self)
        if self.size % self.patch:
            raise ClaverError(f"image: a size of {self.size} pixels is not a multiple of the patch, {self.patch}")

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.size // self.patch

    @property
    def tokens(self) -> int:
        """N: patches, and the summary and whatever else is no patch."""
        return self.grid**2 + self.prefix


@dataclass(frozen=True, repr=False)
class TextConfig(_Tower):
    """The text tower: CLIP's causal transformer, or another, which has its own settings beside these sizes."""

    context: int = 77  # L, the longest text in tokens
    vocabulary: int = 49408
    eot: int = 49407  # id of the end-of-text token, whose place is read out
    width: int = 512
    layers: int = 12
    heads: int = 8
    mlp: int | None = None  # hidden width of a block's MLP; 4 · width if None
    tower: str = "clip"  # or `transformers`, or the name of a registered one
    settings: Mapping[str, Any] = field(default_factory=dict)  # that tower's own, plain values

    def __post_init__(self) -> None:
        _check_sizes("text", self)
        if self.eot >= self.vocabulary:
            raise ClaverError(f"text: eot, {self.eot}, is not in a vocabulary of {self.vocabulary} tokens")


@dataclass(frozen=True)
class TemporalConfig:
    """The temporal tower, made of the image tower's blocks."""

    kind: Temporal = "kmt"
    layers: int = 4  # one third of the image tower's
    frames: int = 8  # T, length of the learned temporal embedding

    def __post_init__(self) -> None:
        _check_choice("temporal", self.kind, Temporal)
        _check_sizes("temporal", self)


@dataclass(frozen=True)
class ClaverConfig:
    """A whole model: three towers, the joint space, and how pixels are to be prepared for it."""

    image: ImageConfig = field(default_factory=ImageConfig)
    text: TextConfig = field(default_factory=TextConfig)
    temporal: TemporalConfig = field(default_factory=TemporalConfig)
    embedding: int = 512  # E
    activation: Activation = "quick_gelu"
    norm_eps: float = 1e-5
    aggregate: Aggregate = "paper"
    preprocess: Preprocess = field(default_factory=Preprocess)
    bias: bool = False  # whether similarities have a bias, and probabilities are sigmoids, as SigLIP's

    def __post_init__(self) -> None:
        _check_choice("activation", self.activation, Activation)
        _check_choice("aggregate", self.aggregate, Aggregate)
        _check_size("", "embedding", self.embedding)
        if type(self.bias) is not bool:
            raise ClaverError(f"bias must be true or false, not {self.bias!r}")
        if not (isinstance(self.norm_eps, float | int) and 0 < self.norm_eps <= _LARGEST_EPS):
            raise ClaverError(f"norm_eps must be above 0 and at most {_LARGEST_EPS}, not {self.norm_eps!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in `config.json`; an MLP of the usual width and the usual resizing are left out."""
        values = {"model_type": "claver", **asdict(self)}
        for part, key, usual in _USUAL:
            if values[part][key] == usual:
                del values[part][key]
        if not self.bias:
            del values["bias"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ClaverConfig:
        """The inverse of `to_dict`; a key nobody knows is an error.

        Raises:
            ClaverError: an unknown key or temporal kind.
        """
        parts = {"image": ImageConfig, "text": TextConfig, "temporal": TemporalConfig, "preprocess": Preprocess}
        known = {f.name for f in fields(cls)}
        given = {key: value for key, value in values.items() if key != "model_type"}
        if unknown := set(given) - known:
            raise ClaverError(f"config has unknown keys {sorted(unknown)}; known are {sorted(known)}")
        made = {key: _part(parts[key], key, value) if key in parts else value for key, value in given.items()}
        return cls(**made)

    def with_temporal(self, kind: Temporal, frames: int | None = None, layers: int | None = None) -> ClaverConfig:
        """The same model with another temporal tower; its depth is a third of the image tower's unless given."""
        chosen = layers if layers is not None else max(1, self.image.layers // 3)
        length = self.temporal.frames if frames is None else frames
        return replace(self, temporal=TemporalConfig(kind, chosen, length))


def _check_choice(name: str, value: object, choices: Any) -> None:
    if value not in get_args(choices):
        raise ClaverError(f"{name} must be one of {', '.join(get_args(choices))}, not {value!r}")


def _check_sizes(part: str, config: ImageConfig | TextConfig | TemporalConfig) -> None:
    for name, value in vars(config).items():
        if name not in ("kind", "tower", "settings") and not (name == "mlp" and value is None):
            _check_size(f"{part}: ", name, value)
    if isinstance(config, ImageConfig | TextConfig):
        if not isinstance(config.tower, str) or not config.tower:
            raise ClaverError(f"{part}: tower must be the name of one, not {config.tower!r}")
        if not isinstance(config.settings, Mapping):
            raise ClaverError(f"{part}: settings must be a mapping of keys to values, not {config.settings!r}")
    if isinstance(config, ImageConfig | TextConfig) and config.width % config.heads:
        raise ClaverError(f"{part}: a width of {config.width} cannot be cut into {config.heads} heads")


def _check_size(part: str, name: str, value: object) -> None:
    least, most = 0 if name == "eot" else 1, _LIMITS.get(name, _LARGEST)
    if type(value) is not int or value < least:
        raise ClaverError(f"{part}{name} must be a whole number of at least {least}, not {value!r}")
    if value > most:
        raise ClaverError(f"{part}{name} is {value}; no model has more than {most}")


def _part(kind: Any, name: str, values: Mapping[str, Any]) -> Any:
    if not isinstance(values, Mapping):
        raise ClaverError(f"config section {name!r} must be a mapping of keys to values, not {values!r}")
    known = {f.name for f in fields(kind)}
    if unknown := set(values) - known:
        raise ClaverError(f"config section {name!r} has unknown keys {sorted(unknown)}; known are {sorted(known)}")
    try:
        return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
    except ClaverError:
        raise
    except (TypeError, ValueError) as error:
        raise ClaverError(f"config section {name!r}: {error}") from error


def _clip(size: int, patch: int, *, large: bool = False) -> ClaverConfig:
    image = ImageConfig(size, patch, *((1024, 24, 16) if large else (768, 12, 12)))
    text = TextConfig(width=768, heads=12) if large else TextConfig()
    temporal = TemporalConfig(layers=image.layers // 3)
    return ClaverConfig(image, text, temporal, embedding=text.width, preprocess=Preprocess.paper(size))


SIZES: dict[str, ClaverConfig] = {
    "B/32": _clip(224, 32),
    "B/16": _clip(224, 16),
    "L/14": _clip(224, 14, large=True),
    "L/14-336": _clip(336, 14, large=True),
}
"""The paper's sizes (Appendix D; its temporal depths there are misprinted, §4.1 and Table 1 say one third)."""


def named_config(name: str, temporal: Temporal = "kmt", frames: int = 8) -> ClaverConfig:
    """A size by name, `B/32`, `B/16`, `L/14` or `L/14-336`.

    Raises:
        ClaverError: an unknown name.
    """
    if name not in SIZES:
        raise ClaverError(f"there is no size {name!r}; the sizes are {', '.join(SIZES)}")
    return SIZES[name].with_temporal(temporal, frames)
