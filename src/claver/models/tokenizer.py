"""Text to token ids: the checkpoint's own `tokenizer.json`, or CLIP's vocabulary from wherever it can be had."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from claver.errors import CheckpointError
from claver.files import MOST_DOCUMENT, MOST_TEXT
from claver.log import logger, warn_once
from claver.models.checkpoint.files import read_json, read_text
from claver.models.config import TextConfig

MERGES = "bpe_simple_vocab_16e6.txt.gz"
"""As OpenAI calls the file of CLIP's merges."""
CLIP_VOCABULARY = 49408
CLIP_MERGES = 49152 - 256 - 2
"""CLIP keeps this many merges of its file."""
SOT, EOT = "<|startoftext|>", "<|endoftext|>"
CLIP_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


@dataclass(frozen=True)
class Padding:
    """What fills a row: which id, up to the longest row or to a length, behind the text or before it."""

    id: int = 0
    length: int | None = None
    left: bool = False

    def fill(self, row: list[int], length: int) -> list[int]:
        """A row of so many ids."""
        filling = [self.id] * (length - len(row))
        return filling + row if self.left else row + filling


class Tokenizer:
    """Texts to ids with start and end of text.

    Attributes:
        context: the longest row, start and end included.
        json: the `tokenizer.json` to save with a model; None when the vocabulary came without one.
        largest: the largest id it can give; None if unknown.
        padding: how rows of unlike lengths are made alike.
    """

    def __init__(
        self,
        encode: Callable[[str], list[int]],
        context: int,
        json: str | None = None,
        largest: int | None = None,
        padding: Padding | None = None,
    ) -> None:
        self._encode = encode
        self.context = context
        self.json = json
        self.largest = largest
        self.padding = padding or Padding()

    def encode(self, text: str) -> list[int]:
        """Ids of one text from start to end of text, of any length."""
        return self._encode(text)

    @cached_property
    def ends(self) -> tuple[int, int]:
        """How many tokens it puts before a text, and how many behind it."""
        empty, word = self.encode(""), self.encode("a")
        before = 0
        while before < min(len(empty), len(word)) and empty[before] == word[before]:
            before += 1
        return before, len(empty) - before

    def unfilled(self, text: str, values: Sequence[float]) -> list[float]:
        """Of values for each token of a text's row those of the text, without what fills the row."""
        count = min(len(self.encode(text)), self.context)
        return list(values[len(values) - count :] if self.padding.left else values[:count])

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Ids [C, L] of C texts, padded to the longest, or to the length that the text tower wants.

        A text longer than the context is cut before its end, where it has one, and that is said.
        """
        rows = [self.encode(text) for text in texts]
        self._tell_of_long([(len(row), text) for row, text in zip(rows, texts, strict=True) if len(row) > self.context])
        rows = [row if len(row) <= self.context else self._cut(row) for row in rows]
        length = self.padding.length or max((len(row) for row in rows), default=0)
        filled = [self.padding.fill(row, length) for row in rows]
        return torch.tensor(filled, dtype=torch.int64).view(len(rows), length)

    def _cut(self, row: list[int]) -> list[int]:
        behind = min(self.ends[1], self.context)
        return row[: self.context - behind] + row[len(row) - behind :]

    def _tell_of_long(self, cut: Sequence[tuple[int, str]]) -> None:
        """One line, however many they are; each of them only to who asked for more."""
        if len(cut) == 1:
            warn_once(f"text of {cut[0][0]} tokens cut to {self.context}: {cut[0][1][:60]!r}…")
        elif cut:
            longest, text = max(cut)
            warn_once(f"{len(cut)} texts cut to {self.context} tokens, the longest, of {longest}: {text[:60]!r}…")
            for length, text in cut:
                logger.debug("text of %d tokens cut to %d: %r", length, self.context, text)

    @classmethod
    def from_json(cls, text: str, context: int, *, padded: bool = False) -> Tokenizer:
        """From the contents of a `tokenizer.json`; with `padded` rows are filled as it says, else with zeros."""
        import tokenizers

        backend = tokenizers.Tokenizer.from_str(text)
        said = backend.padding if padded else None
        padding = Padding(said["pad_id"], said["length"], said["direction"] == "left") if said else None
        backend.no_padding()
        backend.no_truncation()
        largest = max(backend.get_vocab().values(), default=0)
        return cls(lambda sentence: backend.encode(sentence).ids, context, text, largest, padding)

    def require_fit(self, text: TextConfig) -> None:
        """Check that texts end, and begin, as the model's text tower expects, with ids that it has.

        Raises:
            CheckpointError: they do not; one sentence without the tokenizer's name.
        """
        if self.largest is not None and self.largest >= text.vocabulary:
            raise CheckpointError(f"it has ids up to {self.largest}, but the model knows {text.vocabulary} tokens")
        if text.tower == "clip":
            self._require_ends(text)

    def _require_ends(self, text: TextConfig) -> None:
        empty, word = self.encode(""), self.encode("a")
        if not word or word[-1] != text.eot or text.eot in word[:-1]:
            last = word[-1] if word else "nothing"
            raise CheckpointError(f"it ends a text with {last}, but the model's end-of-text token is {text.eot}")
        if len(empty) < 2 or empty[0] != word[0]:
            raise CheckpointError("it puts no start-of-text token before a text")


def find_tokenizer(folder: Path, text: TextConfig, explicit: str | Path | None = None) -> Tokenizer | None:
    """The tokenizer of a checkpoint.

    Looked for in this order: `explicit` (a folder, `tokenizer.json` or CLIP's `bpe_simple_vocab_16e6.txt.gz`), the
    checkpoint's folder, and, for a text tower of CLIP's vocabulary, the package `instant-clip-tokenizer` (extra
    `clip-vocabulary`), which carries it.

    Returns:
        None if there is none; a model can still be fed token ids.

    Raises:
        CheckpointError: `explicit` holds no tokenizer, or a tokenizer is damaged or another model's.
    """
    place = folder if explicit is None else Path(explicit)
    found = tokenizer_at(place, text)
    try:
        if found is not None:
            found.require_fit(text)
    except CheckpointError as error:
        raise CheckpointError(f"the tokenizer at {place} is not this model's: {error}") from error
    if found is None and explicit is not None:
        raise CheckpointError(f"{explicit} holds no tokenizer; tokenizer.json or bpe_simple_vocab_16e6.txt.gz would")
    return found or (packaged_clip_tokenizer(text.context) if text.vocabulary == CLIP_VOCABULARY else None)


def tokenizer_at(place: Path, text: TextConfig) -> Tokenizer | None:
    """The tokenizer in a folder or a file, for a text tower that it may not fit; None if there is none.

    Raises:
        CheckpointError: it is damaged.
    """
    try:
        return _tokenizer_at(place, text)
    except BaseException as error:  # the tokenizers library raises bare `Exception`; panics of Rust are not even that
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise CheckpointError(f"the tokenizer at {place} cannot be read: {' '.join(str(error).split())}") from error


def _tokenizer_at(place: Path, text: TextConfig) -> Tokenizer | None:
    if text.tower != "clip":
        return _other_tokenizer_at(place, text)
    if place.is_dir():
        names = ("tokenizer.json", "vocab.json", MERGES)
        found = next((place / name for name in names if (place / name).is_file()), None)
        return None if found is None else _tokenizer_at(found, text)
    if not place.is_file():
        return None
    if place.name.endswith(".gz"):
        return Tokenizer.from_json(clip_tokenizer_json(_packed_merges(place)), text.context)
    if place.name == "vocab.json":
        merges = read_text(place.parent / "merges.txt", MOST_TEXT).strip().split("\n")[1:]
        return Tokenizer.from_json(clip_tokenizer_json(merges, read_json(place, MOST_TEXT)), text.context)
    return Tokenizer.from_json(read_text(place, MOST_TEXT), text.context)


def _other_tokenizer_at(place: Path, text: TextConfig) -> Tokenizer | None:
    """That of a tower other than CLIP's, which says how rows are padded: a library's folder, or a file of ours."""
    from claver.models.checkpoint.library_tokenizer import SETTINGS, tokenizer_json

    folder = place if place.is_dir() else place.parent
    if (folder / SETTINGS).is_file():
        return Tokenizer.from_json(tokenizer_json(folder, text), text.context, padded=True)
    file = place / "tokenizer.json" if place.is_dir() else place
    return Tokenizer.from_json(read_text(file, MOST_TEXT), text.context, padded=True) if file.is_file() else None


def _packed_merges(path: Path) -> list[str]:
    """CLIP's merges out of OpenAI's `.txt.gz`, unpacked no further than such a file can be long."""
    with gzip.open(path) as file:
        text = file.read(MOST_DOCUMENT + 1)
    if len(text) > MOST_DOCUMENT:
        raise CheckpointError(f"it unpacks to more than {MOST_DOCUMENT:,} bytes, too many for a list of merges")
    return text.decode().split("\n")[1 : CLIP_MERGES + 1]


def clip_tokenizer_json(merges: Sequence[str], vocabulary: dict[str, int] | None = None) -> str:
    """A `tokenizer.json` for CLIP's byte-pair encoding, given its merges in order."""
    from tokenizers import Regex, normalizers, pre_tokenizers, processors
    from tokenizers import Tokenizer as Backend
    from tokenizers.models import BPE

    vocabulary = vocabulary or clip_vocabulary(merges)
    if missing := [name for name in (SOT, EOT) if name not in vocabulary]:
        raise CheckpointError(f"its vocabulary lacks {missing[0]}")
    if wrong := [merge for merge in merges if len(merge.split()) != 2]:
        raise CheckpointError(f"its merges should be pairs, not {wrong[0][:40]!r}")
    pairs = [(first, second) for first, second in (merge.split() for merge in merges)]
    backend: Any = Backend(BPE(vocabulary, pairs, end_of_word_suffix="</w>", unk_token=EOT))
    steps = [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    backend.normalizer = normalizers.Sequence(steps)
    split = pre_tokenizers.Split(Regex(CLIP_PATTERN), behavior="removed", invert=True)
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    backend.add_special_tokens([SOT, EOT])
    backend.post_processor = processors.TemplateProcessing(
        single=f"{SOT} $0 {EOT}", special_tokens=[(name, vocabulary[name]) for name in (SOT, EOT)]
    )
    return str(backend.to_str())


def clip_vocabulary(merges: Sequence[str]) -> dict[str, int]:
    """CLIP's token ids: 256 bytes, the same ending a word, one token per merge, start and end of text."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    characters = [chr(byte) for byte in printable] + [chr(256 + place) for place in range(len(others))]
    tokens = characters + [character + "</w>" for character in characters]
    tokens += ["".join(merge.split()) for merge in merges] + [SOT, EOT]
    return {token: index for index, token in enumerate(tokens)}


def packaged_clip_tokenizer(context: int = 77) -> Tokenizer | None:
    """CLIP's tokenizer from the package `instant-clip-tokenizer`, or None where that is not installed."""
    try:
        from instant_clip_tokenizer import Tokenizer as Backend
    except ImportError:
        return None
    backend = Backend()
    start, end = backend.start_of_text(), backend.end_of_text()
    return Tokenizer(lambda text: [start, *backend.encode(" ".join(text.lower().split())), end], context)
