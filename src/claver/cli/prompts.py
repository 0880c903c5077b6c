"""`claver prompts`: the texts about actions: show them, count them, check them, compare them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from claver.cli.prompts_generate import EPILOG as GENERATE_EXAMPLES
from claver.cli.prompts_generate import generate
from claver.errors import ClaverError
from claver.files import read_text
from claver.terminal import complain, say, shown

if TYPE_CHECKING:
    from rich.table import Table

    from claver.models.tokenizer import Tokenizer
    from claver.text.bank import PromptBank
    from claver.text.statistics import Change

prompts_app = typer.Typer(
    name="prompts",
    help="Texts about actions: show, count, check, compare and generate them.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
SHOW_EXAMPLES = """
[bold]Examples[/]

claver prompts show "playing cello"\n
claver prompts show ApplyEyeMakeup --list ucf101\n
claver prompts show juggling --bank my_texts.jsonl
"""
STATS_EXAMPLES = """
[bold]Examples[/]

claver prompts stats\n
claver prompts stats hmdb51\n
claver prompts stats my_texts.jsonl
"""
VALIDATE_EXAMPLES = """
[bold]Examples[/]

claver prompts validate my_texts.jsonl --actions my_actions.txt --least 3\n
claver prompts validate ucf101
"""
DIFF_EXAMPLES = """
[bold]Examples[/]

claver prompts diff ucf101 my_ucf101.jsonl\n
claver prompts diff old.jsonl new.jsonl
"""
LISTS = "kinetics400, kinetics600, kinetics (both), ucf101, hmdb51"
Bank = Annotated[str, typer.Argument(metavar="LIST|FILE", show_default=False, help=f"{LISTS}, or a bank file.")]
prompts_app.command(epilog=GENERATE_EXAMPLES)(generate)


@prompts_app.command(epilog=SHOW_EXAMPLES)
def show(
    action: Annotated[str, typer.Argument(show_default=False, help="The action, in any spelling.")],
    of_list: Annotated[str | None, typer.Option("--list", metavar="LIST", help=f"Only in this list: {LISTS}.")] = None,
    bank: Annotated[Path | None, typer.Option(metavar="FILE", help="In a bank file.")] = None,
) -> None:
    """Show every text about an action; without --list or --bank, in each list that has it."""
    from claver.text.bank import PromptBank, shipped_banks

    if of_list is not None and bank is not None:
        raise ClaverError("give either --list or --bank, not both")
    chosen = [of_list] if of_list is not None else shipped_banks()
    banks = {str(bank): PromptBank.read(bank)} if bank else {name: PromptBank.shipped(name) for name in chosen}
    found = {title: _named(own, action) for title, own in banks.items()}
    if not any(found.values()):
        raise ClaverError(_no_such_action(action, banks))
    for title, name in found.items():
        if name is not None:
            say(f"{shown(name)} ({shown(title)})\n{_texts(banks[title], name)}")


@prompts_app.command(epilog=STATS_EXAMPLES)
def stats(
    source: Annotated[
        str | None, typer.Argument(metavar="LIST|FILE", help=f"{LISTS}, or a bank file; all lists if not given.")
    ] = None,
) -> None:
    """Count the texts: of each kind, for each action, in tokens, by distinct words and by how sentences begin."""
    from claver.models.tokenizer import packaged_clip_tokenizer
    from claver.progress import Screen
    from claver.text.bank import shipped_names
    from claver.text.statistics import openings

    tokenizer, console = packaged_clip_tokenizer(), Screen()
    for name in shipped_names() if source is None else [source]:
        bank = _open(name)
        console.print(_table(name, bank, tokenizer), highlight=False)
        often = ", ".join(f"{opening!r} {count}" for opening, count in openings(bank))
        told = f"sentences begin most often with {often or 'nothing'}\n"
        console.print(told, markup=False, highlight=False, soft_wrap=True)


@prompts_app.command(epilog=VALIDATE_EXAMPLES)
def validate(
    source: Bank,
    actions: Annotated[
        str | None,
        typer.Option(metavar="LIST|FILE|WORDS", help="The actions that should be there; by default the bank's list's."),
    ] = None,
    least: Annotated[int, typer.Option(min=1, help="Texts of a kind that each action should have.")] = 1,
) -> None:
    """Check a bank: length, form, repetition, missed or missing actions. Exit code 1 if anything is found."""
    from claver.text import read_actions
    from claver.text.validate import validate as check

    bank = _open(source)
    if not bank.prompts:
        raise ClaverError(f"{source} holds no text")
    names = None if actions is None else read_actions(actions, texts="names").names
    findings = check(bank.prompts, names, least=least)
    lines = _line_numbers(source)
    for finding in findings:
        line = f", line {lines[finding.row]}" if lines and finding.row is not None else ""
        what = f"{finding.action}: {finding.text!r}" if finding.text else finding.action
        say(shown(f"{source}{line}: {what} {finding.reason}"))
    if findings:
        complain(f"{len(findings)} findings in {len(bank)} texts")
        raise typer.Exit(1)
    say(f"{len(bank)} texts about {len(bank.names)} actions, all sound")


@prompts_app.command(epilog=DIFF_EXAMPLES)
def diff(first: Bank, second: Bank) -> None:
    """Compare two banks: texts removed (-), changed (~) and added (+), action by action; of lists the written texts."""
    from claver.text.statistics import differences

    changes = differences(_open(first, filled=False), _open(second, filled=False))
    action = None
    for change in changes:
        if change.action != action:
            action = change.action
            say(shown(action))
        say(_shown(change))
    marks = Counter(_mark(change) for change in changes)
    say(f"{marks['-']} removed, {marks['~']} changed, {marks['+']} added")


def _open(source: str, *, filled: bool = True) -> PromptBank:
    """The bank of a list, with its filled templates or without, or of a file as it is."""
    from claver.data.classes import BENCHMARKS
    from claver.text.bank import KINETICS, PromptBank
    from claver.text.record import KINDS

    if source not in (*BENCHMARKS, KINETICS):
        return PromptBank.read(source)
    return PromptBank.shipped(source).of_kinds(KINDS if filled else set(KINDS) - {"template"})


def _named(bank: PromptBank, action: str) -> str | None:
    """The bank's name of an action that may be spelt in another way."""
    from claver.data.classes import ClassFinder

    place = ClassFinder(bank.names).find(action)
    return None if place is None else bank.names[place]


def _no_such_action(action: str, banks: dict[str, PromptBank]) -> str:
    from claver.suggest import nearest

    near = [f"{found!r} ({title})" for title, bank in banks.items() if (found := nearest(action, bank.names))]
    hint = f"did you mean {' or '.join(near)}?" if near else "`claver prompts generate` writes texts about any action"
    return f"there is no action {action!r} in {', '.join(banks)}; {hint}"


def _texts(bank: PromptBank, action: str) -> str:
    own = bank.of_actions([action])
    kinds = ((kind, [prompt.text for prompt in own.prompts if prompt.kind == kind]) for kind in own.kinds)
    return "".join(f"  {kind}\n" + "".join(f"    {shown(text)}\n" for text in texts) for kind, texts in kinds)


def _table(name: str, bank: PromptBank, tokenizer: Tokenizer | None) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from claver.text.statistics import statistics_of

    title = f"{escape(shown(name))}: {len(bank)} texts about {len(bank.names)} actions"
    table = Table(title=title, title_justify="left")
    for column in ("kind", "texts", "per action", "tokens", "distinct words"):
        table.add_column(column, justify="left" if column == "kind" else "right")
    for of_kind in statistics_of(bank, tokenizer):
        least, mean, most = of_kind.per_action
        tokens = f"mean {of_kind.tokens[0]:.1f}, most {of_kind.tokens[1]}" if of_kind.tokens else "not counted"
        each = f"{least}" if least == most else f"{least} to {most}, mean {mean:.1f}"
        table.add_row(of_kind.kind, f"{of_kind.texts:,}", each, tokens, f"{of_kind.distinct:.0%}")
    return table


def _line_numbers(source: str) -> list[int]:
    """The line of each text of a bank file; none for a list."""
    from claver.data.classes import BENCHMARKS
    from claver.text.bank import KINETICS

    path = Path(source)
    if source in (*BENCHMARKS, KINETICS) or not path.is_file():
        return []
    lines = read_text(path).split("\n")
    return [number for number, line in enumerate(lines, start=1) if line.strip()]


def _mark(change: Change) -> str:
    return "+" if change.before is None else "-" if change.after is None else "~"


def _shown(change: Change) -> str:
    texts = [shown(text) for text in (change.before, change.after) if text is not None]
    return f"  {_mark(change)} {change.kind}: " + "\n    -> ".join(texts)
