"""Predictions for each test clip, as JSON lines or CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from claver.csv_text import csv_text
from claver.errors import ClaverError
from claver.evaluation.metrics import ordered
from claver.evaluation.protocols import Evaluation
from claver.json_text import to_json

TOP = 5
"""Number of answers written for each clip."""


def check_suffix(path: Path) -> None:
    """Raise `ClaverError` if the suffix tells no form."""
    if path.suffix.lower() not in (".csv", ".jsonl"):
        raise ClaverError(f"predictions are written as .csv or .jsonl, and {path} ends in neither")


def prediction_records(evaluations: Sequence[Evaluation], top: int = TOP) -> list[dict[str, Any]]:
    """For each clip of each set `set`, `path`, `label`, and `top` with `action` and `score`, or `error`.

    `seconds` are when the frames used are shown, where that is known; `damaged` says what is wrong with a clip that was
    answered all the same; skipped clips are left out.
    """
    return [record for evaluation in evaluations for record in _records(evaluation, top)]


def predictions_text(evaluations: Sequence[Evaluation], path: Path, top: int = TOP, *, csv_safe: bool = False) -> str:
    """The records in the form that the suffix of a path tells: `.jsonl` or `.csv`, a line for each clip."""
    check_suffix(path)
    records = prediction_records(evaluations, top)
    if path.suffix.lower() == ".jsonl":
        return "".join(map(to_json, records))
    answers = [f"{name}_{place}" for place in range(1, top + 1) for name in ("action", "score")]
    rows: list[list[object]] = [["set", "path", "label", *answers, "error", "seconds", "damaged"]]
    for record in records:
        cells: list[object] = [cell for answer in record.get("top", ()) for cell in (answer["action"], answer["score"])]
        cells += [""] * (2 * top - len(cells))
        rows.append(
            [
                record["set"],
                record["path"],
                record["label"],
                *cells,
                record.get("error", ""),
                " ".join(f"{moment:g}" for moment in record.get("seconds") or ()),
                record.get("damaged") or "",
            ]
        )
    return csv_text(rows, safe=csv_safe)


def _records(evaluation: Evaluation, top: int) -> list[dict[str, Any]]:
    test, best = evaluation.test, ordered(evaluation.scores)[:, :top].tolist()
    records = []
    for row, (path, label) in enumerate(zip(test.paths, test.labels, strict=True)):
        record: dict[str, Any] = {"set": test.name, "path": path, "label": test.classes[label]}
        if path in evaluation.failures:
            record["error"] = evaluation.failures[path]
        else:
            scores = evaluation.scores[row].tolist()
            record["seconds"] = evaluation.seconds.get(path)
            record["damaged"] = evaluation.damaged.get(path)
            record["top"] = [{"action": test.classes[c], "score": scores[c]} for c in best[row]]
        records.append(record)
    return records
