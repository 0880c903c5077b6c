"""Selection of the texts for each action: names, templates, the texts that come with the package, or a file's."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from claver.csv_text import delimiter_of
from claver.data.action_files import read_action_file
from claver.data.classes import BENCHMARKS, benchmark_classes, split_camel_case
from claver.errors import ClaverError
from claver.files import read_text
from claver.names import composed, text_lines
from claver.suggest import hint, nearest
from claver.text.actions import Actions
from claver.text.bank import PromptBank, first_named, shipped_banks, shipped_names, warn_that_templates_stand_in
from claver.text.record import KINDS, Kind
from claver.text.templates import DEFAULT_TEMPLATES, NAME_ONLY, PLAIN_TEMPLATES, fill
from claver.text.wording import rewritten

if TYPE_CHECKING:
    from claver.models import Claver

INTERPRETIVE = "interpretive"
"""Names, templates and every text of the bank: what the paper uses in training and recognition (Sec. 3.3)."""

_NAMES = "names"
_REWRITTEN = "rewritten"
_SENTENCES: tuple[Kind, ...] = ("decomposition", "body")
_PLAIN = "templates-plain"
_SPELLINGS = {"name": _NAMES, "templates": "template", "decompositions": "decomposition", "synonyms": "synonym"}


Named = str | tuple[str, str | Sequence[str]]
"""An action of a list: its name, or that and its own texts."""


@dataclass(frozen=True)
class _Named:
    """Actions as they were named.

    Attributes:
        names: the actions.
        own: texts that came with them, if any has some.
        bank: texts of several kinds that came with them.
        dataset: the benchmark whose classes they are.
    """

    names: tuple[str, ...]
    own: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bank: PromptBank | None = None
    dataset: str = ""


def read_actions(
    source: str | Path | Sequence[Named] | Mapping[str, Sequence[str]] | Actions,
    *,
    texts: str | Path | None = None,
    templates: Sequence[str] = DEFAULT_TEMPLATES,
) -> Actions:
    """Actions from whatever names them, each with its texts.

    Args:
        source: a benchmark (`kinetics400`, `kinetics600`, `ucf101`, `hmdb51`); a file, either `.txt` with an action a
            line, perhaps numbered, `.csv` with a column `action` (or `name`) and perhaps `text`, one row per text, a
            manifest, whose classes are meant, or a bank of prompts `.jsonl`; words separated by commas; a list of
            actions, of names or of pairs `(name, texts)`, also mixed; or a mapping from action to its own texts.
        texts: as in `texts_for`; if not given, the texts that come with the actions, which for a benchmark are those
            that come with the package.
        templates: forms that an action without texts of its own is put into, `{}` standing for it; for a benchmark,
            forms other than the usual ones are used alone.

    Raises:
        ClaverError: an unknown benchmark, a missing or malformed file, an empty or repeated action.
    """
    if isinstance(source, Actions):
        return source if texts is None else texts_for(source.names, texts, templates=templates)
    named = _named(source)
    if texts is not None or not named.own:
        return texts_for(named.names, texts, dataset=named.dataset, bank=named.bank, templates=templates)
    if isinstance(source, Mapping):
        return Actions(named.names, tuple(named.own.values()))
    return Actions(named.names, tuple(own or fill(name, templates) for name, own in named.own.items()))


def texts_for(
    names: Sequence[str],
    texts: str | Path | None = None,
    *,
    dataset: str = "",
    bank: PromptBank | None = None,
    templates: Sequence[str] = DEFAULT_TEMPLATES,
) -> Actions:
    """The texts of some actions.

    Args:
        names: the actions.
        texts: `names`; `templates`; `templates-plain`, in which names stand as they are, grammatical or not;
            `interpretive`: names, templates and all that the bank has; some of its kinds, `names` and
            `templates-plain`, separated by commas: `template,decomposition`; `rewritten`: `name: sentence` for each of
            the bank's sentences (kinds decomposition and body), and nothing else; a benchmark, for all of its texts; or
            a file, `.csv` or `.jsonl`. If not given, `interpretive` for actions of a bank, else templates, which is
            said once.
        dataset: whose classes the actions are, if they are a benchmark's.
        bank: where the texts come from, in place of those that come with the package.
        templates: forms that names are put into; if texts are not given and these are not the usual ones, they are used
            alone.

    Raises:
        ClaverError: another choice, or a file or benchmark without a text for some action.
    """
    names, usual = tuple(map(composed, names)), tuple(templates) == DEFAULT_TEMPLATES
    bank = bank or _bank_of(dataset, names)
    if texts is None:
        if bank is not None and usual:
            return bank.actions(names)
        if usual:
            warn_that_templates_stand_in(names)
        return _filled(names, templates)
    parts = [_SPELLINGS.get(part.strip(), part.strip()) for part in str(texts).split(",")]
    if _PLAIN in parts:
        parts = ["template" if part == _PLAIN else part for part in parts]
        templates, usual = PLAIN_TEMPLATES, False
    if _REWRITTEN in parts:
        return _rewritten(names, parts, bank)
    if unknown := [part for part in parts if part not in (_NAMES, INTERPRETIVE, *KINDS)]:
        return _only(names, _texts_at(texts, unknown[0], templates), str(texts))
    kinds = KINDS if INTERPRETIVE in parts else [kind for kind in KINDS if kind in parts]
    if set(kinds) <= {"template"}:
        return _filled(names, templates if kinds else NAME_ONLY)
    bank = bank or _all_shipped()
    bank = bank if usual else bank.of_kinds(set(KINDS) - {"template"}).with_templates(templates)
    found = bank.actions(names, kinds=kinds, templates=templates)
    return _with_names(found) if _NAMES in parts else found


def _rewritten(names: tuple[str, ...], parts: Sequence[str], bank: PromptBank | None) -> Actions:
    """Names rewritten as `name: sentence`, as zero-shot recognition that leans on a language model has them."""
    if len(parts) > 1:
        raise ClaverError("the texts rewritten, name: sentence, stand alone, and not beside other kinds")
    found = (bank or _all_shipped()).actions(names, kinds=_SENTENCES)
    pairs = zip(found.names, found.texts, strict=True)
    return Actions(found.names, tuple(rewritten(name, own) for name, own in pairs))


def own_actions(model: Claver) -> Actions:
    """The actions that a model was trained on, with the texts that were said of them.

    Raises:
        ClaverError: it was not trained, or by a version that did not keep them.
    """
    if model.learned is None:
        raise ClaverError("the model was not trained on actions that it keeps; give the actions to recognise")
    return Actions(model.learned.names, model.learned.texts)


def _named(source: str | Path | Sequence[Named] | Mapping[str, Sequence[str]]) -> _Named:
    if isinstance(source, Mapping):
        own = {composed(name): (texts,) if isinstance(texts, str) else tuple(texts) for name, texts in source.items()}
        if len(own) < len(source):
            raise ClaverError("an action is given twice, once in composed and once in decomposed letters")
        return _Named(tuple(own), own)
    if isinstance(source, Path):
        return _from_file(source)
    if isinstance(source, str):
        return _from_words(source.strip())
    pairs = [_named_one(item) for item in source]
    names = tuple(name for name, _ in pairs if name)
    own = {name: texts for name, texts in pairs if name}
    # A name twice stays twice, for whoever checks the list to refuse it.
    return _Named(names, own if any(own.values()) and len(own) == len(names) else {})


def _named_one(item: object) -> tuple[str, tuple[str, ...]]:
    """An action of a list, a name or a pair of a name and its texts."""
    if isinstance(item, str):
        return composed(item.strip()), ()
    if isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[0], str) and item[0].strip():
        texts = (item[1],) if isinstance(item[1], str) else item[1]
        if isinstance(texts, tuple | list) and all(isinstance(text, str) for text in texts):
            return composed(item[0].strip()), tuple(texts)
    raise ClaverError(f"an action is a name, or a pair of a name and its texts, not {item!r}")


def _from_words(source: str) -> _Named:
    if source in BENCHMARKS:
        return _Named(tuple(benchmark_classes(source)), dataset=source)
    if _names_a_file(source):
        return _from_file(Path(source))
    words = tuple(composed(word.strip()) for word in source.split(",") if word.strip())
    if len(words) == 1 and (meant := nearest(words[0], BENCHMARKS)):
        raise ClaverError(f"{words[0]!r} is no list of actions; did you mean {meant!r}?")
    return _Named(words)


def _from_file(path: Path) -> _Named:
    if path.suffix.lower() == ".jsonl" and not path.is_dir():
        read = PromptBank.read(path).prompts
        bank = PromptBank(tuple(replace(prompt, action=composed(prompt.action)) for prompt in read)).with_templates()
        return _Named(bank.names, bank=bank)
    if _is_manifest(path):
        return _classes_of(path)
    own = read_action_file(path)
    if any(own.values()):
        return _Named(tuple(own), own)
    return (
        _ucf_classes(path, tuple(own)) if set(own) == set(benchmark_classes("ucf101", raw=True)) else _Named(tuple(own))
    )


def _ucf_classes(path: Path, raw: Sequence[str]) -> _Named:
    """UCF-101's own `classInd.txt`: no text tower knows `ApplyEyeMakeup`."""
    from claver.log import warn_once

    warn_once(f"{path} is UCF-101's list of classes: its names are taken as words, with the texts of that benchmark")
    return _Named(tuple(map(split_camel_case, raw)), dataset="ucf101")


def _is_manifest(path: Path) -> bool:
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    first = text_lines(read_text(path, keep_bytes=True))[:1]
    header = next(csv.reader(first, delimiter=delimiter_of(first[0])), [])
    columns = {name.strip().casefold() for name in header}
    return {"path", "label"} <= columns and not columns & {"action", "name"}


def _classes_of(path: Path) -> _Named:
    """The classes of a manifest, those without a clip included where it names its dataset."""
    from claver.data.manifest_file import read_manifest  # of a layer above this one, for this one convenience

    manifest = read_manifest(path)
    return _Named(manifest.classes, dataset=manifest.dataset)


def _names_a_file(source: str) -> bool:
    if source.endswith((".txt", ".csv", ".jsonl")):
        return True
    try:
        return source != "" and "," not in source and Path(source).exists()
    except OSError:  # longer than a file name may be
        return False


def _bank_of(dataset: str, names: Sequence[str]) -> PromptBank | None:
    """The texts that come with the package, if all names are classes of that benchmark (or of a draw of it)."""
    benchmark = dataset.partition("-draw")[0]
    if benchmark not in shipped_names() or not set(names) <= set(benchmark_classes(benchmark)):
        return None
    return PromptBank.shipped(benchmark)


def _all_shipped() -> PromptBank:
    bank = PromptBank(())
    for name in shipped_banks():
        bank = bank | PromptBank.shipped(name)
    return bank


def _texts_at(texts: str | Path, unknown: str, templates: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """All texts of a benchmark or file, by action."""
    if not (str(texts) in BENCHMARKS or _names_a_file(str(texts))):
        known = (_NAMES, "templates", _PLAIN, INTERPRETIVE, _REWRITTEN, *KINDS, *BENCHMARKS)
        raise ClaverError(
            f"texts are names, templates, {_PLAIN}, {INTERPRETIVE}, {_REWRITTEN}, some of {', '.join(KINDS)}, a "
            f"benchmark, or a file .csv or .jsonl, not {unknown!r}{hint(unknown, known)}"
        )
    if str(texts) not in BENCHMARKS and _is_manifest(Path(texts)):
        raise ClaverError(f"{texts} is a manifest, and holds no texts; a file of texts has columns action and text")
    every = read_actions(texts, templates=templates)
    return dict(zip(every.names, every.texts, strict=True))


def _only(names: Sequence[str], texts: Mapping[str, tuple[str, ...]], title: str) -> Actions:
    if missing := [name for name in names if name not in texts]:
        raise ClaverError(f"{title} has no text about {first_named(missing)}")
    return Actions(tuple(names), tuple(texts[name] for name in names))


def _filled(names: Sequence[str], templates: Sequence[str]) -> Actions:
    return Actions(tuple(names), tuple(fill(name, templates) for name in names))


def _with_names(actions: Actions) -> Actions:
    """Each name before its texts, if it is not among them."""
    pairs = zip(actions.names, actions.texts, strict=True)
    return Actions(actions.names, tuple(tuple(dict.fromkeys((name, *texts))) for name, texts in pairs))
