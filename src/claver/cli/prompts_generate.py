"""`claver prompts generate`: interpretive prompts for any list of actions, by any language model."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from claver.cli.formats import check_output
from claver.cli.model import DeviceOption
from claver.errors import ClaverError
from claver.files import only_writer
from claver.terminal import complain, say, shown, tell

if TYPE_CHECKING:
    from claver.text.generator import Endpoint, Generation, LanguageModel

EPILOG = """
[bold]Examples[/]

claver prompts generate --actions "juggling, whistling" --local models/Llama-3.2-3B-Instruct --output own.jsonl\n
claver prompts generate --actions my.txt --model llama3 --base-url http://localhost:8000/v1 --output my.jsonl\n
claver prompts generate --actions ucf101 --kind body --samples 3 --model gpt-4o-mini --output ucf101.jsonl
"""


class Kinds(StrEnum):
    """Which texts to write."""

    all = "all"
    decomposition = "decomposition"
    synonym = "synonym"
    body = "body"


class EndpointName(StrEnum):
    """The kind of request that a model gets."""

    chat = "chat"
    completion = "completion"


def generate(
    actions: Annotated[
        str,
        typer.Option(
            metavar="LIST|FILE|WORDS",
            show_default=False,
            help="kinetics400, kinetics600, ucf101, hmdb51; a .txt or .csv file; or words separated by commas.",
        ),
    ],
    output: Annotated[Path, typer.Option(show_default=False, help="The bank to write, .jsonl, or to continue.")],
    kind: Annotated[Kinds, typer.Option(help="What the texts say.")] = Kinds.all,
    samples: Annotated[int, typer.Option(min=1, help="Texts of a kind for each action.")] = 5,
    model: Annotated[str | None, typer.Option(help="The model's name on the server.")] = None,
    base_url: Annotated[
        str | None, typer.Option(help="An OpenAI-compatible server; OPENAI_BASE_URL or OpenAI's if not given.")
    ] = None,
    local: Annotated[Path | None, typer.Option(help="A model folder to run here with transformers instead.")] = None,
    endpoint: Annotated[
        EndpointName | None, typer.Option(help="chat, or completion; a local model's own if not given.")
    ] = None,
    temperature: Annotated[float, typer.Option(min=0, max=2, help="The paper's is 0.9.")] = 0.9,
    top_p: Annotated[float, typer.Option(min=0.01, max=1, help="The paper's is 0.95.")] = 0.95,
    max_tokens: Annotated[int, typer.Option(min=1, help="Where an answer is cut; reasoning needs more.")] = 200,
    examples: Annotated[
        Path | None, typer.Option(help="Your own commands and examples, YAML; docs/prompts.md shows the form.")
    ] = None,
    attempts: Annotated[int, typer.Option(min=1, help="How often to ask for a text that is refused.")] = 3,
    validate: Annotated[bool, typer.Option("--validate/--no-validate", help="Refuse unsuitable texts.")] = True,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests under way at once; locally, texts at once.")] = 8,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for an answer.")] = 60.0,
    retries: Annotated[int, typer.Option(min=0, help="After 429, 5xx, a lost connection or a time-out.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of a local model's sampling.")] = 0,
    device: DeviceOption = None,
    name: Annotated[
        str | None, typer.Option("--list", help="The list's name in the bank; its file's or benchmark's if not given.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bank that was made otherwise.")] = False,
) -> None:
    """Let a language model write interpretive prompts: a command, three examples and the action, several times.

    Every accepted text is in the output at once. Interrupted, the same command asks only for what is missing; it also
    does when texts were refused, which ends in exit code 1. A server's key is read from CLAVER_API_KEY or
    OPENAI_API_KEY.
    """
    from claver.text import read_actions
    from claver.text.generator import BankFile, Generation, Sampling, load_forms, sources_for

    if (model is None) == (local is None):
        raise ClaverError("give either --model NAME (with --base-url, unless it is OpenAI's) or --local FOLDER")
    if local is not None and base_url is not None:
        raise ClaverError("--base-url goes with --model; a --local model is run here")
    if output.suffix != ".jsonl":
        raise ClaverError(f"a bank is a .jsonl file, by which --texts knows it, and not {str(output)!r}")
    if name is not None and not name.strip():
        raise ClaverError("--list is empty; give the list a name, or leave it out")
    check_output(output)
    names = read_actions(actions, texts="names").names
    forms = {form: text for form, text in load_forms(examples).items() if kind in (Kinds.all, form)}
    drawn, way = Sampling(temperature, top_p, max_tokens), cast("Endpoint | None", endpoint and endpoint.value)
    if model is not None:
        from claver.text.generator.server import ServerModel

        patience: dict[str, Any] = {"concurrency": concurrency, "timeout": timeout, "retries": retries}
        writer: LanguageModel = ServerModel(
            model, base_url=base_url, endpoint=way or "chat", sampling=drawn, **patience
        )
    else:
        writer = _local(cast(Path, local), endpoint=way, sampling=drawn, batch=concurrency, device=device, seed=seed)
    sources = sources_for(writer, forms, drawn)
    with only_writer(output):
        file = BankFile(output, _list_name(actions) if name is None else name, names, sources, overwrite=overwrite)
        generation = Generation(writer, forms, file, samples=samples, attempts=attempts, validate=validate)
        _run(generation)
    _report(generation)


def _local(folder: Path, *, device: str | None, **options: Any) -> LanguageModel:
    from claver.cli.model import open_device
    from claver.text.generator.local import LocalModel

    return LocalModel(folder, device=open_device(device), **options)


def _list_name(actions: str) -> str:
    """The benchmark, the file's name, or `own`."""
    from claver.text import BENCHMARKS

    if actions.strip() in BENCHMARKS:
        return actions.strip()
    return Path(actions).stem if actions.endswith((".txt", ".csv", ".jsonl")) else "own"


def _run(generation: Generation) -> None:
    """Ask for what is missing, with a bar; whatever ends it early, say what is kept."""
    path, before = generation.file.path, len(generation.file.prompts)
    if before:
        tell(f"{path} holds {before} texts, {generation.left} to go")
    try:
        with _progress(generation):
            asyncio.run(generation.run())
    except KeyboardInterrupt:
        kept = len(generation.file.prompts)
        complain(f"interrupted; {path} holds {kept} texts, and the same command resumes")
        complain(str(generation.tokens))
        raise typer.Exit(130) from None
    except ClaverError as error:
        kept = len(generation.file.prompts)
        raise ClaverError(
            f"{error}; {path} holds {kept} texts, and the same command resumes" if kept else str(error)
        ) from None


@contextmanager
def _progress(generation: Generation) -> Iterator[None]:
    """A bar on stderr with what was spent so far."""
    from rich.progress import TextColumn

    from claver.progress import bar

    with bar("generating", TextColumn("{task.fields[spent]}"), hidden=not generation.left) as progress:
        task = progress.add_task("", total=generation.left, spent="")
        generation.on_settled = lambda: progress.update(task, advance=1, spent=str(generation.tokens))
        yield


def _report(generation: Generation) -> None:
    """What there is now and what it cost; what is short, and exit code 1 if anything is."""
    file = generation.file
    say(f"{len(file.prompts)} texts of {len(file.actions)} actions in {shown(str(file.path))}")
    say(f"{generation.tokens}" if generation.left else "nothing was missing, nothing was asked")
    for shortage in generation.shortages:
        complain(str(shortage))
    if generation.shortages:
        complain("the same command asks again for what is missing")
        raise typer.Exit(1)
