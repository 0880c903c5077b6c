"""The tokenizer of a `transformers` folder as one `tokenizer.json`, which says all of what is done to a text.

That library's tokenizers have habits that are in no file: SigLIP's lower the case and drop punctuation before anything
else. Here they are made part of the file, and what comes out is compared with the library's own on a few texts.
"""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import Any

from claver.errors import CheckpointError
from claver.models.checkpoint.files import read_json
from claver.models.config import TextConfig
from claver.models.library import library, quiet

SETTINGS = "tokenizer_config.json"
SENTENCE_SETTINGS = "sentence_bert_config.json"
LIBRARY_FILES = (SETTINGS, SENTENCE_SETTINGS, "special_tokens_map.json", "spiece.model", "sentencepiece.bpe.model")
"""Files of a tokenizer that only the library reads."""
_NO_LIMIT = 10**6
_SPM = "SiglipTokenizer"
"""The one tokenizer of transformers that is known here without a machine of the tokenizers library."""
_VOCABULARIES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
_TEXTS = (
    "",
    "a",
    "Someone opens a door, slowly!",
    "  two   blanks\tand a tab ",
    "it's 12:30 (ÀÉÎ) naïve",
    "打篮球 ...",
)


def longest_row(folder: Path) -> int | None:
    """The longest row that a folder's tokenizer is meant to give; None where it does not say."""
    found = []
    for name, key in ((SETTINGS, "model_max_length"), (SENTENCE_SETTINGS, "max_seq_length")):
        value = read_json(folder / name).get(key) if (folder / name).is_file() else None
        if isinstance(value, int | float) and 2 <= value < _NO_LIMIT:
            found.append(int(value))
    return min(found, default=None)


def tokenizer_json(folder: Path, text: TextConfig) -> str:
    """The contents of a `tokenizer.json` with everything in it: normalisation, special tokens, and how rows are padded.

    Args:
        folder: what a `tokenizer_config.json` lies in.
        text: the tower that is to read its rows.

    Raises:
        CheckpointError: it cannot be read, has no token to pad with, or does what cannot be put into one file.
    """
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        raise CheckpointError(f"it has no vocabulary: none of {', '.join(_VOCABULARIES)}")
    tokenizer = _library_tokenizer(folder)
    lowers = text.settings.get("model_type") == "siglip_text_model"
    backend = _backend(tokenizer)
    if lowers and backend.encode("A").ids != backend.encode("a").ids:
        from tokenizers import normalizers

        first = normalizers.Lowercase()  # as SigLIP 2 was trained; the first files of its models forgot it
        backend.normalizer = normalizers.Sequence([first, *([backend.normalizer] if backend.normalizer else [])])
    if tokenizer.pad_token_id is None:
        raise CheckpointError("it has no token to pad with")
    backend.no_truncation()
    backend.no_padding()
    for sentence in _TEXTS:
        with quiet():
            theirs = list(tokenizer(sentence.lower() if lowers else sentence)["input_ids"])
        if backend.encode(sentence).ids != theirs:
            raise CheckpointError(f"what it does cannot be put into one file: {sentence!r} would have other tokens")
    _require_lower(folder, backend)
    backend.enable_padding(
        direction="left" if tokenizer.padding_side == "left" else "right",
        pad_id=tokenizer.pad_token_id,
        pad_token=str(tokenizer.pad_token),
        length=text.context if text.settings.get("model_type") == "siglip_text_model" else None,
    )
    return str(backend.to_str())


def _require_lower(folder: Path, backend: Any) -> None:
    path = folder / SENTENCE_SETTINGS
    lower = read_json(path).get("do_lower_case") if path.is_file() else None
    if lower and backend.encode("A").ids != backend.encode("a").ids:
        raise CheckpointError(f"{path.name} asks for lower case, which the tokenizer does not make")


def _library_tokenizer(folder: Path) -> Any:
    transformers = library()
    with quiet():
        try:
            found = transformers.AutoTokenizer.from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=False
            )
        except ImportError as error:
            told = str(error).strip().splitlines()[0]
            raise CheckpointError(f"it needs more packages (pip install 'claver[hf]'): {told}") from error
    if read_json(folder / SETTINGS).get("tokenizer_class") == _SPM and type(found).__name__ != _SPM:
        # Another class would read the same words, but leave the punctuation in them.
        raise CheckpointError("it needs the packages sentencepiece and protobuf; pip install 'claver[hf]'")
    return found


def _backend(tokenizer: Any) -> Any:
    """The library's own machine, or for SigLIP's sentencepiece one that does the same."""
    made = getattr(tokenizer, "backend_tokenizer", None)
    if made is not None:
        from tokenizers import Tokenizer

        return Tokenizer.from_str(made.to_str())
    if type(tokenizer).__name__ != _SPM:
        raise CheckpointError(f"{type(tokenizer).__name__} has no tokenizer.json, and only SigLIP's is known without")
    from tokenizers import Regex, normalizers, processors
    from transformers.convert_slow_tokenizer import SpmConverter

    backend = SpmConverter(tokenizer).converted()
    steps = [
        normalizers.Lowercase(),
        normalizers.Replace(Regex(f"[{re.escape(string.punctuation)}]"), ""),
        normalizers.Replace(Regex(r"\s+"), " "),
        normalizers.Strip(),
    ]
    backend.normalizer = normalizers.Sequence([*steps, *([backend.normalizer] if backend.normalizer else [])])
    end = tokenizer.eos_token
    backend.post_processor = processors.TemplateProcessing(
        single=f"$A {end}", special_tokens=[(end, tokenizer.eos_token_id)]
    )
    return backend
