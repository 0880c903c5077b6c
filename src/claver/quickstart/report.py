"""What the quickstart says: tables, files, next commands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from claver.csv_text import csv_text
from claver.files import write_whole
from claver.json_text import to_json
from claver.motion.stages import VerbResult, verb_class_texts

TITLES = {"mean": "mean pooling", "kmt": "KMTA", "kmct": "KMCTA"}
ACTIONS = "actions.csv"


def print_words(console: Console, words: Mapping[str, float]) -> None:
    """How well the image–text model knows the states of a still."""
    told = ", ".join(f"{name} {share:.0%}" for name, share in words.items())
    console.print(f"Right words for held-out stills: {told}\n", highlight=False)


def print_results(console: Console, results: Mapping[str, VerbResult]) -> None:
    """Mean pooling, KMTA and KMCTA on held-out clips."""
    table = Table(title="Twelve verbs on held-out clips, %", title_style="bold", title_justify="left")
    table.add_column("frames joined by")
    for column in ("top-1", "right pair", "within pair", "training"):
        table.add_column(column, justify="right")
    for kind, result in results.items():
        shares = [f"{100 * value:.1f}" for value in (result.top1, result.top_pair, result.within_pair)]
        table.add_row(TITLES[kind], f"[bold]{shares[0]}[/]", *shares[1:], f"{result.seconds:.0f} s")
    console.print(table)
    console.print(
        "[dim]Verbs come in time-reversed pairs. Within a pair, a model blind to the order of frames is right half the "
        "time.[/]\n"
    )


def write_results(
    output: Path, words: Mapping[str, float], results: Mapping[str, VerbResult], seconds: float, seed: int
) -> None:
    """`results.json`: the same figures for machines."""
    figures = {
        kind: {"top1": r.top1, "right_pair": r.top_pair, "within_pair": r.within_pair, "seconds": round(r.seconds, 1)}
        for kind, r in results.items()
    }
    values = {"seed": seed, "seconds": round(seconds, 1), "stills": dict(words), "clips": figures}
    write_whole(output / "results.json", to_json(values, indent=2))


def write_actions(output: Path) -> Path:
    """The verbs with their texts, as `claver recognize --actions` reads them."""
    path = output / ACTIONS
    rows = ((name, text) for name, texts in verb_class_texts().items() for text in texts)
    write_whole(path, csv_text([("action", "text"), *rows]))
    return path


def next_commands(console: Console, output: Path, actions: Path, seconds: float) -> None:
    """Commands to paste."""
    console.print(f"\nDone in {seconds // 60:.0f} min {seconds % 60:.0f} s. Next, try:\n", highlight=False)
    for command in (
        f"claver recognize {output}/clips --model {output}/kmct --actions {actions} --top 3",
        f'claver recognize {output}/clips/grows.mp4 --model {output}/kmt --actions "grows, shrinks, appears, vanishes"',
        "claver recognize YOUR_VIDEO.mp4 --model openai/clip-vit-base-patch16 --actions kinetics400",
    ):
        console.print(f"  {command}", style="bold", soft_wrap=True, highlight=False)
