"""A procedural dataset of motion: a shape on a textured background does one of twelve verbs. Nothing is downloaded.

The verbs come in time-reversed pairs (moves right / moves left, grows / shrinks, …), and so do the clips: a pair of
verbs shares its scenes, and the clip of the one is *the very frames* of the other in reversed order. Whatever averages
over frames, or looks at each frame alone and pools, therefore gives the same answer for both clips of a pair, and one
answer cannot be right for two different labels: over whole rounds of the verbs such a model cannot pass one half,
whatever its frame encoder and however long it trains. Not in expectation: by counting. A score above one half is proof
that the order of frames was used.

Scenes are set by (split, seed, number) alone; splits share none. Lengths are relative to the frame and time is sampled
at the centres of T equal intervals, so a scene is the same at any resolution and number of frames, and the 8 segment
centres of a 24-frame clip are exactly the 8-frame clip.

    clips = render_clips(range(6000), split="train")      # frames [6000, 8, 32, 32, 3], labels, captions
    stills = render_stills(range(6000), split="train")    # images [6000, 32, 32, 3], captions, states
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from claver.errors import ClaverError
from claver.motion.drawing import COLOURS, SHAPES, Scene, draw
from claver.motion.files import write_folder
from claver.motion.rng import SPLITS, ClipRng, rng_for
from claver.motion.verbs import VERBS, Path, Pose, Verb, find_verbs, leaders, verb_names, verb_pair
from claver.video.writing import write_clip

__all__ = [
    "COLOURS",
    "SHAPES",
    "SIZES",
    "SPLITS",
    "STATES",
    "VERBS",
    "MotionClips",
    "MotionDataset",
    "MotionStills",
    "Pose",
    "Verb",
    "render_clips",
    "render_stills",
    "verb_names",
    "verb_pair",
    "write_clip",
    "write_clips",
]

_WRITTEN_AT_ONCE = 48  # clips held in memory while a folder is written

Indices = Sequence[int] | NDArray[np.integer[Any]]

SIZES = ("small", "large")
_RADII = np.array([(0.125, 0.145), (0.20, 0.225)])  # of SIZES, in frame sides
_CLIP_TEMPLATES = ("{noun} {verb}", "a video of {noun} that {verb}", "a clip in which {noun} {verb}")

# What a still shows, apart from shape and colour: the states that verbs change. Each name has a range of its own.
_STILL_SIZES = {"tiny": (0.065, 0.085), "small": (0.12, 0.145), "large": (0.2, 0.23), "huge": (0.3, 0.34)}
_OPACITIES = {"barely visible": (0.15, 0.25), "faint": (0.4, 0.55), "clear": (0.85, 1.0)}
_PLACES = tuple(
    place
    for row in ("top", "", "bottom")
    for place in (
        f"at the {row} left".replace("  ", " "),
        f"at the {row}" if row else "in the middle",
        f"at the {row} right".replace("  ", " "),
    )
)
_THIRDS = np.array([(0.17, 0.33), (0.44, 0.56), (0.67, 0.83)])
_DIRECTIONS = ("up", "up and right", "right", "down and right", "down", "down and left", "left", "up and left")
STATES: dict[str, tuple[str, ...]] = {
    "shape": SHAPES,
    "colour": COLOURS,
    "size": tuple(_STILL_SIZES),
    "opacity": tuple(_OPACITIES),
    "place": _PLACES,
    "direction": _DIRECTIONS,
}
_STILL_TEMPLATES = (
    "a {opacity} {size} {colour} {shape} {place}, pointing {direction}",
    "a {opacity} {size} {colour} {shape} pointing {direction}, {place}",
    "{place}, a {opacity} {size} {colour} {shape} pointing {direction}",
)


@dataclass(frozen=True)
class MotionClips:
    """B clips with their labels (positions in `verbs`), nouns (positions in SHAPES, COLOURS, SIZES) and captions."""

    frames: NDArray[np.uint8]  # [B, T, size, size, 3]
    labels: NDArray[np.int64]  # [B]
    verbs: tuple[Verb, ...]
    shapes: NDArray[np.int64]  # [B]
    colours: NDArray[np.int64]  # [B]
    sizes: NDArray[np.int64]  # [B]
    captions: tuple[str, ...]  # 'a small red star moves left', in several phrasings


@dataclass(frozen=True)
class MotionStills:
    """B pictures with captions of nouns and states, and the same as numbers: `states[name]` [B] points into STATES."""

    images: NDArray[np.uint8]  # [B, size, size, 3]
    captions: tuple[str, ...]
    states: dict[str, NDArray[np.int64]]


def render_clips(
    indices: Indices,
    *,
    split: str,
    seed: int = 0,
    frames: int = 8,
    size: int = 32,
    verbs: Sequence[Verb | str] = VERBS,
) -> MotionClips:
    """Clips number `indices` of a split: the label of clip i is i modulo the number of verbs.

    Clip i is the same in whatever company it is rendered. Both verbs of a pair have the same scenes (see the module).
    Raises ClaverError on an unknown split or verb, frames < 2, size < 16 or a negative index.
    """
    _check_extent(frames, size)
    chosen, number = find_verbs(verbs), _checked(indices)
    if not chosen:
        raise ClaverError("Motion clips need at least one verb.")
    labels = number % len(chosen)
    scene_numbers, which = np.unique(number - labels + leaders(chosen)[labels], return_inverse=True)
    rng = rng_for("clips", seed, split, scene_numbers)
    scene, sizes = _moving(rng, [chosen[k].path for k in scene_numbers % len(chosen)], frames)
    pixels = draw(scene, size)[which]
    backwards = np.array([verb.backwards for verb in chosen])[labels]
    pixels[backwards] = pixels[backwards, ::-1]
    shapes, colours, sizes = scene.shape[which], scene.colour[which], sizes[which]
    wording = rng_for("clip captions", seed, split, number)
    captions = _clip_captions([chosen[k] for k in labels], shapes, colours, sizes, wording)
    return MotionClips(pixels, labels, chosen, shapes, colours, sizes, captions)


def render_stills(indices: Indices, *, split: str, seed: int = 0, size: int = 32) -> MotionStills:
    """Stills number `indices` of a split: shapes in every state that a verb passes through, each state put in words.

    An image tower that has learned them knows place, size, direction and opacity, the states that verbs are made of.
    """
    _check_extent(2, size)
    rng = rng_for("stills", seed, split, _checked(indices))
    states = {name: rng.pick(len(values)) for name, values in STATES.items()}
    scene = Scene(
        shape=states["shape"],
        colour=states["colour"],
        x=_within(_THIRDS, states["place"] % 3, rng),
        y=_within(_THIRDS, states["place"] // 3, rng),
        radius=_within(np.array(list(_STILL_SIZES.values())), states["size"], rng),
        angle=(states["direction"][:, None] + rng.uniform(-0.3, 0.3)) * (2 * np.pi / len(_DIRECTIONS)),
        opacity=_within(np.array(list(_OPACITIES.values())), states["opacity"], rng),
        rng=rng,
    )
    wording = rng.pick(len(_STILL_TEMPLATES))
    captions = tuple(
        _STILL_TEMPLATES[template].format(**{name: values[states[name][i]] for name, values in STATES.items()})
        for i, template in enumerate(wording)
    )
    return MotionStills(draw(scene, size)[:, 0], captions, states)


class MotionDataset(Dataset[tuple[torch.Tensor, int]]):
    """Clips 0 … length − 1 of a split, rendered when asked for: items (video uint8 [T, H, W, 3], label).

    A DataLoader fetches its batches in one call, which is several times faster than clip by clip.
    """

    def __init__(
        self,
        split: str,
        length: int,
        *,
        seed: int = 0,
        frames: int = 8,
        size: int = 32,
        verbs: Sequence[Verb | str] = VERBS,
    ) -> None:
        if length < 1:
            raise ClaverError(f"A motion dataset needs a length of at least 1, not {length}.")
        self.length = length
        self.verbs = find_verbs(verbs)
        self._settings: dict[str, Any] = {"split": split, "seed": seed, "frames": frames, "size": size}
        self.render([0])  # settings that cannot be rendered are an error here, not in the first batch

    def render(self, indices: Indices) -> MotionClips:
        """The clips at some positions, with captions and nouns."""
        return render_clips(indices, verbs=self.verbs, **self._settings)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> list[tuple[torch.Tensor, int]]:
        """Several items at once: what a DataLoader calls for a batch."""
        if not all(-self.length <= index < self.length for index in indices):
            raise IndexError(f"positions {indices} of a dataset of length {self.length}")
        clips = self.render([index % self.length for index in indices])
        return list(zip(torch.from_numpy(clips.frames), clips.labels.tolist(), strict=True))


def write_clips(
    folder: str | FilePath,
    *,
    split: str,
    count: int,
    seed: int = 0,
    size: int = 128,
    frames: int = 24,
    fps: int = 8,
    verbs: Sequence[Verb | str] = VERBS,
) -> FilePath:
    """Write clips 0 … count − 1 as MP4 files, a folder per verb, and return the manifest (CSV: path, label).

    The folder appears whole or not at all; a folder that holds anything else is refused with a ClaverError.
    """
    if count < 1 or fps < 1 or size % 2:
        raise ClaverError(
            f"Motion files need count and fps of at least 1 and an even size, not {count}, {fps}, {size}."
        )
    dataset = MotionDataset(split, count, seed=seed, frames=frames, size=size, verbs=verbs)
    settings = {"split": split, "count": count, "seed": seed, "size": size, "frames": frames, "fps": fps}
    settings["verbs"] = list(verb_names(dataset.verbs))

    def files() -> Iterator[tuple[str, str, NDArray[np.uint8]]]:
        for start in range(0, count, _WRITTEN_AT_ONCE):
            numbers = range(start, min(start + _WRITTEN_AT_ONCE, count))
            clips = dataset.render(numbers)
            for number, label, pixels in zip(numbers, clips.labels, clips.frames, strict=True):
                yield dataset.verbs[label].name, f"{split}_{number:05d}", pixels

    return write_folder(folder, files(), fps, settings)


def _moving(rng: ClipRng, paths: list[Path], frames: int) -> tuple[Scene, NDArray[np.int64]]:
    """B random shapes on their paths, seen at T instants, and which of SIZES each has."""
    shape, colour, size = rng.pick(len(SHAPES)), rng.pick(len(COLOURS)), rng.pick(len(SIZES))
    radius, tilt = _within(_RADII, size, rng), rng.uniform(-0.4, 0.4)
    u = (np.arange(frames) + 0.5) / frames
    poses = np.empty((5, len(paths), frames))
    for path in dict.fromkeys(paths):
        rows = np.flatnonzero([other is path for other in paths])
        pose = path(u, rng.fork(rows))
        for which, values in enumerate((pose.x, pose.y, pose.scale, pose.angle, pose.opacity)):
            poses[which, rows] = values
    x, y, scale, angle, opacity = poses
    return Scene(shape, colour, x, y, radius * scale, tilt + angle, opacity, rng), size


def _within(ranges: NDArray[np.float64], which: NDArray[np.int64], rng: ClipRng) -> NDArray[np.float64]:
    """Numbers [B, 1], each uniform in the range [low, high] that `which` names."""
    low, high = ranges[which, 0, None], ranges[which, 1, None]
    return np.asarray(low + (high - low) * rng.uniform(0, 1))


def _clip_captions(
    verbs: list[Verb],
    shapes: NDArray[np.int64],
    colours: NDArray[np.int64],
    sizes: NDArray[np.int64],
    wording: ClipRng,
) -> tuple[str, ...]:
    templates, choice = wording.pick(len(_CLIP_TEMPLATES)), wording.uniform(0, 1)[:, 0]
    captions = []
    for i, verb in enumerate(verbs):
        words = [] if verb.changes_size else [SIZES[sizes[i]]]
        words += [COLOURS[colours[i]], SHAPES[shapes[i]]]
        noun = ("an " if words[0][0] in "aeiou" else "a ") + " ".join(words)
        phrases = (verb.name, *verb.phrases)
        captions.append(_CLIP_TEMPLATES[templates[i]].format(noun=noun, verb=phrases[int(choice[i] * len(phrases))]))
    return tuple(captions)


def _checked(indices: Indices) -> NDArray[np.int64]:
    numbers = np.asarray(indices, dtype=np.int64)
    if numbers.ndim != 1 or not len(numbers) or numbers.min() < 0:
        raise ClaverError("Motion clips are asked for by a list of numbers, at least one and none negative.")
    return numbers


def _check_extent(frames: int, size: int) -> None:
    if frames < 2:
        raise ClaverError(f"A motion clip needs at least 2 frames, not {frames}: one frame shows no motion.")
    if size < 16:
        raise ClaverError(f"Motion clips need a size of at least 16 pixels, not {size}: smaller shapes are unreadable.")
