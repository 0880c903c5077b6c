"""The command itself: quick to import, quick to help."""

import subprocess
import sys
from typing import Any

HEAVY = {"torch", "av", "transformers", "accelerate", "matplotlib", "huggingface_hub", "numpy", "pydantic"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60)


def test_help_loads_nothing_heavy() -> None:
    """The cause of a slow `--help`, rather than its time, which depends on the machine."""
    for statement in ("import claver", "import claver.cli.main"):
        loaded = run("-c", f"{statement}; import sys; print(' '.join(sys.modules))").stdout.split()
        assert "claver" in loaded
        assert not HEAVY & set(loaded)


def test_help_and_version() -> None:
    done = run("-m", "claver", "--help")
    assert done.returncode == 0
    assert "recognize" in done.stdout
    assert run("-m", "claver", "--version").stdout.startswith("claver 0.")
    assert run("-m", "claver").returncode == 2


def test_help_is_broken_by_the_terminal_alone() -> None:
    """The lines of the source used to be broken once more where the terminal is narrower than they are."""
    from typer.main import get_command

    from claver.cli.main import app

    whole: list[Any] = [get_command(app)]
    for command in whole:
        whole += getattr(command, "commands", {}).values()
    assert len(whole) > 15
    for command in whole:
        assert all("\n" not in paragraph for paragraph in (command.help or "").split("\n\n")), command.name
    told = run("-m", "claver", "evaluate", "--help").stdout
    paragraph = [line.strip() for line in told[told.index("Only the classes") : told.index("╭")].strip().splitlines()]
    assert min(map(len, paragraph[:-1])) > max(map(len, paragraph)) - 15


def test_public_names() -> None:
    import claver

    assert {name for name in claver.__all__ if not hasattr(claver, name)} == set()


def test_a_file_that_begins_with_a_dash_is_told_how_it_is_given() -> None:
    for command in ("recognize", "explain"):
        done = run("-m", "claver", command, "-3B32x.mp4")
        assert done.returncode == 2
        told = " ".join(done.stderr.replace("│", " ").split())
        assert "No such option: -3" in told
        assert "a file whose name begins with a dash is given as ./-3B32x.mp4" in told
    assert "dash" not in run("-m", "claver", "recognize", "--nonsense").stderr
