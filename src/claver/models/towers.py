"""Which towers there are: CLIP's own, those of `transformers`, and whatever a user registers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from claver.errors import ClaverError
from claver.models.block import Run, run_block
from claver.models.config import ClaverConfig, ImageConfig
from claver.models.text.base import TextTower
from claver.models.text.clip import ClipText
from claver.models.vision.base import VisionTower
from claver.models.vision.clip import ClipVision, Readout
from claver.plugins import load_plugins
from claver.suggest import hint
from claver.video.transforms import Preprocess

CLIP, TRANSFORMERS = "clip", "transformers"
Make = Callable[[ClaverConfig], nn.Module]


@dataclass(frozen=True)
class Registered:
    """An image tower that a user registered; see `register_tower`."""

    make: Make
    image: ImageConfig
    preprocess: Preprocess
    weights: Callable[[], Mapping[str, Tensor]] | None


_registered: dict[str, Registered] = {}


def register_tower(
    name: str,
    make: Make,
    *,
    width: int,
    patch: int,
    size: int = 224,
    heads: int | None = None,
    layers: int = 12,
    prefix: int = 1,
    version: int = 1,
    preprocess: Preprocess | None = None,
    weights: Callable[[], Mapping[str, Tensor]] | None = None,
) -> None:
    """Make an image tower known: `load(name, text=…)` then builds models on it, and `load` reads models that have it.

        >>> claver.register_tower("my-net", lambda config: MyNet(), width=1280, patch=32, weights=MyNet.pretrained)
        >>> model = claver.load("my-net", text="sentence-transformers/all-MiniLM-L6-v2", temporal="kmct")

    Args:
        name: what models call it in their `config.json`.
        make: makes the tower from the config of the model that it is for: a module that takes
            normalised frames [F, 3, size, size] and gives tokens [F, N, D], the summary of each frame first; or a
            `VisionTower`, which can say more. A plain module is read out by a layer norm and a learned projection.
        width: D, numbers of a token.
        patch: pixels along a side of the square that a token stands for; N is (size / patch)² and the prefix.
        size: pixels along a side of a frame.
        heads: attention heads of temporal towers on it; D / 64 if None.
        layers: its depth; a new temporal tower has a third of it.
        prefix: tokens that are no patch, the summary among them.
        version: of what it computes: give another number when the code changes, so that nothing made by it before, no
            model and no cached tokens, is taken for what it makes now.
        preprocess: what is done to the pixels; CLIP's constants and the paper's crop if None.
        weights: gives the pretrained weights when a new model is built on the tower, under the names of the module's
            own state; those of a read-out, if any, with `readout.` before theirs. If None, what `make` makes has them.

    Raises:
        ClaverError: a name that is taken, or sizes that make no sense.
    """
    if not name or name in (CLIP, TRANSFORMERS):
        raise ClaverError(f"an image tower cannot be called {name!r}")
    if heads is None and width % 64:
        raise ClaverError(f"tower {name!r}: a width of {width} is no multiple of 64; say how many heads= it has")
    image = ImageConfig(size, patch, width, layers, heads or width // 64, None, prefix, name, {"version": version})
    pixels = preprocess or Preprocess.paper(size)
    if pixels.size != size:
        raise ClaverError(f"tower {name!r} takes frames of {size} pixels, but preprocess gives {pixels.size}")
    _registered[name] = Registered(make, image, pixels, weights)


def registered_tower(name: str) -> Registered | None:
    """The image tower that was registered under a name, also by the plugins that are named; None if there is none.

    Raises:
        ClaverError: a plugin fails.
    """
    if name not in _registered:
        load_plugins()
    return _registered.get(name)


class PlainVision(VisionTower):
    """A registered module as an image tower; what it does inside is its own affair."""

    explainable = False
    kind: Tensor

    def __init__(self, config: ClaverConfig, body: nn.Module) -> None:
        super().__init__()
        self.config, self.prefix, self.body = config, config.image.prefix, body
        self.register_buffer("kind", torch.zeros(()), persistent=False)  # of the type that the model computes in

    def forward(self, frames_FCHW: Tensor, *, summary_only: bool = False, run: Run = run_block) -> Tensor:
        """As of every image tower; `run` has nothing to run.

        Raises:
            ClaverError: the module gives tokens of another shape than it was registered with.
        """
        tokens: Tensor = self.body(frames_FCHW.to(self.kind.dtype))
        rows, columns = self.grid(*frames_FCHW.shape[-2:])
        wanted = (frames_FCHW.shape[0], self.prefix + rows * columns, self.config.image.width)
        if tuple(tokens.shape) != wanted:
            raise ClaverError(
                f"image tower {self.config.image.tower!r} gives tokens {tuple(tokens.shape)}; it was registered with "
                f"{wanted}: frames, prefix and patches, width"
            )
        return tokens[:, :1] if summary_only else tokens

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of whole patches."""
        return height // self.config.image.patch, width // self.config.image.patch

    def make_readout(self) -> nn.Module:
        """A layer norm and a projection."""
        return Readout(self.config.image.width, self.config.embedding, self.config.norm_eps)


def make_image_tower(config: ClaverConfig) -> VisionTower:
    """The image tower that a config names, with random weights.

    Raises:
        ClaverError: there is none of that name, or its settings make no sense.
    """
    name = config.image.tower
    if name == CLIP:
        return ClipVision(config)
    if name == TRANSFORMERS:
        from claver.models.vision.transformers import FAMILIES, TransformersVision

        _require_family(config.image.settings.get("model_type"), FAMILIES, "image")
        with _sensible("image"):
            return TransformersVision(config)
    found = registered_tower(name)
    if found is None:
        raise ClaverError(
            f"the model's image tower is {name!r}, which is not registered{hint(name, _registered)}: call "
            "claver.register_tower first, or name the file that does it (claver --plugin FILE …)"
        )
    if (theirs := config.image.settings.get("version")) != (ours := found.image.settings["version"]):
        raise ClaverError(
            f"the model was made with version {theirs} of image tower {name!r}; version {ours} is registered"
        )
    made = found.make(config)
    return made if isinstance(made, VisionTower) else PlainVision(config, made)


def make_text_tower(config: ClaverConfig) -> TextTower:
    """The text tower that a config names, with random weights.

    Raises:
        ClaverError: there is none of that name, or its settings make no sense.
    """
    name = config.text.tower
    if name == CLIP:
        return ClipText(config)
    if name != TRANSFORMERS:
        raise ClaverError(f"the model's text tower is {name!r}; known are {CLIP} and {TRANSFORMERS}")
    from claver.models.text.transformers import FAMILIES, TransformersText

    _require_family(config.text.settings.get("model_type"), FAMILIES, "text")
    with _sensible("text"):
        return TransformersText(config)


@contextmanager
def _sensible(part: str) -> Iterator[None]:
    """What goes wrong within this context for want of a setting is said in one sentence."""
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError, AssertionError, ValueError) as error:
        told = f"{type(error).__name__} {' '.join(str(error).split())}"
        raise ClaverError(f"{part}: a setting of its tower is missing or makes no sense: {told}") from error


def _require_family(found: object, known: Mapping[str, object], part: str) -> None:
    if not isinstance(found, str) or found not in known:
        raise ClaverError(f"{part} towers of model_type {found!r} are not known; known are {', '.join(known)}")
