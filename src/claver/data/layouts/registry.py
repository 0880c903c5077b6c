"""Datasets as they are downloaded, or as one has them: their layout is recognised, and made into a manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from claver.data.action_files import read_class_file
from claver.data.layouts import kinetics, plain, splits, ssv2
from claver.data.layouts.listing import LayoutRequest, Listing
from claver.data.layouts.tree import Found, Tree, Wanted
from claver.data.manifest import Manifest, Sample, check_duplicates, known_dataset, normal_split
from claver.errors import ClaverError
from claver.names import plain as spelling

Reader = Callable[[LayoutRequest], Listing]
Sniffer = Callable[[Sequence[Path]], list[Path]]


@dataclass(frozen=True)
class Layout:
    """One layout of datasets: how its lists are told from others, how it is read, what is expected."""

    sniff: Sniffer | None
    read: Reader
    expected: str


LAYOUTS = {
    "ssv2": Layout(ssv2.sniff, ssv2.read, ssv2.EXPECTED),
    "ucf101": Layout(splits.sniff_ucf, splits.read_ucf, splits.UCF_EXPECTED),
    "hmdb51": Layout(splits.sniff_hmdb, splits.read_hmdb, splits.HMDB_EXPECTED),
    "kinetics": Layout(kinetics.sniff, kinetics.read, kinetics.EXPECTED),
    "csv": Layout(plain.sniff_csv, plain.read_csv, plain.CSV_EXPECTED),
    "list": Layout(plain.sniff_lists, plain.read_lists, plain.LIST_EXPECTED),
    "folders": Layout(None, plain.read_folders, plain.FOLDERS_EXPECTED),
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
    """Detect the layout of a dataset, with the evidence.

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
    first_label: int | None = None,
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
        classes: the class list, or a file of it as `claver.text.read_actions` takes, in place of a dataset's.
        first_label: the number of the first class, where labels are numbers; if not given, as the file of classes
            numbers them, else 0, or 1 where the labels are 1 … C.
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
    named, numbered = read_class_file(Path(classes)) if isinstance(classes, str | Path) else (tuple(classes), None)
    first_label = numbered if first_label is None else first_label
    request = LayoutRequest(tree, tuple(annotations), fold, known_dataset(dataset, "--dataset"), named, first_label)
    return _located(known.read(request), tree, detected, split)


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
    if not folder.is_file() and (placed := plain.class_folders(tree.videos)):
        count = len({name for _, name in placed.values()})
        return Detected("folders", f"{count} folder{'s' * (count > 1)} with {len(placed)} videos in {tree.root}")
    expected = "; ".join(layout.expected for layout in LAYOUTS.values())
    own = f"put your own clips into a folder for each action, {Path(folder, 'ACTION', 'clip.mp4')}"
    raise ClaverError(
        f"{folder} is of no layout that is known ({len(tree.videos)} videos): {own}; layouts of datasets are {expected}"
    )


def _located(listing: Listing, tree: Tree, detected: Detected, split: str | None) -> Indexed:
    """The listed clips that have a file; two clips that would be one file, by its name alone, have none."""
    found, unclear = _files(listing, tree)
    if not found:
        raise ClaverError(
            f"none of the {len(listing.entries)} listed clips (such as {listing.entries[0].listed}) has a file below "
            f"{tree.root}, which holds {len(tree.videos)} videos; say where they are with --videos FOLDER"
        )
    samples = {row: Sample(file, listing.entries[row].label, listing.entries[row].split) for row, file in found.items()}
    listed = list(dict.fromkeys(samples.values()))
    warnings = check_duplicates(listed, [f"the lists of {tree.root}"] * len(listed))
    raw = listing.raw_classes
    manifest = Manifest(listing.classes, tuple(listed), tree.root, listing.dataset, raw, tuple(warnings)).select(split)
    used = {sample.path for sample in listed}
    notes = [*listing.notes, *unclear]
    notes += [f"{len(samples) - len(listed)} clips are listed more than once"] if len(listed) < len(samples) else []
    unlisted = tuple(file for file in tree.videos if file not in used)
    wanted = None if split is None else normal_split(split)
    absent = (entry for row, entry in enumerate(listing.entries) if row not in found)
    missing = tuple(entry.listed for entry in absent if wanted in (None, entry.split))
    return Indexed(manifest, detected, missing, unlisted, tuple(notes))


def _files(listing: Listing, tree: Tree) -> tuple[dict[int, str], list[str]]:
    """The file of each entry that has one, by its row, and notes on those of which it is not clear."""
    spellings = [(spelling(name), spelling(raw)) for name, raw in zip(listing.classes, listing.raw, strict=True)]
    classes = frozenset(name for pair in spellings for name in pair) - {""}
    found: dict[int, Found] = {}
    several: list[str] = []
    for row, entry in enumerate(listing.entries):
        own = frozenset(spellings[entry.label]) - {""}
        wanted = Wanted(entry.listed, entry.names(), own, classes, entry.split, bool(entry.stems))
        files = tree.find(wanted)
        if len(files) == 1:
            found[row] = files[0]
        several += [entry.listed] if len(files) > 1 else []
    claims: dict[str, dict[tuple[int, bool], set[str]]] = {}
    for row, one in found.items():
        if not one.exact:
            claims.setdefault(one.file, {}).setdefault(one.agreement, set()).add(listing.entries[row].listed)
    taken = {one.file for one in found.values() if one.exact}
    lost = [row for row, one in found.items() if not one.exact and (one.file in taken or _disputed(one, claims))]
    shared = [listing.entries[row].listed for row in lost]
    notes = [_unclear(several, "has several files of its name")] if several else []
    notes += [_unclear(shared, "has only a file that another listed clip has as well")] if shared else []
    return {row: one.file for row, one in found.items() if row not in set(lost)}, notes


def _disputed(one: Found, claims: dict[str, dict[tuple[int, bool], set[str]]]) -> bool:
    """Whether other clips claim a file by its name and agree with it as well, or better."""
    best = max(claims[one.file])
    return one.agreement < best or len(claims[one.file][best]) > 1


def _unclear(listed: Sequence[str], why: str) -> str:
    more = f", and so {len(listed) - 1} more" if len(listed) > 1 else ""
    return f"{listed[0]} {why}{more}; counted as missing"
