"""`claver train` on videos with what goes wrong: every mistake one sentence, nothing saved ever lost."""

import json
import resource
from pathlib import Path

import pytest
import torch
import yaml
from tests.tiny import talking_model
from tests.videos import write_video
from typer.testing import CliRunner

import claver
from claver.cli.main import app
from claver.errors import ClaverError
from claver.models import Claver

CLASSES = ("bow", "run", "wave")
ROWS = [f"{n}.mp4,{CLASSES[n % 3]},{'test' if n > 5 else 'train'}" for n in range(9)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for n in range(9):
        write_video(folder / f"{n}.mp4", seed=n)
    talking_model().save_pretrained(folder / "start")
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a model, nine clips and a recipe of two steps."""
    for path in made.iterdir():
        (tmp_path / path.name).symlink_to(path)
    listed(tmp_path / "clips.csv", ROWS)
    sets = {"train": "clips.csv", "train_split": "train", "test": "clips.csv", "test_split": "test", "workers": 0}
    recipe = {"task": "videos", "videos": sets, "init_from": "start", "freeze": ["image"], "batch_size": 3, "lr": 1e-4}
    recipe |= {"steps": 2, "warmup": 1, "temporal": {"kind": "kmct", "frames": 4}, "evaluate_every": 2}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listed(path: Path, rows: list[str], head: str = "path,label,split") -> None:
    path.write_text("\n".join([head, *rows]) + "\n")


def train(*words: str) -> str:
    result = CliRunner().invoke(app, ["train", "recipe.yaml", *words, "--output", "run"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def weights(folder: str = "run/last") -> dict[str, torch.Tensor]:
    return claver.load(folder).state_dict()


MOVED = [row.replace("train", "test") if "wave" in row else row for row in ROWS]
RENAMED = [row.replace("bow", "jump") if "train" in row else row for row in ROWS]
OFFICIAL = ["0.mp4,archery,train,kinetics400", "1.mp4,archerry,train,kinetics400"]


@pytest.mark.parametrize(
    ("rows", "head", "said"),
    [
        (MOVED, "path,label,split", "class 'wave' has no clip, and training needs one of every class"),
        (RENAMED, "path,label,split", "class 'bow' has no clip"),
        (ROWS, "file,label,split", "there is no column 'path' but 'file', 'label', 'split'"),
        (["0.mp4,bow"], "path,action", "there is no column 'label' but 'path', 'action'"),
        ([*ROWS, "0.mp4,run,train"], "path,label,split", "line 11: 0.mp4 is listed before, at clips.csv, line 2"),
        (OFFICIAL, "path,label,split,dataset", "'archerry' is none of the 400 classes; did you mean 'archery'"),
    ],
)
def test_a_manifest_that_cannot_be_learned_from(place: Path, rows: list[str], head: str, said: str) -> None:
    listed(place / "clips.csv", rows, head)
    with pytest.raises(ClaverError) as caught:
        train()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_class_without_texts_and_a_start_of_other_frames_or_layers(place: Path) -> None:
    (place / "texts.csv").write_text("action,text\nbow,a bow\nrun,a run\n")
    with pytest.raises(ClaverError, match=r"texts\.csv has no text about 'wave'"):
        train("videos.texts=texts.csv")
    with pytest.raises(ClaverError, match=r"temporal\.layers is 3, but start was trained with 2"):
        train("temporal.layers=3")
    with pytest.raises(ClaverError, match=r"start/config\.json"):
        train("init_from=start/config.json")


def test_a_bar_of_tokens_is_shown_where_some_are_computed(place: Path) -> None:
    """Where all are kept already it stood at 0 of an unknown number until the end."""
    assert "image tokens" in train("videos.cache=./kept_tokens")
    assert "image tokens" not in train("videos.cache=./kept_tokens", "--resume", "never")


def test_a_video_in_train_and_test_is_warned_of_once(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    listed(place / "clips.csv", [*ROWS, "0.mp4,bow,test"])
    train("videos.cache=./kept_tokens")
    said = "0.mp4 is in both the training and the test set: results on it say nothing; remove it from one of them"
    assert [record.message for record in caplog.records].count(f"./{said}") == 1


@pytest.mark.parametrize("cached", [(), ("videos.cache=./kept_tokens",)])
def test_a_loss_that_is_no_number_leaves_its_clips_for_inspection(place: Path, cached: tuple[str, ...]) -> None:
    model = talking_model()
    torch.nn.init.constant_(model.temporal.embedding, 3e38)  # finite, and too large to compute with
    (place / "start").unlink()
    model.save_pretrained(place / "start")
    with pytest.raises(ClaverError, match=r"the loss of run became nan at step 0; .* its batch is in run/inspect"):
        train(*cached)
    facts = json.loads((place / "run/inspect/step-0/rank0.json").read_text())
    assert len(facts["clips"]) == len(facts["rows"]) == 3
    assert all(Path(clip).name in {f"{n}.mp4" for n in range(6)} for clip in facts["clips"])
    assert (place / "run/inspect/step-0/rank0.safetensors").stat().st_size > 1000


def test_a_checkpoint_of_a_model_of_other_sizes_is_not_gone_on_with(place: Path) -> None:
    train()
    before = weights()
    (place / "start").unlink()
    small = talking_model()
    config = small.config.with_temporal("kmct", 4, 1)
    torch.manual_seed(0)
    other = Claver(config, small.tokenizer)
    other.temporal.initialize("random")
    other.save_pretrained(place / "start")
    with pytest.raises(ClaverError, match=r"run/last is of a model of other sizes: its temporal\.blocks") as caught:
        train()
    assert "\n" not in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in weights().items())


@pytest.mark.parametrize("trackers", ["[]", "null"])
def test_a_disk_that_is_full_is_said_and_what_was_saved_stays(place: Path, trackers: str) -> None:
    train()
    before, limit = weights(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limit[1]))  # writing more fails, as on a full disk
    try:
        with pytest.raises(ClaverError, match=r"run/best cannot be written: .*File too large"):
            train("lr=2e-4", f"trackers={trackers}", "--resume", "never")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert all(torch.equal(value, before[key]) for key, value in weights("run/earlier-1/last").items())
    assert not list(place.glob("run/*.new"))
    train("lr=2e-4", "--resume", "never")
    assert not all(torch.equal(value, before[key]) for key, value in weights().items())


def test_an_output_that_is_read_only_is_said_before_anything_is_computed(place: Path) -> None:
    (place / "run").write_text("in the way")
    with pytest.raises(ClaverError, match="checkpoints cannot be written to run: File exists"):
        train()


def test_the_same_command_goes_on_with_other_workers(place: Path) -> None:
    train("checkpoint_every=1")
    assert "2/2" in train("checkpoint_every=1", "videos.workers=1")


@pytest.mark.parametrize("given", ["true", "tokens", "on", "Enabled"])
def test_cached_tokens_lie_in_the_usual_place(place: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("CLAVER_CACHE", str(place / "usual"))
    train(f"videos.cache={given}", "steps=1", "evaluate_every=null")
    assert list((place / "usual" / "tokens").rglob("*.safetensors"))
    assert not (place / given).exists()
    monkeypatch.setenv("CLAVER_CACHE", "")
    with pytest.raises(ClaverError, match=r"CLAVER_CACHE is empty or there is no home; give"):
        train(f"videos.cache={given}", "steps=1", "evaluate_every=null", "--resume", "never")


@pytest.mark.parametrize("given", ["false", "off", "none", "null"])
def test_a_cache_that_is_switched_off_is_off(place: Path, given: str) -> None:
    train(f"videos.cache={given}", "steps=1", "evaluate_every=null")
    assert not (place / given).exists()


def test_a_folder_that_is_there_is_a_folder_whatever_its_name(place: Path) -> None:
    (place / "tokens").mkdir()
    train("videos.cache=tokens", "steps=1", "evaluate_every=null")
    assert list((place / "tokens").rglob("*.safetensors"))


def test_a_run_of_version_0_2_is_resumed(place: Path) -> None:
    train()
    state = json.loads((place / "run/last/state.json").read_text())
    states = ["shape", "colour", "size", "opacity", "place", "direction"]
    state["recipe"]["data"] = {"source": "motion", "train": 0, "test": 0, "states": states}
    (place / "run/last/state.json").write_text(json.dumps(state))
    assert "resuming at step 2" in train("--dry-run")
    train()
    assert not (place / "run" / "earlier-1").exists()


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(place: Path) -> None:
    before = sorted(path.name for path in place.iterdir())
    told = train("videos.cache=./kept", "evaluate_every=epoch", "steps=4", "--dry-run")
    for words in (
        "start, kmct, 4 frames",
        "6 clips for training, 3 for testing",
        "actions 3, with",
        "4 of 3 (2 epochs), 1 of them to warm up",
        "2 evaluations; a checkpoint every 5 minutes and at the end",
        "run, from the first step",
        "frozen",
        "temporal",
    ):
        assert words in told
    assert sorted(path.name for path in place.iterdir()) == before
    train("steps=2")
    assert "resuming at step 2" in train("steps=2", "--dry-run")
    assert "from the first step; what is there is moved aside" in train("steps=2", "--dry-run", "--resume", "never")
    for change, said in (
        ("seed=7", "belongs to a run with seed 0"),
        ("freeze=[image,text,temporal,readout,logit_scale]", "nothing is left to learn"),
        ("videos.train=none.csv", "which is not there"),
        ("videos.texts=nonsense", "not 'nonsense'"),
    ):
        with pytest.raises(ClaverError, match=said):
            train("steps=2", change, "--dry-run")
    assert not (place / "run" / "earlier-1").exists()
