"""Default choice of the training or test clips of a list.

A list that has both must never be learned from, or measured on, as a whole: results on clips that were learned from
say nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from claver.data.manifest import Manifest, normal_split
from claver.errors import ClaverError
from claver.log import logger

if TYPE_CHECKING:
    from claver.data.clips import Clips

Purpose = Literal["training", "testing"]
_TAKEN = {"training": ("train",), "testing": ("test", "val")}
_KEPT_OUT = {"training": ("test", "val"), "testing": ("train",)}


def part_for(
    manifest: Manifest, purpose: Purpose, split: str | None = None, *, name: str = "the manifest", told: bool = True
) -> str:
    """The split that serves a purpose; empty for all clips of a list without splits.

    For testing it is `test`, or else `val`; for training `train`. What is taken of several is logged with its count.

    Args:
        manifest: the clips.
        purpose: what for.
        split: the requested one, which is taken whatever the purpose.
        name: what messages call the list.
        told: whether what is taken of several splits is logged.

    Raises:
        ClaverError: no clip of the requested split, none for the purpose, or several splits of which none is known.
    """
    there = manifest.splits
    if split is not None:
        if purpose == "testing" and normal_split(split) == "test" and set(there) <= {"", "train"}:
            raise ClaverError(f"{name} has no test clips; {_set_apart(name)}")
        return manifest.select(split).splits[0]
    if there in ((), ("",)):
        return ""
    taken = next((known for known in _TAKEN[purpose] if known in there), "")
    if not taken and (len(there) > 1 or there[0] in _KEPT_OUT[purpose]):
        raise ClaverError(_none_fits(there, purpose, name))
    if len(there) > 1 and told:
        count = sum(sample.split == taken for sample in manifest.samples)
        others = ", ".join(repr(other) if other else "no split" for other in there if other != taken)
        what = "%s: %d of %d clips are taken, split %r; left out: %s"
        logger.warning(what, name, count, len(manifest), taken, others)
    return taken or there[0]


def clips_for(clips: Clips, purpose: Purpose, split: str | None = None, *, name: str = "the manifest") -> Clips:
    """The clips that serve a purpose, see `part_for`."""
    taken = part_for(clips.manifest, purpose, split, name=name)
    return clips.select(taken) if taken else clips


def _none_fits(there: tuple[str, ...], purpose: Purpose, name: str) -> str:
    wanted, known = " or ".join(_TAKEN[purpose]), ", ".join(repr(split) if split else "no split" for split in there)
    if there == ("train",):
        return f"{name} has training clips alone, and results on those say nothing; {_set_apart(name)}"
    return f"{name} has no clip of split {wanted} for {purpose} but {known}; say which split is to be taken"


def _set_apart(name: str) -> str:
    """What to do about a list without test clips."""
    stem, dot, suffix = name.rpartition(".")
    listed, made = (name, f"{stem}_split.csv") if dot and suffix == "csv" else ("MANIFEST", "FILE.csv")
    return (
        f"set some apart with `claver data split {listed} --test 0.2 --output {made}`, or ask for the training clips "
        "themselves (--split train, in a recipe videos.test_split=train)"
    )
