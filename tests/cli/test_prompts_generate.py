"""`claver prompts generate` as people run it: killed, interrupted, refused, with a key, with a server or a folder."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.text.generator.babbling import babbling_model
from tests.text.generator.served import Asked, Reply, canned, refused, said, serving, well

from claver.cli import main
from claver.text import read_prompts
from claver.text.generator import load_forms

KEY = "sk-verysecret0123456789"
GENERATE = ("prompts", "generate")
Quick = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLAVER_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def quick(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Quick:
    """The command in this process, which has loaded what it needs."""

    def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["claver", *GENERATE, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        written = capfd.readouterr()
        return subprocess.CompletedProcess([], int(ended.value.code or 0), written.out, written.err)

    return run


def options(url: str, output: Path, *more: Any, actions: str = "juggling, rowing, whistling") -> list[str]:
    own = ["--actions", actions, "--kind", "body", "--model", "m", "--base-url", url, "--output", output]
    return list(map(str, [*own, *more]))


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "claver", *GENERATE, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def texts(path: Path) -> list[str]:
    return [prompt.text for prompt in read_prompts(path)]


def test_a_bank_with_its_source_and_what_it_cost(quick: Quick, tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    with serving(well) as server:
        done = quick(*options(server.url, path, "--kind", "all", "--samples", 2, "--temperature", 0.5))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"18 texts of 3 actions in {path}\n900 tokens read, 180 written\n"
    prompts = read_prompts(path)
    assert [(prompt.action, prompt.kind) for prompt in prompts[::2]] == [
        (action, kind)
        for action in ("juggling", "rowing", "whistling")
        for kind in ("decomposition", "synonym", "body")
    ]
    source = prompts[0].source
    assert source is not None
    assert source.model == "m"
    assert time.strptime(source.date, "%Y-%m-%d")
    assert {**source.settings, "form": ""} == {"temperature": 0.5, "top_p": 0.95, "endpoint": "chat", "form": ""}
    assert prompts[0].list == "own"


def test_a_benchmark_and_a_file_name_their_list(quick: Quick, tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("rowing\n")
    with serving(well) as server:
        for actions, name in ((str(mine), "mine"), ("hmdb51", "hmdb51")):
            path = tmp_path / f"{name}.jsonl"
            assert quick(*options(server.url, path, "--samples", 1, actions=actions)).returncode == 0
            assert {prompt.list for prompt in read_prompts(path)} == {name}
        again = quick(*options(server.url, path, "--samples", 1, actions="hmdb51"))
    assert "nothing was missing, nothing was asked" in again.stdout


@pytest.mark.slow
def test_killed_and_restarted_it_asks_for_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    victim: list[subprocess.Popen[str]] = []

    def behave(number: int, asked: Asked) -> Reply:
        if number == 17 and victim:
            victim.pop().kill()
        return said(asked, canned(asked))

    with serving(behave) as server:
        arguments = options(server.url, path, "--samples", 10, "--concurrency", 3)
        process = start(*arguments)
        victim.append(process)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        content = path.read_bytes()
        path.write_bytes(content[:-9])  # the last line torn
        kept = Counter(json.loads(line)["action"] for line in content.split(b"\n")[:-2])
        assert sum(kept.values()) >= 12  # all but the few under way
        server.asked.clear()
        process = start(*arguments)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert f"{path} holds {sum(kept.values())} texts, {30 - sum(kept.values())} to go" in stderr
    asked = Counter(asked.action for asked in server.asked)
    assert kept + asked == Counter({"juggling": 10, "rowing": 10, "whistling": 10})
    assert len(set(texts(path))) == 30


def test_interrupted_it_says_that_the_same_command_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    reached = threading.Event()

    def behave(number: int, asked: Asked) -> Reply:
        if number < 4:
            return said(asked, canned(asked))
        reached.set()
        return Reply({}, delay=1.0)

    with serving(behave) as server:
        process = start(*options(server.url, path, "--concurrency", 1))
        assert reached.wait(60)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"interrupted; {path} holds 4 texts, and the same command resumes" in stderr
    assert "200 tokens read, 40 written" in stderr
    assert "Traceback" not in stderr
    assert len(texts(path)) == 4


def test_what_cannot_be_had_is_reported_and_the_rest_kept(quick: Quick, tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"

    def behave(_: int, asked: Asked) -> Reply:
        return said(asked, "I cannot help." if asked.action == "rowing" else canned(asked))

    with serving(behave) as server:
        short = quick(*options(server.url, path, "--samples", 2, "--attempts", 3))
        assert short.returncode == 1
        assert len(server.asked) == 2 + 2 * 3 + 2
        server.behave = well
        server.asked.clear()
        healed = quick(*options(server.url, path, "--samples", 2, "--attempts", 3))
    assert short.stderr.splitlines() == [
        "claver: rowing, body: 0 of 2 texts; the last neither names nor paraphrases its action",
        "claver: the same command asks again for what is missing",
    ]
    assert short.stdout.startswith(f"4 texts of 3 actions in {path}\n")
    assert (healed.returncode, len(server.asked), len(texts(path))) == (0, 2, 6)


def test_other_settings_are_not_mixed_into_a_bank(quick: Quick, tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    with serving(well) as server:
        quick(*options(server.url, path, "--samples", 1))
        before = path.read_bytes()
        asked = len(server.asked)
        other = quick(*options(server.url, path, "--samples", 1, "--temperature", 0.3))
        assert (other.returncode, path.read_bytes(), len(server.asked)) == (1, before, asked)
        assert other.stderr == (
            f"claver: {path} holds texts of another temperature (0.9, not 0.3); choose another --output, or replace it "
            "with --overwrite\n"
        )
        replaced = quick(*options(server.url, path, "--samples", 1, "--temperature", 0.3, "--overwrite"))
    assert replaced.returncode == 0
    assert len(texts(path)) == 3
    assert all(prompt.source and prompt.source.settings["temperature"] == 0.3 for prompt in read_prompts(path))


def test_a_refusing_server_ends_in_one_sentence_that_says_what_is_kept(quick: Quick, tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"

    def behave(number: int, asked: Asked) -> Reply:
        return said(asked, canned(asked)) if number < 2 else refused(404, "no such model")

    with serving(behave) as server:
        ended = quick(*options(server.url, path, "--concurrency", 1))
    assert ended.returncode == 1
    assert ended.stderr == (
        f"claver: {server.url} has no model 'm', or no chat endpoint at this address, which usually ends in /v1 (404): "
        f"no such model; {path} holds 2 texts, and the same command resumes\n"
    )


@pytest.mark.parametrize("variable", ["CLAVER_API_KEY", "OPENAI_API_KEY"])
def test_a_key_is_in_no_file_and_on_no_screen(
    quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, KEY)
    monkeypatch.setenv("OPENAI_LOG", "debug")

    def behave(number: int, asked: Asked) -> Reply:
        given = asked.headers["authorization"]
        if number < 3:
            return said(asked, f"{canned(asked)} {given}.")
        return refused(500 if number < 5 else 400, f"{given} {KEY[:9]}***{KEY[-4:]} is broke")

    with serving(behave) as server:
        ended = quick(*options(server.url, tmp_path / "own.jsonl", "--concurrency", 1, "--no-validate", "--retries", 0))
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert "answered 400" in ended.stderr
    written = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == 1
    for told in (ended.stdout, ended.stderr, *written):
        assert KEY not in told
        assert KEY[-4:] not in told


@pytest.mark.slow
def test_a_model_in_a_folder(quick: Quick, tmp_path: Path) -> None:
    folder, path = babbling_model(tmp_path / "babbling"), tmp_path / "own.jsonl"
    own = ["--actions", "juggling, rowing", "--kind", "body", "--local", folder, "--output", path, "--samples", 1]
    drawn = [*own, "--max-tokens", 12, "--device", "cpu", "--attempts", 2]
    gibberish = quick(*drawn)
    assert gibberish.returncode == 1
    assert "claver: juggling, body: 0 of 1 texts; the last" in gibberish.stderr
    assert not path.exists()
    kept = quick(*drawn, "--no-validate", "--seed", 3)
    assert kept.returncode == 0, kept.stderr
    source = read_prompts(path)[0].source
    assert source is not None
    assert (source.model, source.settings["endpoint"]) == ("babbling", "chat")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--actions", "rowing"], "give either --model NAME"),
        (["--actions", "rowing", "--model", "m", "--local", "x"], "give either --model NAME"),
        (["--actions", "rowing", "--model", "m"], "no key: set OPENAI_API_KEY, or give the --base-url"),
        (["--actions", "rowing", "--model", "m", "--base-url", "localhost:8000"], "should look like http://"),
        (["--actions", "kinetics-400", "--model", "m", "--base-url", "http://h/v1"], "did you mean 'kinetics400'?"),
        (["--actions", "rowing", "--model", "m", "--examples", "nowhere.yaml"], "nowhere.yaml"),
        (["--actions", "rowing", "--local", "nowhere"], "there is no model folder nowhere"),
        (["--actions", "rowing", "--local", "x", "--base-url", "http://h/v1"], "--base-url goes with --model"),
        (["--actions", "rowing", "--local", "x", "--list", ""], "--list is empty; give the list a name"),
        (["--actions", "", "--model", "m", "--base-url", "http://h/v1"], "the list of actions is empty"),
    ],
)
def test_misuse_is_one_sentence(quick: Quick, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    ended = quick(*arguments, "--output", tmp_path / "own.jsonl")
    assert ended.returncode == 1
    assert sentence in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_is_said_before_anything_is_asked(quick: Quick, tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").mkdir()
    with serving(well) as server:
        nowhere = quick(*options(server.url, tmp_path / "no" / "own.jsonl"))
        folder = quick(*options(server.url, tmp_path / "own.jsonl"))
        table = quick(*options(server.url, tmp_path / "own.csv"))
    assert "a bank is a .jsonl file" in table.stderr
    assert "the folder" in nowhere.stderr
    assert "does not exist" in nowhere.stderr
    assert "is no regular file" in folder.stderr
    assert server.asked == []


def test_the_command_costs_nothing_until_it_is_run() -> None:
    program = "import sys, claver.cli.main; print(sorted({'openai', 'torch', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=os.environ)
    assert done.stdout == "[]\n"


def test_the_examples_in_the_documentation_are_of_the_right_form(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "prompts.md").read_text(encoding="utf-8")
    shown = page.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "own.yaml").write_text(shown)
    assert len(load_forms(tmp_path / "own.yaml")["body"].examples) == 3
    assert load_forms(tmp_path / "own.yaml")["body"] != load_forms()["body"]
