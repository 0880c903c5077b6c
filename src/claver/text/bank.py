"""Banks of texts: those that come with the package, and those of bank files."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from pathlib import Path

from claver.data.classes import BENCHMARKS, benchmark_classes
from claver.errors import ClaverError
from claver.text.actions import Actions
from claver.text.record import KINDS, Kind, Prompt, read_prompts
from claver.text.templates import DEFAULT_TEMPLATES, fill

KINETICS = "kinetics"
"""The list whose bank serves both Kinetics-400 and Kinetics-600."""


@dataclass(frozen=True)
class PromptBank:
    """Texts about actions.

    Attributes:
        prompts: the texts, in their order.
    """

    prompts: tuple[Prompt, ...]

    @classmethod
    def read(cls, path: str | Path) -> PromptBank:
        """The texts of a bank file, as `claver.text.record.read_prompts` has them."""
        return cls(tuple(read_prompts(path)))

    @classmethod
    def shipped(cls, name: str) -> PromptBank:
        """The texts that come with the package for the classes of a benchmark, in its order, filled templates first.

        Args:
            name: a benchmark, or `kinetics` for the classes of both Kinetics lists.

        Raises:
            ClaverError: there is no such bank.
        """
        return _shipped(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The actions, in the order of their first texts."""
        return tuple(dict.fromkeys(prompt.action for prompt in self.prompts))

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that some action has."""
        present = {prompt.kind for prompt in self.prompts}
        return tuple(kind for kind in KINDS if kind in present)

    def counts(self) -> Counter[tuple[str, Kind]]:
        """How many texts each action has of each kind."""
        return Counter((prompt.action, prompt.kind) for prompt in self.prompts)

    def of_kinds(self, kinds: Collection[Kind]) -> PromptBank:
        """The texts of these kinds alone."""
        return PromptBank(tuple(prompt for prompt in self.prompts if prompt.kind in kinds))

    def of_actions(self, names: Collection[str]) -> PromptBank:
        """The texts of these actions alone."""
        wanted = set(names)
        return PromptBank(tuple(prompt for prompt in self.prompts if prompt.action in wanted))

    def take(self, count: int, seed: int = 0) -> PromptBank:
        """At most so many texts of each action and kind, which depend on the seed and on nothing else in the bank."""
        groups: dict[tuple[str, str, Kind], list[int]] = defaultdict(list)
        for row, prompt in enumerate(self.prompts):
            groups[prompt.list, prompt.action, prompt.kind].append(row)
        kept = {
            row
            for group, rows in groups.items()
            for row in random.Random(f"{seed} {group}").sample(rows, min(count, len(rows)))
        }
        return PromptBank(tuple(prompt for row, prompt in enumerate(self.prompts) if row in kept))

    def with_templates(self, templates: Sequence[str] = DEFAULT_TEMPLATES) -> PromptBank:
        """The bank with each action's name put into templates before its texts, where it has no such forms yet."""
        bare = {(p.list, p.action): None for p in self.prompts}
        have = {(p.list, p.action) for p in self.prompts if p.kind == "template"}
        filled = (
            Prompt(own, action, "template", text)
            for own, action in bare
            if (own, action) not in have
            for text in fill(action, templates)
        )
        return PromptBank((*filled, *self.prompts))

    def actions(
        self,
        names: Iterable[str] | None = None,
        *,
        kinds: Collection[Kind] | None = None,
        per_action: int | None = None,
        seed: int = 0,
        templates: Sequence[str] | None = None,
    ) -> Actions:
        """The texts of some actions, ready to be encoded or learned from.

        An action's texts come kind by kind, kinds with equally many texts for every action first: the loss of Eq. 9
        compares the k-th texts of all actions, which should be of one kind.

        Args:
            names: the actions, in this order; all if not given.
            kinds: of these kinds; all if not given.
            per_action: at most so many texts of each kind.
            seed: which of them, as in `take`.
            templates: forms for actions that have no text here, of which one warning is then logged.

        Raises:
            ClaverError: actions without a text, and no templates given.
        """
        names = tuple(self.names if names is None else names)
        chosen = self.of_actions(names).of_kinds(KINDS if kinds is None else kinds)
        chosen = chosen if per_action is None else chosen.take(per_action, seed)
        texts: dict[str, dict[str, None]] = {name: {} for name in names}  # a text of two lists counts once
        for kind in chosen._kinds_by_evenness(names):
            for prompt in chosen.prompts:
                if prompt.kind == kind:
                    texts[prompt.action][prompt.text] = None
        if missing := [name for name in names if not texts[name]]:
            if templates is None:
                raise ClaverError(f"the bank has no text of the kinds asked for about {first_named(missing)}")
            warn_that_templates_stand_in(missing)
        return Actions(names, tuple(tuple(texts[name]) or fill(name, templates or ()) for name in names))

    def _kinds_by_evenness(self, names: Sequence[str]) -> list[Kind]:
        counts = self.counts()
        return sorted(self.kinds, key=lambda kind: len({counts[name, kind] for name in names}) > 1)

    def __or__(self, other: PromptBank) -> PromptBank:
        """The texts of both, those that are in both once."""
        own = {(p.list, p.action, p.kind, p.text): p for p in (*other.prompts, *self.prompts)}
        keys = dict.fromkeys((p.list, p.action, p.kind, p.text) for p in (*self.prompts, *other.prompts))
        return PromptBank(tuple(own[key] for key in keys))

    def __len__(self) -> int:
        return len(self.prompts)

    def __repr__(self) -> str:
        return f"PromptBank({len(self.names)} actions, {len(self)} texts: {', '.join(self.kinds)})"


def shipped_banks() -> tuple[str, ...]:
    """The banks in the package, `kinetics` being that of both Kinetics lists."""
    present = {file.name.removesuffix(".jsonl") for file in _folder().iterdir() if file.name.endswith(".jsonl")}
    return tuple(dict.fromkeys(_file_of(name) for name in BENCHMARKS if _file_of(name) in present))


def shipped_names() -> tuple[str, ...]:
    """The benchmarks whose classes have texts in the package."""
    return tuple(name for name in BENCHMARKS if _file_of(name) in shipped_banks())


def warn_that_templates_stand_in(names: Sequence[str]) -> None:
    """Warn once that actions have no texts but templates, and how to get some."""
    from claver.log import warn_once

    if names:
        hint = "their names are put into templates; `claver prompts generate` writes texts"
        warn_once(f"no texts are known about {first_named(names)}: {hint}")


@lru_cache(maxsize=8)
def _shipped(name: str) -> PromptBank:
    if name not in (*BENCHMARKS, KINETICS):
        raise ClaverError(f"no texts come with claver for {name!r}; they do for {', '.join(BENCHMARKS)}")
    file = _folder().joinpath(f"{_file_of(name)}.jsonl")
    with resources.as_file(file) as path:
        bank = PromptBank.read(path).with_templates()
    if name == KINETICS:
        return bank
    of_class = defaultdict(list)
    for prompt in bank.prompts:
        of_class[prompt.action].append(replace(prompt, list=name))
    return PromptBank(tuple(prompt for action in benchmark_classes(name) for prompt in of_class[action]))


def _folder() -> resources.abc.Traversable:
    return resources.files("claver.text").joinpath("banks")


def _file_of(name: str) -> str:
    return KINETICS if name.startswith(KINETICS) else name


def first_named(names: Sequence[str]) -> str:
    """The first of some actions, and how many more there are: `'archery' and 2 others`."""
    more = len(names) - 1
    return f"{names[0]!r}" + (f" and {more} other{'s' * (more > 1)}" if more else "")
