"""`claver evaluate --task localization` on a small tree of annotated videos."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Claver
from tests.tiny import talking_model
from tests.videos import write_video

from claver.errors import ClaverError


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    talking_model().save_pretrained(folder / "model")
    (folder / "videos").mkdir()
    for seed, name in enumerate(("v_one", "two")):
        write_video(folder / "videos" / f"{name}.mp4", seed=seed, frames=40)
    annotations = [{"segment": [0.5, 2.0], "label": "waving"}, {"segment": [1.0, 4.0], "label": "bowing"}]
    entries = {name: {"subset": "validation", "annotations": annotations} for name in ("one", "two")}
    (folder / "good.json").write_text(json.dumps({"database": entries}))
    missing = {"three": {"subset": "validation", "annotations": annotations}}
    (folder / "missing.json").write_text(json.dumps({"database": entries | missing}))
    return folder


def options(tree: Path, *more: object) -> list[object]:
    common = ["--task", "localization", "--model", tree / "model", "--fps", 10, "--split", "validation"]
    return [*common, "--videos", tree / "videos", *more]


def test_map_as_a_table_and_json(inside: Claver, tree: Path, tmp_path: Path) -> None:
    output = tmp_path / "result.json"
    done = inside("evaluate", tree / "good.json", *options(tree, "--output", output))
    assert done.returncode == 0, done.stderr
    assert "mAP of 2 classes, plain texts, 4 instances in 2 videos" in done.stdout
    result = json.loads(output.read_text())
    assert list(result["per_class"]) == ["bowing", "waving"]
    assert result["wording"] == "plain"
    assert 0 <= result["map_0.5_0.95"] <= result["map_0.3_0.7"] <= 1
    assert f"{100 * result['map_0.3_0.7']:.2f} %" in done.stdout
    assert result["failures"] == {}


def test_what_is_done_is_resumed_whatever_the_batch_size(
    inside: Claver, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        raise ClaverError(f"cannot write {path}: No space left on device")

    output = tmp_path / "result.json"
    with monkeypatch.context() as patched:
        patched.setattr("claver.cli.localize.write_whole", full)
        assert inside("evaluate", tree / "good.json", *options(tree, "--output", output)).returncode == 1
    done = inside("evaluate", tree / "good.json", *options(tree, "--output", output, "--batch-size", 3))
    assert done.returncode == 0, done.stderr
    assert "2 of 2 videos done before, resuming" in done.stderr
    assert "batch_size" not in json.loads(output.read_text())["settings"]


def test_missing_videos_are_named_and_count(inside: Claver, tree: Path) -> None:
    done = inside("evaluate", tree / "missing.json", *options(tree))
    assert done.returncode == 1
    assert "6 instances in 3 videos" in done.stdout
    assert "1 of 3 videos could not be read, and count as not found" in done.stderr
    assert "three" in done.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--task", "detection"], "--task is classification or localization"),
        (["--videos", "nowhere"], "is no folder"),
        (["--split", "test"], "no subset 'test'"),
        (["--predictions", "a.csv"], "has no --predictions"),
        (["--background", "noise"], "--background is video or names"),
    ],
)
def test_mistakes_in_one_sentence(more: list[str], said: str, inside: Claver, tree: Path) -> None:
    done = inside("evaluate", tree / "good.json", *options(tree, *more))
    assert done.returncode == 1
    assert said in done.stderr
