"""CLIP's tokenizer from its merges, from the packaged vocabulary, and from a checkpoint's tokenizer.json."""

import csv
import gzip
import json
from pathlib import Path

import pytest
import tokenizers
import torch

import claver
from claver.errors import CheckpointError
from claver.models import TextConfig
from claver.models.tokenizer import Tokenizer, find_tokenizer, packaged_clip_tokenizer
from tests.tiny import letter_tokenizer, tiny_config, tiny_model

SENTENCES = [
    "a photo of a person doing yoga.",
    "It's  raining\ncats & dogs, isn't it?",
    "Déjà vu — naïve café 123",
    "",
    "tai chi!!! (slow)",
    "don't you'll we've I'd",
]


@pytest.fixture(scope="module")
def clip(shared: Path) -> Tokenizer:
    found = find_tokenizer(shared, TextConfig(), shared / "clip_bpe" / "bpe_simple_vocab_16e6.txt.gz")
    assert found is not None
    return found


def class_names(shared: Path) -> list[str]:
    files = sorted((shared / "meta").glob("*_labels.csv"))
    return [row["name"] for file in files for row in csv.DictReader(file.open())]


def test_merges_equal_the_packaged_vocabulary_on_every_class_name(clip: Tokenizer, shared: Path) -> None:
    packaged = packaged_clip_tokenizer()
    if packaged is None:
        pytest.skip("instant-clip-tokenizer (extra clip-vocabulary) is not installed")
    names = class_names(shared)
    assert len(names) > 1200
    for text in names + SENTENCES:
        assert clip.encode(text) == packaged.encode(text), text


def test_known_ids(clip: Tokenizer) -> None:
    """The ids that CLIP's documentation shows for this sentence."""
    assert clip.encode("a photo of a cat") == [49406, 320, 1125, 539, 320, 2368, 49407]


def test_known_ids_of_the_packaged_vocabulary() -> None:
    packaged = packaged_clip_tokenizer()
    if packaged is None:
        pytest.skip("instant-clip-tokenizer (extra clip-vocabulary) is not installed")
    assert packaged.encode("a photo of a cat") == [49406, 320, 1125, 539, 320, 2368, 49407]


def test_merges_equal_transformers(clip: Tokenizer, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers (extra hf) is not installed")
    (tmp_path / "tokenizer.json").write_text(clip.json or "")
    fast = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    for text in SENTENCES:
        assert fast(text)["input_ids"] == clip.encode(text)


def test_rows_are_padded_with_zeros_and_long_texts_cut_aloud(clip: Tokenizer, caplog: pytest.LogCaptureFixture) -> None:
    rows = clip(["cat", "a photo of a cat"])
    assert rows.tolist() == [[49406, 2368, 49407, 0, 0, 0, 0], [49406, 320, 1125, 539, 320, 2368, 49407]]
    long = clip(["dog " * 100])
    assert long.shape == (1, 77)
    assert long[0, -1] == 49407
    assert "text of 102 tokens cut to 77: 'dog dog" in caplog.text
    assert clip([]).shape == (0, 0)
    assert clip(["x"]).dtype == torch.int64


def test_where_a_tokenizer_is_looked_for(clip: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claver.models.tokenizer.packaged_clip_tokenizer", lambda context: None)
    assert find_tokenizer(tmp_path, TextConfig()) is None
    with pytest.raises(CheckpointError, match="holds no tokenizer"):
        find_tokenizer(tmp_path, TextConfig(), tmp_path / "nowhere")
    (tmp_path / "tokenizer.json").write_text(clip.json or "")
    found = find_tokenizer(tmp_path, TextConfig())
    assert found is not None
    assert found.encode("Playing  Guitar") == clip.encode("playing guitar")


def test_vocab_and_merges_files_of_older_folders(clip: Tokenizer, shared: Path, tmp_path: Path) -> None:
    import gzip
    import json

    merges = gzip.decompress((shared / "clip_bpe" / "bpe_simple_vocab_16e6.txt.gz").read_bytes()).decode()
    lines = merges.split("\n")[: 49152 - 256 - 2 + 1]
    (tmp_path / "merges.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "vocab.json").write_text(json.dumps(json.loads(clip.json or "")["model"]["vocab"]))
    found = find_tokenizer(tmp_path, TextConfig())
    assert found is not None
    for text in SENTENCES:
        assert found.encode(text) == clip.encode(text)


def letters(text: TextConfig, *, single: str = "<start> $0 <end>", more: int = 0) -> str:
    """A `tokenizer.json` for the tiny models' texts; `more` tokens than they know."""
    values = json.loads(letter_tokenizer().json or "")
    words = values["model"]["vocab"]
    words |= {f"<more {number}>": text.vocabulary + number for number in range(more)}
    marks = [("<start>", 98), ("<end>", text.eot)]
    if single:
        used = [mark for mark in marks if mark[0] in single]
        values["post_processor"] = json.loads(processor_json(single, used))
    else:
        values["post_processor"] = None
    return json.dumps(values)


def processor_json(single: str, marks: list[tuple[str, int]]) -> str:
    backend = tokenizers.Tokenizer(tokenizers.models.BPE())
    backend.post_processor = tokenizers.processors.TemplateProcessing(single=single, special_tokens=marks)
    return json.dumps(json.loads(backend.to_str())["post_processor"])


TINY = tiny_config().text


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (letters(TINY, single=""), r"ends a text with \d+, but the model's end-of-text token is 99"),
        (letters(TINY, single="<start> $0"), r"ends a text with \d+, but the model's end-of-text token is 99"),
        (letters(TINY, single="$0 <end>"), "puts no start-of-text token before a text"),
        (letters(TINY, more=3), "has ids up to 102, but the model knows 100 tokens"),
        ("[" * 200_000, "cannot be read"),
        ("{}", "cannot be read"),
        (json.dumps({"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}), "cannot be read"),
    ],
)
def test_a_tokenizer_of_another_model_or_a_broken_one_is_one_sentence(
    tmp_path: Path, contents: str, message: str
) -> None:
    tiny_model().save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(contents)
    with pytest.raises(CheckpointError, match=f"the tokenizer at .*{message}") as caught:
        claver.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_right_one_is_none_of_these(tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(letters(TINY))
    tokenizer = claver.load(tmp_path).tokenizer
    assert tokenizer is not None
    assert tokenizer.encode("ab")[0] == 98


def test_vocabulary_files_are_read_in_bounds(tmp_path: Path) -> None:
    bomb = tmp_path / "bpe_simple_vocab_16e6.txt.gz"
    with gzip.open(bomb, "wb", compresslevel=9) as file:
        for _ in range(17):
            file.write(bytes(2**20))
    with pytest.raises(CheckpointError, match="unpacks to more than 16,777,216 bytes"):
        find_tokenizer(tmp_path, TextConfig(), bomb)
    bomb.write_bytes(b"no gzip at all")
    with pytest.raises(CheckpointError, match="cannot be read"):
        find_tokenizer(tmp_path, TextConfig(), bomb)
    with (tmp_path / "tokenizer.json").open("wb") as sparse:
        sparse.truncate(2**30)
    with pytest.raises(CheckpointError, match="has more than 268,435,456 bytes"):
        find_tokenizer(tmp_path, TextConfig())


@pytest.mark.parametrize(
    ("vocabulary", "merges", "message"),
    [
        ('{"a": 0}', "#version\n", r"lacks <\|startoftext\|>"),
        ('{"<|startoftext|>": 0, "<|endoftext|>": 1}', "#version\na b c\n", "merges should be pairs, not 'a b c'"),
        ("[]", "#version\n", "should hold one JSON object"),
    ],
)
def test_odd_vocab_and_merges(tmp_path: Path, vocabulary: str, merges: str, message: str) -> None:
    (tmp_path / "vocab.json").write_text(vocabulary)
    (tmp_path / "merges.txt").write_text(merges)
    with pytest.raises(CheckpointError, match=f"the tokenizer at .*{message}"):
        find_tokenizer(tmp_path, TextConfig())


def test_many_texts_that_are_cut_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = letter_tokenizer(8)
    with caplog.at_level("WARNING", logger="claver"):
        ids = tokenizer([f"{letter} longer text" for letter in "abcdefgh"] + ["short"])
    assert ids.shape == (9, 8)
    assert len(caplog.records) == 1
    assert "8 texts cut to 8 tokens, the longest, of 15: 'h longer text'" in caplog.text
