import shlex

import pytest
from typer.testing import CliRunner

from claver.cli.main import app
from claver.errors import ClaverError
from claver.studies import STUDIES, find_study
from claver.training import videos as training
from claver.training.recipe import load_recipe


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["study", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_every_study_is_there_and_says_what_it_reruns():
    for name, about in STUDIES.items():
        study = find_study(name)
        assert study.name == name
        assert about.startswith(study.paper.split(",")[0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["temperal"], "there is no study 'temperal'; the studies are temporal"),
        (["temporal", "--seeds", "0;1"], "seeds are whole numbers with commas"),
        (["temporal", "clip.mp4"], "temporal takes no further arguments"),
        (["temporal", "--data", "train.csv"], "--data goes with --model"),
        (["rank", "--data", "train.csv"], "rank has no recipe for real clips"),
        (["real-weights"], "real-weights needs --data, the folder of UT-Interaction"),
        (["real-weights", "--data", "clips", "--test", "val.csv"], "real-weights takes neither --model nor --test"),
    ],
)
def test_what_cannot_be_is_said(tmp_path, arguments, said):
    with pytest.raises(ClaverError, match=said):
        run(*arguments, "--output", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_real_clips_give_commands_to_paste():
    given = ["--model", "openai/clip-vit-base-patch32", "--data", "train.csv", "--test", "val.csv", "--seeds", "3"]
    lines = [shlex.split(line) for line in run("temporal", *given).splitlines()]
    first = lines[0]
    assert first[:3] == ["claver", "train", "k400_b32_8_kmt"]
    for change in ("init_from=openai/clip-vit-base-patch32", "videos.train=train.csv", "temporal.kind=mean", "seed=3"):
        assert change in first
    assert lines[1][:3] == ["claver", "evaluate", "val.csv"]


def test_one_list_for_both_is_learned_from_by_its_training_clips_and_measured_on_its_test_clips(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"{n}.mp4,{('a', 'b')[n % 2]},{'test' if n > 5 else 'train'}" for n in range(8)]
    (tmp_path / "clips.csv").write_text("\n".join(["path,label,split", *rows]) + "\n")
    given = ["--model", "m", "--data", "clips.csv", "--test", "clips.csv", "--seeds", "0"]
    learn, measure = (shlex.split(line) for line in run("temporal", *given).splitlines()[:2])
    videos = load_recipe(learn[2], learn[3 : learn.index("--output")]).videos
    assert sorted(sample.split for sample in training._train_clips(videos).manifest.samples) == ["train"] * 6
    assert sorted(sample.split for sample in training._test_clips(videos).manifest.samples) == ["test"] * 2
    assert measure[2] == "clips.csv"
    assert "--split" not in measure  # without it the test clips alone are taken
    (tmp_path / "clips.csv").write_text("path,label\n0.mp4,a\n1.mp4,b\n")
    with pytest.raises(ClaverError, match=r"clips\.csv has no splits, and results on clips that were learned from say"):
        run("temporal", *given)


def test_a_study_from_the_command_line(tmp_path, monkeypatch):
    asked = {}

    def fake(study, options, output, *, command, workers, console):
        asked.update(study=study.name, options=options, output=output, command=command, workers=workers)
        return study.table([])

    monkeypatch.setattr("claver.studies.running.run_study", fake)
    monkeypatch.setattr("sys.argv", ["/usr/bin/claver", "study", "frames", "--seeds", "4, 2"])
    shown = run("frames", "--quick", "--seeds", "4, 2", "--workers", "2", "--output", tmp_path)
    assert asked["options"].seeds == (4, 2)
    assert asked["options"].quick
    assert asked["workers"] == 2
    assert asked["command"] == "claver study frames --seeds '4, 2'"
    assert "tokens T·N" in shown
    run("frames", "--quick")
    assert asked["options"].seeds == (0,)
