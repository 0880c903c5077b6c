"""Real clips for a study: the 60 of UT-Interaction, set 1, as tokens of a frozen image tower that real weights fill.

Each clip is seen in two samplings of its frames and, to learn from, in the mirror too. Frames are squeezed into
squares: the clips are cut to the actors, so both are seen, and the width tells less of the action.

A temporal tower on 50 tokens of 1,280 numbers would take hours here, so tokens are made smaller in a way that looks at
no label: the summary of a frame and its four quarters (of the 7 × 7 grid), each as its 128 principal components, which
are those of the summaries of the clips that are learned from.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from claver.data.layouts.registry import index_folder
from claver.data.manifest import Manifest
from claver.data.manifest_file import read_manifest
from claver.errors import ClaverError
from claver.quickstart.real_weights import imagenet_model, preprocess, require_packages
from claver.studies.bench import kept
from claver.studies.study import Options
from claver.text.encoding import encode_texts
from claver.video import sample_frames

TEXTS: dict[str, tuple[str, ...]] = {
    "hand shaking": ("two people shake hands", "they meet, hold hands and move them up and down", "a hand shake"),
    "hugging": ("two people hug", "they walk together and put their arms around each other", "a long hug"),
    "kicking": ("one person kicks another", "a leg is raised fast and the other steps back", "a kick"),
    "pointing": ("one person points at something", "an arm is raised and stays there, alone", "a finger points"),
    "punching": ("one person punches another", "a fist goes fast to the face, who falls back", "a punch"),
    "pushing": ("one person pushes another", "both hands go to the chest, who is moved back", "a push"),
}
"""What is said of each action besides its name: what happens, how it decomposes, what else it is called."""
BACKWARDS = {
    "hand shaking": "they hold hands, let go of them and part",
    "hugging": "they take their arms from each other and walk apart, backwards",
    "kicking": "a leg is put down and the other steps nearer",
    "pointing": "a raised arm is lowered",
    "punching": "a fist goes away from the face, which comes forward",
    "pushing": "both hands leave the chest, which comes nearer",
}
"""How each decomposes when it is played backwards."""
SEQUENCES = tuple(range(1, 11))
FRAMES, VIEWS, WIDTH, TOKENS = 8, 2, 128, 5
_QUARTERS = 2


def texts_of(kind: str, *, backwards: bool) -> dict[str, tuple[str, ...]]:
    """The classes and what is said of each: `names` alone, or `sentences` as well."""
    said = {name: (name, *own) for name, own in TEXTS.items()}
    if backwards:
        said |= {
            f"{name}, played backwards": (
                f"{name}, played backwards",
                f"{own[0]}, played backwards",
                BACKWARDS[name],
                f"{own[2]}, played backwards",
            )
            for name, own in TEXTS.items()
        }
    return {name: own[:1] for name, own in said.items()} if kind == "names" else said


@dataclass(frozen=True)
class Fold:
    """One sequence left out: tokens [M, T, N, D] and labels [M], of clips to be measured on [M, V, T, N, D]."""

    train: Tensor
    labels: Tensor
    test: Tensor
    wanted: Tensor

    def both_ways(self) -> Fold:
        """Every clip also backwards, which is an action of its own."""
        further = len(TEXTS)
        return Fold(
            torch.cat([self.train, self.train.flip(1)]),
            torch.cat([self.labels, self.labels + further]),
            torch.cat([self.test, self.test.flip(2)]),
            torch.cat([self.wanted, self.wanted + further]),
        )


@dataclass(frozen=True)
class RealClips:
    """Clips as tokens [M, mirrored, V, T, N, 1280], with their labels and sequences, both [M]."""

    tokens: Tensor
    labels: Tensor
    sequences: Tensor

    def fold(self, sequence: int, *, whole: bool = False) -> Fold:
        """A sequence left out, all tokens as the principal components of the clips that are left; or `whole`."""
        left = self.sequences != sequence
        known = self.tokens[left][..., 0, :].flatten(0, -2)
        centre = known.mean(0)
        _, directions = torch.linalg.eigh((known - centre).T @ (known - centre))
        made = self.tokens if whole else (self.tokens - centre) @ directions[:, -WIDTH:].flip(1)
        train = made[left].flatten(0, 2)
        labels = self.labels[left].repeat_interleave(len(train) // int(left.sum()))
        return Fold(train, labels, made[~left][:, 0], self.labels[~left])


def read_names(folder: Path) -> tuple[list[str], Tensor, Tensor]:
    """Paths of the clips, their labels and sequences.

    Raises:
        ClaverError: no such folder, or other clips than those of UT-Interaction.
    """
    if not folder.is_dir():
        raise ClaverError(f"there is no folder {folder}")
    manifest = index_folder(str(folder), "folders").manifest
    if manifest.classes != tuple(TEXTS):
        raise ClaverError(f"{folder} should hold a folder for each of {', '.join(TEXTS)}")
    names = [re.fullmatch(r"set1_\d+_(\d+)_\d+", Path(path).stem) for path in manifest.paths()]
    for path, name in zip(manifest.paths(), names, strict=True):
        if name is None or int(name[1]) not in SEQUENCES:
            raise ClaverError(f"{path} should be named set1_NUMBER_SEQUENCE_CLASS, of sequences 1 to 10")
    sequences = torch.tensor([int(name[1]) for name in names if name])
    if missing := set(SEQUENCES) - set(sequences.tolist()):
        raise ClaverError(f"{folder} has no clip of sequence {min(missing)}")
    return list(map(str, manifest.paths())), torch.from_numpy(manifest.labels), sequences


def check_clips(options: Options, study: str) -> None:
    """Whether a study of real clips can run.

    Raises:
        ClaverError: no folder, other clips than those of UT-Interaction, or no weights.
    """
    if options.data is None:
        raise ClaverError(f"the study {study} needs --data, the folder of UT-Interaction's segmented set 1")
    require_packages()
    read_names(options.data)


def other_clips(listed: str, root: str) -> Manifest:
    """A list of clips of other actions.

    Raises:
        ClaverError: no such list, or a clip that is not there.
    """
    manifest = read_manifest(listed, root=root)
    for path in manifest.paths():
        if not Path(path).is_file():
            raise ClaverError(f"{listed}: there is no file {path}; the second argument is what its paths start from")
    return manifest


def real_clips(folder: Path, cache: Path) -> RealClips:
    """All clips of a folder as tokens, computed once."""
    paths, labels, sequences = read_names(folder)
    return RealClips(clip_tokens(paths, cache), labels, sequences)


def clips_digest(paths: Sequence[str], labels: Sequence[int]) -> str:
    """A digest of what clips hold, of what they are, and of how they are seen."""
    known = (_contents_of(tuple(paths)), list(labels), FRAMES, VIEWS, TOKENS)
    return hashlib.sha256(repr(known).encode()).hexdigest()[:12]


@lru_cache(maxsize=2)
def _contents_of(paths: tuple[str, ...]) -> list[list[str]]:
    """The name of each clip, and a digest of the file."""
    return [[Path(path).name, hashlib.sha256(Path(path).read_bytes()).hexdigest()] for path in paths]


def clip_tokens(paths: Sequence[str], cache: Path, *, squash: bool = True) -> Tensor:
    """Clips as tokens [M, mirrored, V, T, N, 1280], computed once.

    Args:
        paths: of the clips.
        cache: where tokens are kept.
        squash: see `preprocess`.
    """
    settings = {
        "clips": _contents_of(tuple(paths)),
        "frames": FRAMES,
        "views": VIEWS,
        "tokens": TOKENS,
        "tower": "efficientnet-lite0",
    }

    def make(unfinished: Path) -> None:
        tower = imagenet_model().image
        tokens = torch.stack([_tokens(tower, path, squash) for path in paths])
        save_file({"tokens": tokens.half()}, unfinished / "tokens.safetensors")

    settings |= {} if squash else {"cut": True}
    found = load_file(kept(cache, "real-clips", settings, make) / "tokens.safetensors")
    return found["tokens"].float()


@torch.inference_mode()
def _tokens(tower: torch.nn.Module, path: str, squash: bool) -> Tensor:
    """[mirrored, V, T, N, 1280] of one clip: the summary of each frame and the four quarters of its grid."""
    seen = sample_frames(path, frames=FRAMES, temporal_views=VIEWS)
    if seen.damage is not None:
        raise ClaverError(f"{path} is damaged ({seen.damage}); a study wants sound clips")
    pixels = preprocess(squash=squash)(torch.as_tensor(seen.pixels))[0]
    tokens_RUND = torch.stack([tower(frames) for frames in (pixels, pixels.flip(-1))])
    side = int((tokens_RUND.shape[2] - 1) ** 0.5)
    grid = tokens_RUND[:, :, 1:].movedim(-1, -2).unflatten(-1, (side, side))
    quarters = F.adaptive_avg_pool2d(grid.flatten(0, 1), _QUARTERS).flatten(2).movedim(-1, -2)
    small = torch.cat([tokens_RUND[:, :, :1], quarters.unflatten(0, grid.shape[:2])], dim=2)
    return small[:, torch.as_tensor(seen.indices).flatten()].unflatten(1, seen.indices.shape).contiguous()


@lru_cache(maxsize=1)
def folds_of(folder: Path, cache: Path, *, whole: bool = False) -> tuple[Fold, ...]:
    """Each sequence left out once, in their order; see `RealClips.fold`."""
    clips = real_clips(folder, cache)
    return tuple(clips.fold(sequence, whole=whole) for sequence in SEQUENCES)


def sentence_vectors(said: Mapping[str, Sequence[str]], cache: Path) -> Tensor:
    """The sentence encoder's vectors [K, C, E] of K texts of each of C classes, computed once."""
    count = len(next(iter(said.values())))
    texts = [own[slot] for slot in range(count) for own in said.values()]
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()

    def make(unfinished: Path) -> None:
        vectors = encode_texts(imagenet_model(), texts, cache=False)
        save_file({"vectors": vectors.contiguous()}, unfinished / "vectors.safetensors")

    found = load_file(kept(cache, "real-texts", {"texts": digest}, make) / "vectors.safetensors")
    return found["vectors"].view(count, len(said), -1)
