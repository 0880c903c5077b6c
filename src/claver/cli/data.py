"""`claver data`: make a manifest of a dataset, check its files, split it, pack it into shards."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from claver.cli.formats import CsvSafeOption, Record, ReportFormat, check_apart, check_output
from claver.cpus import allowed_cpus
from claver.errors import ClaverError
from claver.files import only_writer, write_whole
from claver.inference.jobs import run_job
from claver.terminal import complain, put, say, shown, tell

if TYPE_CHECKING:
    from claver.data.manifest import Manifest

data_app = typer.Typer(
    name="data", help="Datasets: index, check, split, pack into shards.", no_args_is_help=True, rich_markup_mode="rich"
)
INDEX_EXAMPLES = """
[bold]Examples[/]

claver data index UCF-101/ --fold 1 --output ucf101.csv\n
claver data index kinetics400/ --split val --output k400_val.csv --report k400_val.json\n
claver data index my_clips/ --output my_clips.csv\n
claver data index train_list.txt --videos videos/ --dataset kinetics400 --output train.csv
"""
CHECK_EXAMPLES = """
[bold]Examples[/]

claver data check ucf101.csv --write-good ucf101_good.csv\n
claver data check k400_train.csv --frames 16 --workers 16 --format json --output report.json\n
claver data check shards/
"""
SPLIT_EXAMPLES = """
[bold]Examples[/]

claver data split my_clips.csv --test 0.2 --output my_split.csv\n
claver data split my_clips.csv --test 0.2 --group person --output my_split.csv\n
claver data split my_clips.csv --test 0.2 --group "scene(\\[0-9]+)" --output my_split.csv\n
claver data split ucf101.csv --few-shot 4 --seed 1 --output ucf101_4shot.csv\n
claver data split k600_val.csv --k600-draw 1 --output k600_draw1.csv
"""
SHARD_EXAMPLES = """
[bold]Examples[/]

claver data shard k400_train.csv --output shards/k400_train --size 512MB
"""
_NOTHING_TOGETHER = (
    "by --group {group} every clip is a group of its own, so nothing is kept together; a pattern should match what "
    "clips of one group have in common, or have brackets around it, as in _([0-9]+)_"
)
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


ManifestArgument = Annotated[Path, typer.Argument(metavar="MANIFEST", show_default=False, help="A manifest (CSV).")]
RootOption = Annotated[
    Path | None, typer.Option(help="What relative paths are relative to; the manifest's folder if not given.")
]
SplitOption = Annotated[str | None, typer.Option(help="Only clips of this split: train, val or test.")]
OutputOption = Annotated[Path, typer.Option(show_default=False, help="The manifest to write.")]


@data_app.command(epilog=INDEX_EXAMPLES)
def index(
    folder: Annotated[str, typer.Argument(metavar="FOLDER|LIST", show_default=False, help="The dataset's folder.")],
    output: OutputOption,
    layout: Annotated[
        str, typer.Option(help="auto, kinetics, ucf101, hmdb51, ssv2, csv, list or folders (a folder per class).")
    ] = "auto",
    split: SplitOption = None,
    fold: Annotated[int, typer.Option(min=1, max=3, help="The official split of UCF-101 and HMDB-51.")] = 1,
    videos: Annotated[Path | None, typer.Option(help="Where the videos are, if not below FOLDER.")] = None,
    root: Annotated[Path | None, typer.Option(help="Write paths relative to this folder, not the manifest's.")] = None,
    dataset: Annotated[
        str, typer.Option(help="Whose classes these are, where that is not told: kinetics400, ucf101, …")
    ] = "",
    classes: Annotated[
        Path | None, typer.Option(help="A file of classes in order, one a line, numbered or not, or id,name.")
    ] = None,
    first_label: Annotated[
        int | None,
        typer.Option(
            min=0, help="The number of the first class in a list; if not given, told by the numbers there are."
        ),
    ] = None,
    only_present: Annotated[bool, typer.Option("--only-present", help="Leave out classes without a clip.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write what is missing and unlisted here, whole, as JSON.")
    ] = None,
) -> None:
    """Make a manifest: find the clips of a dataset as it was downloaded, and say which are missing."""
    from dataclasses import replace

    from claver.data.layouts.registry import index_folder
    from claver.data.manifest_file import write_manifest
    from claver.data.report import index_json, index_report

    check_apart((output, report), (folder, classes))
    for path in (output, report):
        check_output(path)
    options: dict[str, Any] = {"videos": videos, "fold": fold, "split": split, "dataset": dataset}
    options |= {"classes": () if classes is None else classes, "first_label": first_label, "ignore": [output]}
    with only_writer(output):
        found = index_folder(folder, layout, **options)
        if only_present:
            found = replace(found, manifest=found.manifest.only_present())
        write_manifest(found.manifest, output, root=root)
    if report is not None:
        write_whole(report, index_json(found))
    say(index_report(found), end="")
    _warn(found.manifest.warnings)


@data_app.command(epilog=CHECK_EXAMPLES)
def check(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST|SHARDS", show_default=False, help="A manifest, or a folder of shards.")
    ],
    frames: Annotated[int, typer.Option(min=1, help="A clip with fewer frames is short.")] = 8,
    root: RootOption = None,
    split: SplitOption = None,
    form: Annotated[ReportFormat, typer.Option("--format", help="How to write the report.")] = ReportFormat.table,
    output: Annotated[Path | None, typer.Option(help="Write the report here, not to the screen.")] = None,
    csv_safe: CsvSafeOption = False,
    write_good: Annotated[Path | None, typer.Option(help="Write a manifest of the sound clips here.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that decode; one per core if not given.")
    ] = None,
    decode_timeout: Annotated[
        float,
        typer.Option(
            min=0.1, help="Seconds without a further frame after which a worker gives up a file; it takes any length."
        ),
    ] = 60.0,
) -> None:
    """Decode every frame of every clip; report what is missing, broken, damaged or short. Exit code 1 if anything is.

    A file that took too long is reported as timeout; it may be sound. Clips whose time stamps jump are reported as
    irregular, which is no fault: a jump counts as one frame.

    Interrupted, the same command resumes where it stopped. Of shards the checksums are compared.
    """
    if manifest.is_dir():
        _check_shards(manifest)
        return
    from claver.data.check import judged
    from claver.data.manifest_file import read_manifest, write_manifest
    from claver.data.report import BAD, check_report, find_duplicates

    check_apart((output, write_good), (manifest,))
    check_output(output, "leave out --output to write to stdout, or name a file")
    check_output(write_good)
    listed = read_manifest(manifest, root=root, split=split)
    _warn(listed.warnings)
    settings = {"manifest": sha256(manifest.read_bytes()).hexdigest()[:16], "root": str(root), "split": split}
    paths = list(dict.fromkeys(listed.paths()))
    bad: set[str] = set()

    def write(checked: Sequence[Record]) -> None:
        records = [judged(record, frames) for record in checked]
        bad.update(record["path"] for record in records if record["status"] in BAD)
        if write_good is not None:
            good = listed.subset(row for row in range(len(listed)) if listed.path(row) not in bad)
            write_manifest(good, write_good, root=root)
        duplicates = find_duplicates(listed, records)
        _warn(duplicates)
        _write(check_report(records, duplicates, form, csv_safe=csv_safe), form, output)

    with _resumable():
        run_job(
            paths,
            partial(_checked, workers=workers, decode_timeout=decode_timeout),
            output=output or manifest.with_name(f"{manifest.name}.check"),
            settings=settings,
            write=write,
            is_done=lambda record: record["status"] in ("ok", "irregular", "damaged"),
            on_resume=lambda done: tell(f"{done} of {len(paths)} clips checked before, resuming"),
        )
    if bad:
        complain(f"{len(bad)} of {len(paths)} clips are not sound")
        raise typer.Exit(1)


@data_app.command(epilog=SPLIT_EXAMPLES)
def split(
    manifest: ManifestArgument,
    output: OutputOption,
    test: Annotated[
        float | None,
        typer.Option(help="Set this share of each class apart for testing, the rest for training: a column split."),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN|PATTERN",
            help="With --test: clips that stay together: those with the same value in a column, or the same match of a "
            "regular expression in their path (of its brackets, where it has some).",
        ),
    ] = None,
    few_shot: Annotated[
        int | None, typer.Option(min=1, help="Exactly K training clips of each class; 2, 4, 8 and 16 are nested.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which clips are drawn.")] = 0,
    k600_draw: Annotated[
        int | None, typer.Option(min=1, max=3, help="One of the three published draws of 160 classes.")
    ] = None,
    only: Annotated[str | None, typer.Option("--split", help="Only clips of this split: train, val or test.")] = None,
    root: RootOption = None,
) -> None:
    """Set clips apart for testing, or take a part: K clips of each class, or a draw of Kinetics-600's classes.

    Clips are drawn by the names of their files: the same wherever the files lie, and in whatever order they are listed.
    """
    from claver.data import split as parts
    from claver.data.manifest_file import read_manifest, write_manifest

    if (test, few_shot, k600_draw).count(None) != 2:
        raise ClaverError("give either --few-shot K or --k600-draw 1, 2 or 3, or --test SHARE")
    if group is not None and test is None:
        raise ClaverError("--group goes with --test: it says which clips stay together")
    check_output(output)
    if test is None or only is not None:  # else every clip is kept
        check_apart((output,), (manifest,))
    groups: list[str] | None = None
    with only_writer(output):
        whole = read_manifest(manifest, root=root)
        if test is not None:
            part, groups = _set_apart(manifest, whole, test, group, seed, only)
        elif few_shot is not None:
            part = parts.few_shot(whole.select(only), few_shot, seed=seed, split=only)
        elif k600_draw is not None:
            part = parts.k600_draw(whole.select(only), k600_draw)
        write_manifest(part, output, root=root)
    each = Counter(sample.split for sample in part.samples) if test is not None else {}
    counts = f": {', '.join(f'{count} {name}' for name, count in sorted(each.items(), reverse=True))}" if each else ""
    kept = "" if groups is None else f"; {len(set(groups))} groups, none of them in both"
    say(f"{len(part)} clips of {len(part.classes)} classes in {shown(str(output))}{counts}{kept}")
    if groups is not None and len(set(groups)) == len(groups):
        _warn([_NOTHING_TOGETHER.format(group=group)])
    _warn(_without_clips(part, tested=test is not None))


def _without_clips(part: Manifest, *, tested: bool) -> Iterator[str]:
    """What to say of classes that a part has no clip of, or no test clip where it should have some."""
    if empty := part.empty_classes():
        yield f"{len(empty)} classes have no clip, such as {empty[0]!r}"
    if tested and (with_test := part.select("test").only_present().classes) != part.only_present().classes:
        without = [name for name in part.only_present().classes if name not in set(with_test)]
        yield f"{len(without)} classes have no test clip, such as {without[0]!r}: they have one clip, or one group"


def _set_apart(
    path: Path, whole: Manifest, share: float, group: str | None, seed: int, only: str | None
) -> tuple[Manifest, list[str] | None]:
    """The clips with a split, and the group of each where there are groups."""
    from claver.data.split import groups_by, train_test

    if only is None and (known := [name for name in whole.splits if name]):
        raise ClaverError(
            f"{path} has splits already ({', '.join(known)}); to split the clips of one of them alone, add "
            f"--split {known[0]}"
        )
    chosen = whole.select(only)
    groups = None if group is None else groups_by(chosen, group)
    return train_test(chosen, share, seed=seed, groups=groups), groups


@data_app.command(epilog=SHARD_EXAMPLES)
def shard(
    manifest: ManifestArgument,
    output: Annotated[Path, typer.Option(show_default=False, help="A folder for the shards, new or empty.")],
    size: Annotated[str, typer.Option(help="Bytes of clips in a shard: 512MB, 1GiB, …")] = "512MB",
    seed: Annotated[int, typer.Option(min=0, help="Of the order that streams will read the clips in.")] = 0,
    root: RootOption = None,
    split: SplitOption = None,
) -> None:
    """Pack clips into tar files in WebDataset form, with an index and checksums; equal input gives equal bytes.

    Interrupted, the same command resumes after the last whole shard.
    """
    from claver.data.manifest_file import read_manifest
    from claver.data.shards import write_shards

    limit = parse_size(size)
    listed = read_manifest(manifest, root=root, split=split)
    _warn(listed.warnings)
    with only_writer(output), _resumable(), _progress("packing", len(listed)) as advance:
        index = write_shards(listed, output, size=limit, seed=seed, on_shard=lambda done, _: advance(done))
    say(f"{len(listed)} clips in {len(list(output.glob('shard-*.tar')))} shards, listed in {shown(str(index))}")


def parse_size(text: str) -> int:
    """`512MB` as bytes.

    Raises:
        ClaverError: not a number with a unit.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([KMG]?I?B?)", text.strip().upper())
    size = float(found[1]) * _UNITS[found[2]] if found is not None and found[2] in _UNITS else 0
    if not 1 <= size < 2**63:
        raise ClaverError(f"a size should be like 512MB or 1GiB, not {text!r}")
    return int(size)


def _checked(paths: Sequence[str], workers: int | None, decode_timeout: float) -> Iterator[Record]:
    """A record for each file, with a bar."""
    from claver.data.check import check_clips

    processes = min(len(paths), allowed_cpus() if workers is None else workers)
    with _progress("checking", len(paths)) as advance:
        for number, record in enumerate(check_clips(paths, workers=processes, decode_timeout=decode_timeout), start=1):
            yield record
            advance(number)


def _check_shards(folder: Path) -> None:
    from claver.data.shards import read_index, verify_shards

    faults = verify_shards(folder)
    for fault in faults:
        complain(fault)
    if faults:
        raise typer.Exit(1)
    index, shards = read_index(folder)
    say(f"{index['clips']} clips in {len(shards)} shards, all as they were written")


@contextmanager
def _resumable() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        complain("interrupted; the same command resumes where it stopped")
        raise typer.Exit(130) from None


@contextmanager
def _progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr; yields what is to be called with the number done."""
    from claver.progress import bar

    with bar(title, hidden=total < 2) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.update(task, completed=done)


def _write(report: str, form: ReportFormat, output: Path | None) -> None:
    if output is not None:
        write_whole(output, report)
    elif form is ReportFormat.table:
        say(report, end="")
    else:
        put(report)


def _warn(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        tell(f"warning: {sentence}")
