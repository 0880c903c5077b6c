"""`claver evaluate` with a peer, and what other commands say of one."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from tests.cli.conftest import Claver
from tests.peers import save_videoprism, save_x_clip
from tests.videos import write_video

from claver.inference.peer_models import load_peer
from claver.inference.peers import Peer

pytest.importorskip("transformers.models.videoprism", reason="transformers with VideoPrism is not installed")

CLASSES = ["waving", "bowing", "running"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluate")
    save_x_clip(folder / "x-clip")
    save_videoprism(folder / "prism")
    for seed in range(4):
        write_video(folder / f"{seed}.mp4", seed=seed)
    rows = [f"{seed}.mp4,{CLASSES[seed % 3]}" for seed in range(4)]
    (folder / "one.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    (folder / "texts.csv").write_text(
        "action,text\nwaving,a wave\nwaving,someone waves a hand\nbowing,a bow\nrunning,run\n"
    )
    return folder


def evaluated(inside: Claver, place: Path, *arguments: str) -> Any:
    return inside("evaluate", "one.csv", "--workers", "0", *arguments, cwd=place)


@pytest.mark.parametrize(("model", "name"), [("x-clip", "X-CLIP"), ("prism", "VideoPrism")])
def test_a_peer_stands_in_the_table(inside: Claver, place: Path, tmp_path: Path, model: str, name: str) -> None:
    out, each = tmp_path / "out.json", tmp_path / "each.jsonl"
    asked = ["--model", model, "--texts", "texts.csv", "--views", "2x1"]
    done = evaluated(inside, place, *asked, "--output", out, "--predictions", each)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{model} ({name})" in done.stdout
    assert "4 clips, each counted once; 0 could not be read" in done.stdout
    assert "3 classes compete" in done.stdout
    result = json.loads(out.read_text())
    assert (result["settings"]["peer"], result["settings"]["frames"]) == (name, 4)
    assert "temporal" not in result["settings"]
    assert f" {100 * result['top1']['mean']:.1f} " in done.stdout

    texts = {"waving": ["a wave", "someone waves a hand"], "bowing": ["a bow"], "running": ["run"]}
    peer = Peer(load_peer(place / model), texts, views="2x1")
    answers = [json.loads(line) for line in each.read_text().splitlines()]
    for seed, answer in enumerate(answers):
        expected = peer(place / f"{seed}.mp4").top()
        found = answer["top"]
        assert [entry["action"] for entry in found] == [entry.action for entry in expected]
        assert [entry["score"] for entry in found] == pytest.approx([entry.score for entry in expected], abs=1e-4)


def test_an_interrupted_evaluation_is_gone_on_with(
    inside: Claver, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(place, tmp_path / "work")
    work, stream, read = tmp_path / "work", Peer.stream, []

    def torn(self: Peer, paths: Any, **settings: Any) -> Any:
        for number, answer in enumerate(stream(self, paths, **(settings | {"batch_size": 1}))):
            if number == 2:
                raise KeyboardInterrupt
            yield answer

    asked = ("--model", "x-clip", "--views", "1x1", "--output", "out.json")
    monkeypatch.setattr(Peer, "stream", torn)
    assert evaluated(inside, work, *asked).returncode != 0
    assert (work / "out.json.partial").exists()

    def noted(self: Peer, paths: Any, **settings: Any) -> Any:
        read.extend(str(path) for path in paths)
        return stream(self, paths, **settings)

    monkeypatch.setattr(Peer, "stream", noted)
    done = evaluated(inside, work, *asked)
    assert (done.returncode, read) == (0, ["./2.mp4", "./3.mp4"]), done.stderr
    whole = evaluated(inside, work, *asked[:-1], "again.json")
    assert whole.returncode == 0
    first, second = (json.loads((work / name).read_text()) for name in ("out.json", "again.json"))
    assert first == second


def test_other_weights_are_not_gone_on_with(
    inside: Claver, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(place, tmp_path / "work")
    work, stream = tmp_path / "work", Peer.stream

    def torn(self: Peer, paths: Any, **settings: Any) -> Any:
        yield next(iter(stream(self, paths, **settings)))
        raise KeyboardInterrupt

    asked = ("--model", "x-clip", "--views", "1x1", "--output", "out.json")
    monkeypatch.setattr(Peer, "stream", torn)
    evaluated(inside, work, *asked)
    monkeypatch.setattr(Peer, "stream", stream)
    weights = load_file(work / "x-clip" / "model.safetensors")
    weights["logit_scale"] += 1
    save_file(weights, work / "x-clip" / "model.safetensors")
    done = evaluated(inside, work, *asked)
    assert done.returncode == 1
    assert "model" in done.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--compile",), "a peer runs as transformers runs it, and is not compiled"),
        (("--temporal", "kmt"), "--temporal is for CLIP and CLAVER models; a peer joins frames in its own way"),
        (("--preprocess", "paper"), "--preprocess paper is not for a peer; its own processor says what is done"),
        (("--frames", "16"), "this X-CLIP takes 4 frames per view and no other number, not 16"),
    ],
)
def test_options_that_a_peer_does_not_have(inside: Claver, place: Path, options: tuple[str, ...], told: str) -> None:
    done = evaluated(inside, place, "--model", "x-clip", *options)
    assert done.returncode == 1
    assert done.stderr.startswith(f"claver: {told}")
    assert done.stderr.count("\n") == 1


def test_a_hub_id_is_downloaded_without_pickled_weights(
    inside: Claver, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def snapshot(name: str, *, allow_patterns: list[str], **_: Any) -> str:
        asked.append((name, allow_patterns))
        return str(place / "x-clip")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    done = evaluated(inside, place, "--model", "microsoft/xclip-base-patch32", "--views", "1x1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "xclip-base-patch32 (X-CLIP)" in done.stdout
    assert {name for name, _ in asked} == {"microsoft/xclip-base-patch32"}
    patterns = asked[-1][1]
    assert {"config.json", "model.safetensors", "tokenizer.json", "video_preprocessor_config.json"} <= set(patterns)
    assert not [pattern for _, some in asked for pattern in some if ".bin" in pattern]


def test_its_own_preprocessing_may_be_asked_for(inside: Claver, place: Path) -> None:
    done = evaluated(inside, place, "--model", "x-clip", "--preprocess", "checkpoint", "--views", "1x1")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "command",
    [
        ("recognize", "0.mp4", "--model", "x-clip", "--actions", "waving,bowing"),
        ("explain", "0.mp4", "--model", "x-clip", "--action", "waving", "--output", "page.html"),
        ("timeline", "0.mp4", "--model", "x-clip", "--actions", "waving,bowing", "--output", "page.html"),
        ("watch", "0.mp4", "--model", "x-clip", "--actions", "waving,bowing"),
        ("convert", "x-clip", "--output", "ours"),
        ("blend", "x-clip", "x-clip", "--weight", "0.5", "--output", "ours"),
        ("train", "motion", "init_from=x-clip", "--output", "run"),
        ("profile", "x-clip"),
        ("evaluate", "--model", "x-clip", "--task", "localization", "net.json"),
    ],
    ids=lambda command: command[0],
)
def test_other_commands_say_who_runs_it(inside: Claver, place: Path, command: tuple[str, ...]) -> None:
    (place / "net.json").write_text(
        '{"database": {"0": {"subset": "validation", "duration": 1.2, "annotations": '
        '[{"label": "waving", "segment": [0, 1]}]}}}'
    )
    done = inside(*command, cwd=place)
    assert done.returncode == 1, done.stdout
    told = "x-clip/config.json says model_type 'xclip': X-CLIP is a peer, which only `claver evaluate` runs"
    assert done.stderr.splitlines()[-1].startswith(f"claver: {told}"), done.stderr
    assert "Traceback" not in done.stderr
