"""Datasets as they are downloaded, or as one has them: their layout is recognised, and made into a manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from claver.data import layouts_kinetics, layouts_plain, layouts_splits, layouts_ssv2
from claver.data.listing import Asked, Entry, Listing
from claver.data.manifest import Manifest, Sample, check_duplicates, known_dataset, normal_split
from claver.data.manifest_file import read_text
from claver.data.tree import Tree
from claver.errors import ClaverError

Reader = Callable[[Asked], Listing]
Sniffer = Callable[[Sequence[Path]], list[Path]]


@dataclass(frozen=True)
class Layout:
    """One way in which datasets come: how its lists are told from others, how it is read, what is expected."""

    sniff: Sniffer | None
    read: Reader
    expected: str


LAYOUTS = {
    "ssv2": Layout(layouts_ssv2.sniff, layouts_ssv2.read, layouts_ssv2.EXPECTED),
    "ucf101": Layout(layouts_splits.sniff_ucf, layouts_splits.read_ucf, layouts_splits.UCF_EXPECTED),
    "hmdb51": Layout(layouts_splits.sniff_hmdb, layouts_splits.read_hmdb, layouts_splits.HMDB_EXPECTED),
    "kinetics": Layout(layouts_kinetics.sniff, layouts_kinetics.read, layouts_kinetics.EXPECTED),
    "csv": Layout(layouts_plain.sniff_csv, layouts_plain.read_csv, layouts_plain.CSV_EXPECTED),
    "list": Layout(layouts_plain.sniff_lists, layouts_plain.read_lists, layouts_plain.LIST_EXPECTED),
    "folders": Layout(None, layouts_plain.read_folders, layouts_plain.FOLDERS_EXPECTED),
}
"""By name, in the order in which they are tried: official layouts first, class folders last."""


@dataclass(frozen=True)
class Detected:
    """A layout, and what it was recognised by."""

    layout: str
    saw: str


@dataclass(frozen=True)
class Indexed:
    """A dataset's clips found on disk.

    Attributes:
        manifest: the clips that were found; its warnings are to be shown.
        detected: the layout and what it was recognised by.
        missing: clips that are listed but have no file.
        unlisted: video files that no list names, relative to the folder.
        notes: what else the user should hear of.
    """

    manifest: Manifest
    detected: Detected
    missing: tuple[str, ...]
    unlisted: tuple[str, ...]
    notes: tuple[str, ...]


def detect_layout(folder: str | Path, *, videos: str | Path | None = None) -> Detected:
    """Guess how a dataset is laid out, and say what was seen.

    Args:
        folder: the dataset's folder, or one list (CSV, text) of it.
        videos: where the videos are, if not below the folder.

    Raises:
        ClaverError: nothing known is there; the supported layouts are listed with their files.
    """
    tree, annotations = _look(Path(folder), videos, ())
    return _detect(Path(folder), tree, annotations)


def index_folder(
    folder: str | Path,
    layout: str = "auto",
    *,
    videos: str | Path | None = None,
    fold: int = 1,
    split: str | None = None,
    dataset: str = "",
    classes: Sequence[str] | str | Path = (),
    first_label: int = 0,
    ignore: Iterable[str | Path] = (),
) -> Indexed:
    """Make a manifest of a dataset.

    Args:
        folder: the dataset's folder, or one list (CSV, text) of it.
        layout: one of `LAYOUTS`, or `auto`.
        videos: where the videos are, if not below the folder.
        fold: 1, 2 or 3, which of the official splits of UCF-101 and HMDB-51.
        split: only clips of this split (train, val, test).
        dataset: one of `claver.data.classes.DATASETS`, for folders and lists that do not tell.
        classes: the class list, or a file of it with a class a line, in place of a dataset's.
        first_label: the number of the first class, where labels are numbers.
        ignore: files that are not lists of the dataset, such as the manifest to be written.

    Raises:
        ClaverError: an unknown layout, lists that contradict themselves, or not one clip found.
    """
    if layout != "auto" and layout not in LAYOUTS:
        raise ClaverError(f"there is no layout {layout!r}; known are auto, {', '.join(LAYOUTS)}")
    if fold not in (1, 2, 3):
        raise ClaverError(f"fold must be 1, 2 or 3, not {fold}")
    tree, annotations = _look(Path(folder), videos, ignore)
    detected = _detect(Path(folder), tree, annotations) if layout == "auto" else Detected(layout, "as told")
    known = LAYOUTS[detected.layout]
    if known.sniff is not None and layout not in ("auto", "list") and not known.sniff(annotations):
        raise ClaverError(f"{folder} is not laid out as {layout}; expected is {known.expected}")
    named = _class_file(classes) if isinstance(classes, str | Path) else tuple(classes)
    asked = Asked(tree, tuple(annotations), fold, known_dataset(dataset, "--dataset"), named, first_label)
    return _located(known.read(asked), tree, detected, split)


def _look(folder: Path, videos: str | Path | None, ignore: Iterable[str | Path]) -> tuple[Tree, list[Path]]:
    left_out = {Path(path).resolve() for path in ignore}
    if folder.is_file():
        return Tree(videos or folder.parent), [folder]
    near = Tree(folder)
    lists = [path for path in near.annotations if path.resolve() not in left_out]
    return near if videos is None else Tree(videos), lists


def _detect(folder: Path, tree: Tree, annotations: Sequence[Path]) -> Detected:
    for name, layout in LAYOUTS.items():
        if layout.sniff is not None and (seen := layout.sniff(annotations)):
            more = f" and {len(seen) - 1} more" if len(seen) > 1 else ""
            return Detected(name, f"{seen[0].name}{more} in {seen[0].parent}")
    if not folder.is_file() and (placed := layouts_plain.class_folders(tree.videos)):
        count = len({name for _, name in placed.values()})
        return Detected("folders", f"{count} folder{'s' * (count > 1)} with {len(placed)} videos in {tree.root}")
    expected = "; ".join(layout.expected for layout in LAYOUTS.values())
    raise ClaverError(f"{folder} is of no layout that is known ({len(tree.videos)} videos); known are {expected}")


def _class_file(path: str | Path) -> tuple[str, ...]:
    lines = (line.strip() for line in read_text(Path(path)).splitlines())
    return tuple(line for line in lines if line)


def _located(listing: Listing, tree: Tree, detected: Detected, split: str | None) -> Indexed:
    samples: dict[tuple[str, int, str], Sample] = {}
    missing: list[Entry] = []
    repeated = 0
    for entry in listing.entries:
        file = tree.find(entry.listed, entry.names(), _hints(listing, entry))
        if file is None:
            missing.append(entry)
            continue
        sample = Sample(file, entry.label, entry.split)
        repeated += (file, entry.label, entry.split) in samples
        samples.setdefault((file, entry.label, entry.split), sample)
    if not samples:
        raise ClaverError(
            f"none of the {len(listing.entries)} listed clips (such as {listing.entries[0].listed}) has a file below "
            f"{tree.root}, which holds {len(tree.videos)} videos; say where they are with --videos FOLDER"
        )
    found = list(samples.values())
    warnings = check_duplicates(found, [f"the lists of {tree.root}"] * len(found))
    manifest = Manifest(
        listing.classes, tuple(found), tree.root, listing.dataset, listing.raw_classes, tuple(warnings)
    ).select(split)
    used = {sample.path for sample in found}
    notes = (*listing.notes, *([f"{repeated} clips are listed more than once"] if repeated else []))
    unlisted = tuple(file for file in tree.videos if file not in used)
    wanted = None if split is None else normal_split(split)
    absent = tuple(entry.listed for entry in missing if wanted in (None, entry.split))
    return Indexed(manifest, detected, absent, unlisted, notes)


def _hints(listing: Listing, entry: Entry) -> tuple[str, ...]:
    """Folders in which a clip may lie: its class in either spelling, its split, and those of the listed path."""
    raw = listing.raw_classes or listing.classes
    return (listing.classes[entry.label], raw[entry.label], entry.split, *entry.listed.split("/")[:-1])
