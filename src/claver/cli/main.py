"""`claver`: the command line. Commands import what they need when they run, so that `--help` is quick."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from claver import __version__
from claver.cli.app import EPILOG as APP_EXAMPLES
from claver.cli.app import app as app_command
from claver.cli.blend import EPILOG as BLEND_EXAMPLES
from claver.cli.blend import blend
from claver.cli.calibrate import EPILOG as CALIBRATE_EXAMPLES
from claver.cli.calibrate import calibrate
from claver.cli.convert import EPILOG as CONVERT_EXAMPLES
from claver.cli.convert import convert
from claver.cli.data import data_app
from claver.cli.evaluate import EPILOG as EVALUATE_EXAMPLES
from claver.cli.evaluate import evaluate
from claver.cli.explain import EPILOG as EXPLAIN_EXAMPLES
from claver.cli.explain import explain
from claver.cli.export import EPILOG as EXPORT_EXAMPLES
from claver.cli.export import export
from claver.cli.help_text import unwrap_help
from claver.cli.index import EPILOG as INDEX_EXAMPLES
from claver.cli.index import index
from claver.cli.inputs import FilesCommand
from claver.cli.loudness import add_loudness
from claver.cli.models import EPILOG as MODELS_EXAMPLES
from claver.cli.models import models
from claver.cli.profile import EPILOG as PROFILE_EXAMPLES
from claver.cli.profile import profile
from claver.cli.prompts import prompts_app
from claver.cli.quickstart import EPILOG as QUICKSTART_EXAMPLES
from claver.cli.quickstart import quickstart
from claver.cli.ray import RayCommand
from claver.cli.recognize import EPILOG as RECOGNIZE_EXAMPLES
from claver.cli.recognize import recognize
from claver.cli.search import EPILOG as SEARCH_EXAMPLES
from claver.cli.search import search
from claver.cli.signals import ending_in_order
from claver.cli.study import EPILOG as STUDY_EXAMPLES
from claver.cli.study import study
from claver.cli.timeline import EPILOG as TIMELINE_EXAMPLES
from claver.cli.timeline import timeline
from claver.cli.train import EPILOG as TRAIN_EXAMPLES
from claver.cli.train import train
from claver.cli.watch import EPILOG as WATCH_EXAMPLES
from claver.cli.watch import watch
from claver.cpus import share_cpus
from claver.errors import ClaverError
from claver.plugins import name_plugins
from claver.terminal import Loudness, complain, loudness, say, show_warnings, shown_text

app = typer.Typer(
    name="claver",
    help="Name the actions in a video, in your own words or a benchmark's.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command(epilog=RECOGNIZE_EXAMPLES, cls=RayCommand)(recognize)
app.command(epilog=WATCH_EXAMPLES, cls=FilesCommand)(watch)
app.command(epilog=TIMELINE_EXAMPLES, cls=FilesCommand)(timeline)
app.command(epilog=INDEX_EXAMPLES, cls=RayCommand)(index)
app.command(epilog=SEARCH_EXAMPLES)(search)
app.command("app", epilog=APP_EXAMPLES)(app_command)
app.command(epilog=EVALUATE_EXAMPLES)(evaluate)
app.command(epilog=CALIBRATE_EXAMPLES)(calibrate)
app.command(epilog=EXPLAIN_EXAMPLES, cls=FilesCommand)(explain)
app.command(epilog=TRAIN_EXAMPLES)(train)
app.command(epilog=BLEND_EXAMPLES)(blend)
app.command(epilog=CONVERT_EXAMPLES)(convert)
app.command(epilog=EXPORT_EXAMPLES, cls=FilesCommand)(export)
app.command(epilog=MODELS_EXAMPLES)(models)
app.command(epilog=QUICKSTART_EXAMPLES, cls=FilesCommand)(quickstart)
app.command(epilog=STUDY_EXAMPLES)(study)
app.command(epilog=PROFILE_EXAMPLES)(profile)
app.add_typer(data_app, name="data")
app.add_typer(prompts_app, name="prompts")
unwrap_help(app)
add_loudness(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"claver {__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
]


Plugins = Annotated[
    list[Path],
    typer.Option(
        "--plugin",
        show_default=False,
        help="A Python file that registers image towers (claver.register_tower), for models that have them. It is run "
        "when one is needed; may be given several times.",
    ),
]


@app.callback(no_args_is_help=True)
def _options(version: Version = False, plugin: Plugins = []) -> None:  # noqa: B006 - Typer wants a list
    if plugin:
        name_plugins(plugin)


def main() -> None:
    """Run the command line; bad input ends in one sentence and exit code 1, signals in 128 + their number."""
    share_cpus()
    show_warnings()
    with ending_in_order():
        _run()


def _run() -> None:
    try:
        app()
    except ClaverError as error:
        _end(str(error))
    except BrokenPipeError:
        _print_no_more()  # whoever read our output has had enough
        sys.exit(1)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        _print_no_more()
        _end(f"{error.strerror or error}{where}")
    except Exception as error:
        _end(_unforeseen(error))


def _print_no_more() -> None:
    """Python would complain once more while it closes an output that cannot be written."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unforeseen(error: Exception) -> str:
    """One sentence for what nobody thought of; all of it with --verbose."""
    told = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "out of memory" in told or "t allocate memory" in told:
        return "not enough memory for what was asked; fewer frames or views, or a smaller --batch-size, need less"
    return f"this should not have happened, --verbose says where: {type(error).__name__}: {told}"


def _end(sentence: str) -> NoReturn:
    """Say why, with --verbose where in the program, and end."""
    if loudness() is Loudness.verbose:
        import traceback

        sys.stderr.write(shown_text(traceback.format_exc()))
    complain(sentence)
    sys.exit(1)


if __name__ == "__main__":
    main()
