"""The sections of a recipe for training on videos: which clips, and how they are varied (the paper's Table 14)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from claver.log import say_once
from claver.training.mirror import mirrored_pairs

_ON = ("tokens", "token", "cache", "cached", "yes", "y", "on", "t", "true", "1", "enable", "enabled", "auto", "default")
_OFF = ("no", "n", "off", "f", "false", "0", "none", "null", "never", "disable", "disabled", "")


class DataSection(BaseModel):
    """A part of a recipe; a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Augment(DataSection):
    """How training clips are varied; every choice is one per clip, the same for all its frames. 0 turns a part off.

    The paper names the operations and the probabilities; the strengths of the jitter are the usual (.4, .4, .2, .1).
    """

    crop_scales: tuple[float, ...] = (1, 0.875, 0.75, 0.66)  # shares of the short side; none: the centre
    crop_fixed: bool = True  # crops lie in a corner or the centre, else anywhere
    flip: float = Field(default=0.5, ge=0, le=1)  # probability of mirroring left and right
    flip_labels: dict[str, str] = {}  # what classes become when mirrored, where their names do not tell
    jitter: float = Field(default=0.8, ge=0, le=1)  # probability of changing colours, by up to …
    brightness: float = Field(default=0.4, ge=0, le=1)
    contrast: float = Field(default=0.4, ge=0, le=1)
    saturation: float = Field(default=0.2, ge=0, le=1)
    hue: float = Field(default=0.1, ge=0, le=0.5)  # of the whole circle of hues
    greyscale: float = Field(default=0.2, ge=0, le=1)  # probability
    mixup: float = Field(default=0.8, ge=0)  # α of Beta(α, α)
    cutmix: float = Field(default=1.0, ge=0)  # α of Beta(α, α)
    mix_switch: float = Field(default=0.5, ge=0, le=1)  # probability of cutmix where both are on

    @model_validator(mode="after")
    def _possible(self) -> Augment:
        if not all(0 < scale <= 1 for scale in self.crop_scales):
            raise ValueError("crop_scales are shares of the short side, above 0 and at most 1")
        mirrored_pairs(self.flip_labels)
        return self


class Videos(DataSection):
    """Labelled clips to learn from and to be measured on."""

    train: Path  # manifest (`claver data index`) or folder of shards (`claver data shard`)
    test: Path | None = None  # the same; none measures nothing
    train_split: str | None = None  # only clips of this split of `train`; if not given train, where there are splits
    test_split: str | None = None  # likewise test, or else val
    root: Path | None = None  # what paths in the manifests are relative to; their own folders if not given
    # names, templates, templates-plain, interpretive, kinds of text, or a file; if not given, interpretive where texts
    # come with claver
    texts: str | None = None
    shots: int | None = Field(default=None, ge=1)  # K clips of each class (few-shot), drawn by …
    shots_seed: int = Field(default=0, ge=0)
    stream: bool = False  # read shards from end to end, as a network disk or a spinning one likes it …
    buffer: int = Field(default=512, ge=1)  # … mixing them among as many clips held in memory
    workers: int = Field(default=2, ge=0)  # processes that decode, in each training process
    decode_timeout: float = Field(default=60, gt=0)  # seconds after which a worker gives a clip up; it is replaced
    ahead: int = Field(default=2, ge=1)  # batches decoded ahead
    bad_share: float = Field(default=0.01, ge=0, le=1)  # of the clips that may be unreadable before the run stops
    # image tokens kept on disk, for a frozen image tower: true in ~/.cache/claver/tokens (or CLAVER_CACHE), or a folder
    cache: Path | bool | None = None
    cache_views: int = Field(default=1, ge=1)  # deterministic samplings of each clip that are cached
    cache_verify: bool = True  # compare checksums of the whole cache at every start, about a second per GB

    @field_validator("cache", mode="before")
    @classmethod
    def _switch(cls, given: Any) -> Any:
        """A word that was meant as a switch is one, unless there is a folder of that name."""
        if not isinstance(given, str) or given.strip().lower() not in (*_ON, *_OFF) or Path(given).is_dir():
            return given
        meant = given.strip().lower() in _ON
        say_once(
            f"videos.cache: {given!r} is taken for {str(meant).lower()}; a folder of that name is written "
            f"{os.path.abspath(given)}"
        )
        return meant

    @model_validator(mode="after")
    def _one_way(self) -> Videos:
        if self.stream and self.cache:
            raise ValueError("stream and cache exclude each other: cached tokens are read in no order of the disk")
        return self
