"""Visitors' own words for actions: one model, and a recogniser for each list of words that was asked for lately."""

from __future__ import annotations

import re
from collections import OrderedDict
from threading import Lock

from claver.app.job import Job
from claver.app.limits import Limits
from claver.errors import ClaverError
from claver.inference.recognizer import Recognizer
from claver.models import Claver
from claver.names import composed
from claver.terminal import shown
from claver.text import read_actions

_KEPT = 16


def parsed(words: str, limits: Limits) -> tuple[str, ...]:
    """The actions that a text box holds, separated by commas or lines, each once; never the name of a file.

    Raises:
        ClaverError: too many, or too long.
    """
    names = [composed(shown(word.strip())) for word in re.split(r"[,;\n]", words)]
    actions = tuple(dict.fromkeys(name for name in names if name))
    if len(actions) > limits.words:
        raise ClaverError(f"these are {len(actions)} actions; at most {limits.words} are compared here")
    if long := [name for name in actions if len(name) > limits.letters]:
        raise ClaverError(f"{long[0][:40] + '…'!r} has {len(long[0])} letters; at most {limits.letters} are taken")
    return actions


class Recognizers:
    """Recognisers that share a model; those asked for lately are kept.

    Args:
        model: the model.
        usual: what answers where a visitor gives no words; None if words must be given.
        limits: how many words there may be.
    """

    def __init__(self, model: Claver, usual: Recognizer | None, limits: Limits) -> None:
        self.model, self.usual, self.limits = model, usual, limits
        self._known = {} if usual is None else dict(zip(usual.texts.names, usual.texts.texts, strict=True))
        self._kept: OrderedDict[tuple[str, ...], Recognizer] = OrderedDict()
        self._lock = Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """The actions where no words are given."""
        return () if self.usual is None else self.usual.actions

    def of(self, words: str, job: Job) -> Recognizer:
        """The recogniser of some words, of the usual actions if there are none.

        Raises:
            ClaverError: no words where there must be some, or too many.
            StoppedError: the job was stopped.
        """
        actions = parsed(words, self.limits)
        if self.usual is not None and actions in ((), self.usual.actions):
            return self.usual
        if not actions:
            raise ClaverError("write some actions first, separated by commas, such as: waving, sitting down")
        with self._lock:
            if actions not in self._kept:
                self._kept[actions] = self._made(actions, job)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(actions)
            return self._kept[actions]

    def _made(self, actions: tuple[str, ...], job: Job) -> Recognizer:
        """What is known to be said of an action is said here too; of others, what templates say."""
        templates = {name: read_actions([name]).texts[0] for name in actions if name not in self._known}
        texts = {name: self._known.get(name) or templates[name] for name in actions}
        usual = self.usual
        return Recognizer(
            self.model,
            texts,
            views=None if usual is None else usual.views,
            frames=None if usual is None else usual.frames,
            preprocess=None if usual is None else usual.preprocess,
            progress=lambda done, total: job.report(done / max(total, 1), "reading the words"),
        )
