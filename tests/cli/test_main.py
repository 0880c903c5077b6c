"""The command itself: quick to import, quick to help."""

import subprocess
import sys

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


def test_public_names() -> None:
    import claver

    assert {name for name in claver.__all__ if not hasattr(claver, name)} == set()
