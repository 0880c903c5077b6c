"""CLIP's tokenizer from its merges, from the packaged vocabulary, and from a checkpoint's tokenizer.json."""

import csv
from pathlib import Path

import pytest
import torch

from claver.errors import CheckpointError
from claver.models import TextConfig
from claver.models.tokenizer import Tokenizer, find_tokenizer, packaged_clip_tokenizer

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
