"""The generation loop: request, clean, validate, then keep or request again."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from claver.errors import ClaverError
from claver.text.generator.answers import Answer, LanguageModel, TextRequest, UnansweredError, clean
from claver.text.generator.forms import WRITTEN_KINDS, Form
from claver.text.generator.output import BankFile
from claver.text.record import Kind, Prompt
from claver.text.validate import check_text
from claver.text.words import normalized

LEAST_FAILURES = 3
"""Requests in a row without an answer before the rest is not tried; more if more are under way."""


@dataclass(frozen=True)
class Wanted:
    """A text that is still missing, and the number of requests for it."""

    action: str
    kind: Kind
    attempt: int = 1


@dataclass(frozen=True)
class Shortage:
    """An action that has fewer texts of a kind than requested, and why the last was refused."""

    action: str
    kind: Kind
    have: int
    samples: int
    reason: str

    def __str__(self) -> str:
        return f"{self.action}, {self.kind}: {self.have} of {self.samples} texts; the last {self.reason}"


@dataclass
class Tokens:
    """What the answers of a run cost, refused ones included.

    Attributes:
        read: tokens of the requests.
        written: tokens of the answers.
        uncounted: answers for which the server did not say.
    """

    read: int = 0
    written: int = 0
    uncounted: int = 0

    def count(self, answer: Answer) -> None:
        """Add one answer."""
        if answer.tokens is None:
            self.uncounted += 1
            return
        self.read += answer.tokens[0]
        self.written += answer.tokens[1]

    def __str__(self) -> str:
        if self.uncounted and not self.read:
            return "tokens unknown (the server does not count them)"
        unknown = f", and unknown for {self.uncounted} answers" if self.uncounted else ""
        return f"{self.read:,} tokens read, {self.written:,} written{unknown}"


class Generation:
    """Texts for every action, kind and sample that a bank file does not hold yet.

    Attributes:
        left: texts still to be had when it was made.
        tokens: what it cost so far.
        shortages: what could not be had, in the order of the actions once `run` has returned.
    """

    def __init__(
        self,
        model: LanguageModel,
        forms: Mapping[Kind, Form],
        file: BankFile,
        *,
        samples: int = 5,
        attempts: int = 3,
        validate: bool = True,
        on_settled: Callable[[], None] = lambda: None,
    ) -> None:
        """What is to be done.

        Args:
            model: who writes.
            forms: command and examples of each kind of text.
            file: where texts go and which are there already.
            samples: texts of each kind for each action.
            attempts: requests for a text before it is given up.
            validate: whether to refuse what `check_text` refuses; without it anything with a word in it is kept.
            on_settled: called whenever a text was kept or given up.
        """
        self.model, self.forms, self.file = model, forms, file
        self.samples, self.attempts, self.validate, self.on_settled = samples, attempts, validate, on_settled
        self.tokens = Tokens()
        self.shortages: list[Shortage] = []
        self._refused: dict[tuple[str, Kind], str] = {}
        self._owner: dict[str, str] = {}
        self._of: dict[str, list[Prompt]] = defaultdict(list)
        for prompt in file.prompts:
            self._note(prompt)
        self._failures = 0
        self._queue = deque(self._wanted())
        self.left = len(self._queue)

    def _wanted(self) -> list[Wanted]:
        have = Counter((prompt.action, prompt.kind) for prompt in self.file.prompts)
        pairs = [(action, kind) for action in self.file.actions for kind in WRITTEN_KINDS if kind in self.forms]
        return [Wanted(*pair) for pair in pairs for _ in range(self.samples - have[pair])]

    async def run(self) -> None:
        """Ask until every text is kept or given up, then put the file into order.

        Raises:
            ClaverError: asking is of no use, or the file cannot be written; what was kept so far is in the file.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self.model.workers):
                    group.create_task(self._work())
        except BaseExceptionGroup as group_of_errors:
            raise group_of_errors.exceptions[0] from None
        finally:
            self.file.close()
            await self.model.close()
        self.shortages = self._short()
        self.file.finish()

    async def _work(self) -> None:
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(self.model.batch, len(self._queue)))]
            try:
                answers = await self.model.ask([self._request(wanted) for wanted in batch])
            except UnansweredError as error:
                self._count_failure(error)
                for wanted in batch:
                    self._again(wanted, f"got no answer ({error})")
                continue
            self._failures = 0
            for wanted, answer in zip(batch, answers, strict=True):
                self._settle(wanted, answer)

    def _request(self, wanted: Wanted) -> TextRequest:
        """The paper's request; asked again, the model is told which texts are there already."""
        there = self._of[wanted.action] if wanted.attempt > 1 else []
        taken = tuple(prompt.text for prompt in there if prompt.kind == wanted.kind)
        return TextRequest(self.forms[wanted.kind], wanted.action, taken)

    def _settle(self, wanted: Wanted, answer: Answer) -> None:
        self.tokens.count(answer)
        text = clean(answer.text, wanted.action, one_line=wanted.kind == "synonym")
        cut = answer.cut and answer.text.rstrip().endswith(text[-20:])  # not in a paragraph that was left out
        if reasons := self._reasons(wanted, text, cut):
            self._again(wanted, " and ".join(reasons))
            return
        self._note(self.file.add(wanted.action, wanted.kind, text))
        self.on_settled()

    def _note(self, prompt: Prompt) -> None:
        self._owner.setdefault(normalized(prompt.text), prompt.action)
        self._of[prompt.action].append(prompt)

    def _reasons(self, wanted: Wanted, text: str, cut: bool) -> list[str]:
        """Why a text is refused."""
        limit = ["was cut at the limit of tokens"] if cut else []
        if not normalized(text):
            return limit or ["holds no word"]
        if not self.validate:
            return []
        there = self._of[wanted.action]
        reasons = check_text(
            Prompt(self.file.name, wanted.action, wanted.kind, text),
            synonyms=[prompt.text for prompt in there if prompt.kind == "synonym"],
            others=there,
            examples=tuple(self.forms[wanted.kind].examples.values()),
        )
        owner = self._owner.get(normalized(text), wanted.action)
        return limit + reasons + ([f"is also a text of {owner!r}"] if owner != wanted.action else [])

    def _again(self, wanted: Wanted, reason: str) -> None:
        self._refused[wanted.action, wanted.kind] = reason
        if wanted.attempt < self.attempts:
            self._queue.appendleft(Wanted(wanted.action, wanted.kind, wanted.attempt + 1))
        else:
            self.on_settled()

    def _count_failure(self, error: UnansweredError) -> None:
        self._failures += 1
        if self._failures >= max(LEAST_FAILURES, self.model.workers):
            raise ClaverError(f"{self._failures} requests in a row got no answer: {error}")

    def _short(self) -> list[Shortage]:
        have = Counter((prompt.action, prompt.kind) for prompt in self.file.prompts)
        return [
            Shortage(action, kind, have[action, kind], self.samples, self._refused.get((action, kind), ""))
            for action in self.file.actions
            for kind in self.forms
            if have[action, kind] < self.samples
        ]
