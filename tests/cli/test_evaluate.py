"""`claver evaluate` as people run it: alone, in two processes, over splits, with broken clips."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Claver
from tests.tiny import talking_model
from tests.videos import write_ffv1, write_video
from typer.testing import CliRunner, Result

from claver.cli.main import app
from claver.data.classes import dataset_classes
from claver.errors import ClaverError
from claver.evaluation.protocols import by_benchmark
from claver.inference.jobs import Journal
from claver.inference.recognizer import Recognizer
from claver.text import texts_for

CLASSES = ["waving", "bowing", "running"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluate")
    talking_model().save_pretrained(folder / "model")
    for seed in range(7):
        write_video(folder / f"{seed}.mp4", seed=seed)
    (folder / "6.mp4").write_bytes(b"broken")
    rows = [f"{seed}.mp4,{CLASSES[seed % 3]},test" for seed in range(7)]
    for name, chosen in (("one", rows[:4]), ("two", rows[3:])):
        (folder / f"{name}.csv").write_text("\n".join(["path,label,split", *chosen]) + "\n")
    return folder


@pytest.fixture
def run(inside: Claver) -> Claver:
    def evaluate(place: Path, *arguments: str, processes: int = 1, model: str = "model") -> Any:
        asked = ["evaluate", *arguments, "--model", model, "--views", "1x1"]
        if processes == 1:
            return inside(*asked, cwd=place)
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "120"}
        command = [sys.executable, *launcher, "-m", "claver", *asked]
        return subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=180, env=environment)

    return evaluate


def test_splits_beside_the_paper(run: Claver, place: Path) -> None:
    done = run(place, "one.csv", "two.csv", "--workers", "0", "--setting", "zero-shot", "--output", "result.json")
    assert done.returncode == 1, done.stderr
    assert "claver: 1 of 7 clips could not be read:\nclaver: ./6.mp4: " in done.stderr
    result = json.loads((place / "result.json").read_text())
    assert [entry["clips"] for entry in result["sets"]] == [4, 4]
    assert result["top5"]["mean"] == pytest.approx((1 + 3 / 4) / 2)  # of three classes: all but the broken clip
    assert list(result["sets"][1]["unreadable"]) == [os.path.join(".", "6.mp4")]
    assert result["top1"]["std"] is not None
    assert "1 could not be read and count as wrong" in done.stdout
    assert "3 classes compete" in done.stdout
    assert "\nMost frequent errors of one, label → answer:\n  " in done.stdout
    assert " 1 times" not in done.stdout
    assert sorted(file.name for file in place.glob("result*")) == ["result.json"]


def test_damaged_clips_are_told_skipped_or_failed(run: Claver, tmp_path: Path) -> None:
    talking_model().save_pretrained(tmp_path / "model")
    write_ffv1(tmp_path / "torn.mkv", [4, 5])
    write_video(tmp_path / "sound.mp4")
    (tmp_path / "test.csv").write_text("path,label\ntorn.mkv,waving\nsound.mp4,bowing\n")
    mark = "25 % of the frames used damaged, in packet 4: slice CRC mismatch"
    arguments = ("test.csv", "--workers", "0", "--output", "result.json", "--predictions", "all.csv")
    done = run(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    assert "claver: ./torn.mkv: damaged: " + mark in done.stderr
    assert "1 clips are damaged and have an answer" in done.stdout
    [one] = json.loads((tmp_path / "result.json").read_text())["sets"]
    assert one["clips"] == 2
    assert one["damaged"]["./torn.mkv"].startswith(mark)
    with (tmp_path / "all.csv").open(newline="") as file:
        assert [row["damaged"][: len(mark)] for row in csv.DictReader(file)] == [mark, ""]

    done = run(tmp_path, *arguments, "--damaged", "skip")
    assert done.returncode == 0, done.stderr
    [one] = json.loads((tmp_path / "result.json").read_text())["sets"]
    assert (one["clips"], list(one["skipped"]), one["damaged"]) == (1, ["./torn.mkv"], {})
    done = run(tmp_path, *arguments, "--damaged", "fail")
    assert done.returncode == 1
    [one] = json.loads((tmp_path / "result.json").read_text())["sets"]
    assert (one["clips"], list(one["unreadable"])) == (2, ["./torn.mkv"])
    assert "claver: 1 of 2 clips could not be read:" in done.stderr


@pytest.mark.slow
def test_two_processes_equal_one(run: Claver, place: Path) -> None:
    alone = run(place, "one.csv", "two.csv", "--workers", "0", "--output", "alone.json")
    both = run(place, "one.csv", "two.csv", "--workers", "0", "--output", "both.json", processes=2)
    assert alone.returncode == both.returncode == 1, alone.stderr + both.stderr  # a clip cannot be read
    assert json.loads((place / "alone.json").read_text()) == json.loads((place / "both.json").read_text())
    assert not list(place.glob("*.partial"))


@pytest.mark.parametrize(("texts", "worded"), [("names", "plain"), ("own.csv", "described")])
def test_how_texts_are_worded_stands_beside_the_number(
    run: Claver, place: Path, tmp_path: Path, texts: str, worded: str
) -> None:
    own = "".join(f"{name},someone is seen\n" for name in CLASSES)
    (place / "own.csv").write_text(f"action,text\n{own}", encoding="utf-8")
    output = tmp_path / "result.json"
    done = run(place, "one.csv", "--workers", "0", "--texts", texts, "--output", str(output))
    assert done.returncode == 0, done.stderr
    assert [part["wording"] for part in json.loads(output.read_text())["sets"]] == [worded]
    assert f"model (kmct), {worded} texts" in done.stdout


def test_draws_of_kinetics_600_are_of_one_benchmark(tmp_path: Path) -> None:
    from claver.evaluation.running import read_tests

    draws = [tmp_path / f"{draw}.csv" for draw in (1, 2)]
    for number, draw in enumerate(draws, start=1):
        [first, *_] = dataset_classes(f"kinetics600-draw{number}")
        draw.write_text(f"path,label,dataset\na.mp4,{first},kinetics600-draw{number}\n")
    [group] = by_benchmark(read_tests(draws, None))
    assert [test.benchmark for test in group] == ["kinetics600"] * 2


def test_texts_must_cover_the_classes(run: Claver, place: Path) -> None:
    (place / "texts.csv").write_text("action,text\nwaving,a wave\nbowing,a bow\n")
    done = run(place, "one.csv", "--texts", "texts.csv")
    assert done.returncode == 1
    assert done.stderr == "claver: texts.csv has no text about 'running'\n"


@pytest.mark.slow
def test_a_training_runs_folder_is_a_model_and_its_new_weights_are_another(run: Claver, place: Path) -> None:
    from claver.cli.model import model_identity

    talking_model().save_pretrained(place / "run" / "best")
    before = model_identity(str(place / "run"))
    done = run(place, "one.csv", "--workers", "0", "--output", "run.json", model="run")
    assert done.returncode == 0, done.stderr
    assert json.loads((place / "run.json").read_text())["settings"]["model"].startswith("run ")
    talking_model("kmt").save_pretrained(place / "run" / "best")
    assert model_identity(str(place / "run")) != before


def here(place: Path, monkeypatch: pytest.MonkeyPatch, words: str) -> Result:
    """The command in this process."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "140")
    more = "--model model --views 1x1 --workers 0" + ("" if "--texts" in words else " --texts templates")
    return CliRunner().invoke(app, ["evaluate", *words.split(), *more.split()])


def test_training_clips_are_left_out_and_counted(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    splits = ("train", "train", "train", "test", "test")
    rows = [f"{seed}.mp4,{CLASSES[seed % 3]},{split}" for seed, split in enumerate(splits)]
    (place / "both.csv").write_text("\n".join(["path,label,split", *rows]) + "\n")
    (place / "alone.csv").write_text("\n".join(["path,label,split", *rows[:3]]) + "\n")
    done = here(place, monkeypatch, "both.csv --output both.json")
    assert done.exit_code == 0, done.output
    [entry] = json.loads((place / "both.json").read_text())["sets"]
    assert (entry["clips"], entry["split"]) == (2, "test")
    assert "both.csv: 2 of 5 clips are taken, split 'test'; left out: 'train'" in caplog.text
    assert "training clips alone" in str(here(place, monkeypatch, "alone.csv").exception)
    assert here(place, monkeypatch, "alone.csv --split train").exit_code == 0


def test_a_run_resumed_with_another_list_is_refused_and_mixes_no_classes(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(names: list[str]) -> None:
        rows = [f"{seed}.mp4,{names[seed % 3]}" for seed in range(5)]
        (place / "again.csv").write_text("\n".join(["path,label", *rows]) + "\n")

    write(CLASSES)
    assert here(place, monkeypatch, "again.csv --output whole.json").exit_code == 0
    original = Journal.finish
    monkeypatch.setattr(Journal, "finish", lambda self: (_ for _ in ()).throw(ClaverError("interrupted")))
    assert here(place, monkeypatch, "again.csv --output again.json").exit_code == 1
    monkeypatch.setattr(Journal, "finish", original)
    [settings, first, *_] = [json.loads(line) for line in (place / "again.json.partial").read_text().splitlines()]
    assert sorted(first["results"]["0"]) == sorted(CLASSES)
    write(["zooming", *CLASSES[1:]])
    refused = here(place, monkeypatch, "again.csv --output again.json")
    assert "is an unfinished run with other clips and actions" in str(refused.exception)
    write(CLASSES)
    assert here(place, monkeypatch, "again.csv --output again.json").exit_code == 0
    assert (place / "again.json").read_text() == (place / "whole.json").read_text()
    assert "clips" in settings["settings"]


def test_each_benchmark_has_its_own_texts_and_mean(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for dataset, label in (("ucf101", "archery"), ("hmdb51", "brush hair")):
        (place / f"{dataset}.csv").write_text(f"path,label,dataset\n0.mp4,{label},{dataset}\n1.mp4,{label},{dataset}\n")
    seen: list[Sequence[Any]] = []
    monkeypatch.setattr("claver.evaluation.running.digest", lambda items: str(seen.append(items)))
    done = here(place, monkeypatch, "ucf101.csv hmdb51.csv --output many.json --texts interpretive")
    assert done.exit_code == 0, done.output
    found = json.loads((place / "many.json").read_text())
    assert [(entry["name"], entry["sets"]) for entry in found["benchmarks"]] == [("ucf101", 1), ("hmdb51", 1)]
    assert "top1" not in found
    for actions, dataset in zip(seen[1], ("ucf101", "hmdb51"), strict=True):
        assert actions == texts_for(dataset_classes(dataset), "interpretive", dataset=dataset)
    assert "ucf101, supervised" in done.output
    assert "hmdb51, supervised" in done.output


def test_predictions_of_each_clip(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix in ("jsonl", "csv"):
        assert here(place, monkeypatch, f"two.csv --predictions each.{suffix} --output two.json").exit_code == 1
    records = [json.loads(line) for line in (place / "each.jsonl").read_text().splitlines()]
    assert [record["label"] for record in records] == ["waving", "bowing", "running", "waving"]
    assert "error" in records[3]
    right = [record["top"][0]["action"] == record["label"] for record in records[:3]]
    assert json.loads((place / "two.json").read_text())["top1"]["mean"] == sum(right) / 4
    rows = list(csv.DictReader((place / "each.csv").open(newline="")))
    for row, record in zip(rows[:3], records, strict=False):
        assert (row["path"], row["action_1"]) == (record["path"], record["top"][0]["action"])
        assert float(row["score_3"]) == record["top"][2]["score"]
        assert [float(moment) for moment in row["seconds"].split()] == record["seconds"]
    assert records[0]["seconds"] == Recognizer(talking_model(), CLASSES)(place / "3.mp4").to_dict()["seconds"]
    assert len(records[0]["seconds"]) == 4
    assert rows[3]["action_1"] == ""
    assert rows[3]["error"] == records[3]["error"]
    refused = here(place, monkeypatch, "two.csv --predictions each.txt")
    assert "predictions are written as .csv or .jsonl" in str(refused.exception)


def test_a_setting_that_is_none_of_the_paper_s_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not 'zeroshot'" in str(here(place, monkeypatch, "one.csv --setting zeroshot").exception)


def test_a_test_set_given_twice_is_refused(run: Claver, place: Path) -> None:
    (place / "copy.csv").write_text((place / "one.csv").read_text())
    done = run(place, "one.csv", "two.csv", "copy.csv", "--workers", "0")
    assert done.returncode == 1
    assert done.stderr == "claver: copy.csv holds the same clips as one.csv, given before; give each test set once\n"


def test_one_class_is_told_and_models_are_called_by_their_whole_names(run: Claver, place: Path) -> None:
    (place / "alone.csv").write_text("path,label\n0.mp4,waving\n1.mp4,waving\n")
    talking_model().save_pretrained(place / "my model")
    done = run(place, "alone.csv", "--workers", "0", model="my model")
    assert done.returncode == 0, done.stderr
    assert "1 class competes, so that every answer is right." in done.stdout
    assert "my model (" in done.stdout


def test_what_more_processes_had_done_is_gone_on_with(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes were interrupted after one clip each; one process goes on, and leaves nothing behind."""
    monkeypatch.chdir(place)
    command = ["evaluate", "one.csv", "--model", "model", "--views", "1x1", "--workers", "0", "--output", "on.json"]
    with monkeypatch.context() as context:
        context.setattr(Journal, "finish", lambda self: None)
        assert CliRunner().invoke(app, command).exit_code == 0
    head, *records = (place / "on.json.partial").read_text().splitlines(keepends=True)
    (place / "on.json.partial").write_text(head + records[0])
    (place / "on.json.1.partial").write_text(head + records[1])
    read = []
    stream = Recognizer.stream

    def noted(self: Recognizer, paths: Sequence[Any], **settings: Any) -> Any:
        read.append([str(path) for path in paths])
        return stream(self, paths, **settings)

    monkeypatch.setattr(Recognizer, "stream", noted)
    assert CliRunner().invoke(app, command).exit_code == 0
    assert read == [["./2.mp4", "./3.mp4"]]
    assert sorted(file.name for file in place.glob("on.json*")) == ["on.json"]


def test_a_gate_shuts_for_actions_far_from_those_of_training(
    run: Claver, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scores(*more: str) -> list[float]:
        name = f"gated{len(list(place.glob('gated*')))}.csv"
        done = run(place, "one.csv", "--workers", "0", "--predictions", name, "--texts", "names", *more)
        assert done.returncode == 0, done.stderr
        shares = ("score_1", "score_2", "score_3")
        return [float(row[share]) for row in csv.DictReader((place / name).open()) for share in shares]

    monkeypatch.setenv("COLUMNS", "160")
    told = run(place, "one.csv", "--workers", "0", "--gate", "zzz,qqq", "--gate-tau", "0.5", "--texts", "names").stdout
    assert "gate of 2 trained actions, τ 0.5), plain texts" in told
    alone = run(place, "one.csv", "--gate-tau", "0.5")
    assert alone.returncode != 0
    assert "--gate-tau goes with --gate" in alone.stderr.replace("\n", " ")
    plain, near, far = scores(), scores("--gate", "waving,bowing,running"), scores("--gate", "zzz,qqq")
    assert near == pytest.approx(plain, abs=2e-4)  # every test action is one of training
    assert far != pytest.approx(plain, abs=2e-4)
    assert scores("--gate", "zzz,qqq", "--gate-tau", "1e9") == pytest.approx(plain, abs=2e-4)


def test_what_a_gate_does_not_go_with_is_said(run: Claver, place: Path) -> None:
    for more, why in (
        (("--compile",), "--gate and --compile exclude each other"),
        (("--temporal", "mean"), "a temporal tower of kind 'mean' cannot be gated"),
        (("--task", "localization"), "--gate is for --task classification"),
        (("--gate", "learned"), "the model was not trained on actions that it keeps"),
        (("--gate-tau", "0"), "--gate-tau goes with --gate, and is above 0, not 0"),
    ):
        gate = () if "--gate" in more else ("--gate", "waving")
        done = run(place, "one.csv", "--workers", "0", *gate, *more)
        assert done.returncode != 0
        assert why in done.stderr.replace("\n", " ")
