"""What docs/training.md shows runs as it stands, with a small model in the place of CLIP's."""

import ast
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from claver.cli.main import app
from claver.training.recipe import Augment, load_recipe
from tests.tiny import talking_model
from tests.videos import write_video

TEXT = (Path(__file__).parents[1] / "docs" / "training.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```console\n(.*?)```", TEXT, re.S) for line in block.splitlines()]
SHOWN = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", TEXT, flags=re.S))
CHANGE = re.compile(r"[a-z_]+(\.[a-z_]+)?=\S+")
SMALL = "init_from=start steps=2 epochs=null warmup=1 batch_size=2 temporal.frames=4 videos.workers=0 trackers=[]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of section 1, and the texts of section 3."""
    top = tmp_path_factory.mktemp("training")
    for number in range(8):
        part, action = ("train", "test")[number > 5], ("hand_shaking", "pushing")[number % 2]
        (top / "my_clips" / part / action).mkdir(parents=True, exist_ok=True)
        write_video(top / "my_clips" / part / action / f"{number}.mp4", seed=number)
    talking_model().save_pretrained(top / "start")
    texts = re.search(r"```\n(action,text\n.*?)```", TEXT, re.S)
    assert texts is not None
    (top / "texts.csv").write_text(texts[1], encoding="utf-8")
    return top


def run(folder: Path, command: str) -> str:
    words = [word for words in shlex.split(command) for word in _globbed(folder, words)][1:]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def _globbed(folder: Path, word: str) -> list[str]:
    return [str(path.relative_to(folder)) for path in sorted(folder.glob(word))] if "*" in word else [word]


@pytest.mark.slow
def test_the_commands_run_one_after_another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert [command.split()[1] for command in COMMANDS] == ["data", "data", "train", "train", "evaluate", "recognize"]
    for command in COMMANDS:
        head, *rest = command.split(" --output") if " train " in command else [command]
        small = f"{head} {SMALL}" if " train " in command else head
        shown = run(folder, " --output".join([small, *rest]))
        assert shown, command
    assert (folder / "runs" / "short" / "last" / "config.json").is_file()
    [pack] = [shown for shown in SHOWN if shown.startswith("claver data shard ")]
    run(folder, pack)
    [shards] = [shown for shown in SHOWN if shown.startswith("videos.train=shards")]
    for number, more in enumerate(
        ["", "videos.stream=true videos.buffer=512", "videos.texts=texts.csv accumulation=2"]
    ):
        run(folder, f"claver train own_clips {SMALL} {shards} {more} --output runs/{number}")
    monkeypatch.setenv("CLAVER_CACHE", str(folder / "kept"))
    run(folder, f"claver train own_clips {SMALL} videos.cache=true --output runs/cached")
    assert list((folder / "kept" / "tokens").rglob("*.safetensors"))


def test_every_change_shown_is_one_that_recipes_take() -> None:
    shown = [word for words in SHOWN for word in words.split() if CHANGE.fullmatch(word)]
    assert len(shown) > 10
    for change in shown:
        load_recipe("own_clips", [change])


def test_every_key_named_is_one() -> None:
    recipe = load_recipe("own_clips").model_dump()
    named = [name for name in SHOWN if re.fullmatch(r"(videos|augment)\.[a-z_]+", name)]
    assert "augment.flip_labels" in named
    for name in named:
        section, key = name.split(".")
        assert key in recipe[section], name


def test_recipes_named_are_there() -> None:
    names = [name for name in SHOWN if re.fullmatch(r"(k[46]00|few_shot)_\w+", name)]
    names += [shown.split()[2] for shown in SHOWN if shown.startswith("claver train ")]
    assert len(names) >= 3
    for name in names:
        load_recipe(name)


def test_the_recipe_shown_is_valid(tmp_path: Path) -> None:
    [text] = re.findall(r"```yaml\n(.*?)```", TEXT, re.S)
    (tmp_path / "my_recipe.yaml").write_text(text, encoding="utf-8")
    recipe = load_recipe(tmp_path / "my_recipe.yaml")
    assert (recipe.epochs, recipe.temporal.kind, recipe.batch_size) == (60, "kmct", 16)


def test_defaults_of_the_table_are_those_of_the_recipe() -> None:
    rows = re.findall(r"^\| (`.*?) \|.*\| (`[^|]*) \|$", TEXT.partition("## 4.")[2], re.M)
    assert len(rows) == 5
    for keys, values in rows:
        names, defaults = re.findall(r"`(\w+)`", keys), re.findall(r"`([^`]+)`", values)
        for name, default in zip(names, defaults, strict=False):
            found = getattr(Augment(), name)
            assert ast.literal_eval(default) == (list(found) if isinstance(found, tuple) else found), name
