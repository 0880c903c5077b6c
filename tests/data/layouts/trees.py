"""Datasets in their official layouts, made of small real video files."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.videos import write_video

KINETICS = ("abseiling", "playing guitar", "passing American football (in game)")
UCF = ("ApplyEyeMakeup", "BabyCrawling", "YoYo")
HMDB = ("brush_hair", "cartwheel", "ride_bike")
SSV2 = ("Opening something", "Pretending to pick something up")


def videos(paths: Iterable[Path], *, frames: int = 12) -> None:
    for seed, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".webm":  # the codec of `write_video` does not go into WebM
            write_video(path.with_suffix(".mkv"), seed=seed, frames=frames).rename(path)
        else:
            write_video(path, seed=seed, frames=frames)


def youtube_id(label: int, number: int) -> str:
    return f"-{label}_{number}-abcdef"[:11]


def kinetics(root: Path, *, per_class: int = 3, classes: Sequence[str] = KINETICS) -> Path:
    """Class folders with underscores, `train/` and `val/`; the last clip of each class is for validation."""
    lines: dict[str, list[str]] = {"train": [], "validate": []}
    for label, name in enumerate(classes):
        for number in range(per_class):
            split = "validate" if number == per_class - 1 else "train"
            clip = youtube_id(label, number)
            lines[split].append(f"{name},{clip},{10 * number},{10 * number + 10},{split},0")
            folder = root / ("val" if split == "validate" else "train") / name.replace(" ", "_")
            videos([folder / f"{clip}_{10 * number:06d}_{10 * number + 10:06d}.mp4"])
    (root / "annotations").mkdir()
    for split, rows in lines.items():
        text = "\n".join(["label,youtube_id,time_start,time_end,split,is_cc", *rows])
        (root / "annotations" / f"kinetics400_{split}.csv").write_text(text + "\n")
    return root


def ucf(root: Path, *, classes: Sequence[str] = UCF, groups: int = 3) -> Path:
    """`UCF-101/CLASS/v_CLASS_gNN_c01.avi`; group 1 is for testing."""
    lists = root / "ucfTrainTestlist"
    lists.mkdir(parents=True)
    clips = [(label, g, f"{name}/v_{name}_g{g:02d}_c01.avi") for label, name in enumerate(classes) for g in
             range(1, groups + 1)]  # fmt: skip
    (lists / "classInd.txt").write_text("".join(f"{i} {name}\r\n" for i, name in enumerate(classes, start=1)))
    for fold in (1, 2, 3):
        train = (f"{path} {label + 1}\n" for label, group, path in clips if group != fold)
        (lists / f"trainlist{fold:02d}.txt").write_text("".join(train))
        (lists / f"testlist{fold:02d}.txt").write_text("".join(f"{p}\n" for _, group, p in clips if group == fold))
    videos(root / "UCF-101" / path for _, _, path in clips)
    return root


def hmdb(root: Path, *, classes: Sequence[str] = HMDB) -> Path:
    """`videos/CLASS/name.avi` with one clip of each class for testing, two for training, one unused."""
    splits = root / "testTrainMulti_7030_splits"
    splits.mkdir(parents=True)
    for name in classes:
        files = [f"A_Movie!!_[{i}]_{name}_u_nm_np1_fr_med_{i}.avi" for i in range(4)]
        videos(root / "videos" / name / file for file in files)
        for fold in (1, 2, 3):
            marks = [(i + fold) % 4 for i in range(4)]
            lines = [
                f"{file} {2 if mark == 2 else 1 if mark else 0} \n" for file, mark in zip(files, marks, strict=True)
            ]
            (splits / f"{name}_test_split{fold}.txt").write_text("".join(lines))
    return root


def ssv2(root: Path) -> Path:
    """JSON lists and `20bn-something-something-v2/ID.webm`."""
    root.mkdir(parents=True)
    (root / "something-something-v2-labels.json").write_text(json.dumps({n: str(i) for i, n in enumerate(SSV2)}))
    templates = ["Opening [something]", "Pretending to pick [something] up"]
    for split, first in (("train", 1), ("validation", 5)):
        records = [
            {"id": str(first + i), "label": "opening a box", "template": templates[i % 2], "placeholders": ["a box"]}
            for i in range(4)
        ]
        (root / f"something-something-v2-{split}.json").write_text(json.dumps(records))
    (root / "something-something-v2-test.json").write_text(json.dumps([{"id": "99"}]))
    videos(root / "20bn-something-something-v2" / f"{number}.webm" for number in range(1, 9))
    return root
