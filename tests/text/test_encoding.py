"""Vectors are those of the text tower, whatever was kept on disk, and by whom."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.tiny import talking_model, tiny_model

from claver.cache_folder import ENVIRONMENT
from claver.errors import ClaverError
from claver.log import warn_once
from claver.models import Claver
from claver.text.cache import TextCache, default_cache, tower_key
from claver.text.encoding import WORTH_KEEPING, encode_texts

MANY = [f"she waves {'very ' * (row % 7)}{chr(97 + row % 26)} {chr(97 + row // 26)}" for row in range(WORTH_KEEPING)]


@pytest.fixture(scope="module")
def model() -> Claver:
    return talking_model()


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> Any:
    warn_once.cache_clear()
    caplog.set_level(logging.WARNING, "claver")
    return caplog


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, model: Claver) -> list[int]:
    """How many texts went through the tower, call by call."""
    seen: list[int] = []
    forward = type(model.text).forward
    monkeypatch.setattr(type(model.text), "forward", lambda self, x: seen.append(len(x)) or forward(self, x))
    return seen


def plainly(model: Claver, texts: list[str]) -> torch.Tensor:
    assert model.tokenizer is not None
    with torch.no_grad():
        return torch.cat([model.encode_text(model.tokenizer([text])) for text in texts])


def test_texts_are_encoded_once_in_any_order_and_progress_is_told(model: Claver, counted: list[int]) -> None:
    texts, told = [*MANY, *MANY[:3]], []
    found = encode_texts(model, texts, cache=False, progress=lambda done, total: told.append((done, total)))
    assert sum(counted) == len(MANY)
    assert told == [(len(MANY), len(MANY))]
    torch.testing.assert_close(found, plainly(model, texts))
    assert encode_texts(model, []).shape == (0, 32)


def test_half_precision_is_near_and_leaves_the_model_alone(model: Claver, tmp_path: Path) -> None:
    full = encode_texts(model, MANY, cache=tmp_path)
    half = encode_texts(model, MANY, dtype=torch.bfloat16, cache=tmp_path)
    assert model.dtype == torch.float32
    assert half.dtype == torch.float32
    assert 0 < (half - full).abs().max() < 0.05 * full.abs().max()
    assert len(list(tmp_path.iterdir())) == 2


def test_what_is_on_disk_is_not_encoded_again(model: Claver, tmp_path: Path, counted: list[int]) -> None:
    first = encode_texts(model, MANY, cache=tmp_path)
    again = encode_texts(model, MANY[::-1], cache=tmp_path)
    assert counted == [len(MANY)]
    assert torch.equal(again, first.flip(0))
    more = encode_texts(model, [*MANY, "a bow"], cache=tmp_path)
    assert counted == [len(MANY), 1]
    torch.testing.assert_close(more[-1:], plainly(model, ["a bow"]))
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


def test_other_weights_and_other_tokens_are_not_mistaken(model: Claver, tmp_path: Path, counted: list[int]) -> None:
    encode_texts(model, MANY, cache=tmp_path)
    other = talking_model()
    assert tower_key(other, torch.float32) == tower_key(model, torch.float32)
    with torch.no_grad():
        other.text.position[3, 1] += 1e-3
    assert tower_key(other, torch.float32) != tower_key(model, torch.float32)
    found = encode_texts(other, MANY, cache=tmp_path)
    torch.testing.assert_close(found, plainly(other, MANY))
    assert counted[:2] == [len(MANY), len(MANY)]
    shouting, tokenizer = talking_model(), model.tokenizer
    assert tokenizer is not None
    shouting.tokenizer = type(tokenizer)(lambda text: tokenizer.encode(f"{text}."), 77)
    found = encode_texts(shouting, MANY, cache=tmp_path)
    torch.testing.assert_close(found, plainly(model, [f"{text}." for text in MANY]))


def test_under_autocast_vectors_are_those_of_the_towers_own_type(model: Claver, tmp_path: Path) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        found = encode_texts(model, MANY, cache=tmp_path)
    assert torch.equal(found, encode_texts(model, MANY, cache=False))
    assert torch.equal(found, encode_texts(model, MANY, cache=tmp_path))


def test_few_texts_are_not_worth_a_file(model: Claver, tmp_path: Path) -> None:
    encode_texts(model, MANY[:-1], cache=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("how", ["cut", "flipped", "empty", "other"])
def test_a_damaged_file_is_noticed_and_made_again(model: Claver, tmp_path: Path, heard: Any, how: str) -> None:
    first = encode_texts(model, MANY, cache=tmp_path)
    [file] = tmp_path.iterdir()
    data = file.read_bytes()
    flipped = data[:-5] + bytes([data[-5] ^ 255]) + data[-4:]
    file.write_bytes({"cut": data[:-100], "flipped": flipped, "empty": b"", "other": b"\x80\x04N."}[how])
    assert torch.equal(encode_texts(model, MANY, cache=tmp_path), first)
    assert "is damaged and will be made again" in heard.text
    assert file.read_bytes() == data


def test_a_folder_that_cannot_be_written_is_said_and_no_more(model: Claver, tmp_path: Path, heard: Any) -> None:
    (tmp_path / "file").write_text("not a folder")
    found = encode_texts(model, MANY, cache=tmp_path / "file" / "texts")
    torch.testing.assert_close(found, plainly(model, MANY))
    assert "cannot be kept" in heard.text


def test_a_file_that_cannot_be_written_is_said_and_no_more(model: Claver, tmp_path: Path, heard: Any) -> None:
    path = TextCache.of(model, torch.float32, tmp_path).path
    path.mkdir()  # in the way, as a full disk is
    torch.testing.assert_close(encode_texts(model, MANY, cache=tmp_path), plainly(model, MANY))
    assert "cannot be kept" in heard.text
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_lose_nothing_of_what_was_there(model: Claver, tmp_path: Path) -> None:
    mine, theirs = (TextCache.of(model, torch.float32, tmp_path) for _ in range(2))
    mine.add({b"a" * 16: torch.zeros(32)})
    theirs.add({b"b" * 16: torch.ones(32)})
    assert set(mine.load()) == {b"a" * 16, b"b" * 16}


def test_files_long_unused_are_forgotten(model: Claver, tmp_path: Path) -> None:
    for age in range(70):
        old = tmp_path / f"{age}.safetensors"
        old.write_bytes(b"")
        os.utime(old, (1e9 - age, 1e9 - age))
    encode_texts(model, MANY, cache=tmp_path)
    left = {path.stem for path in tmp_path.iterdir()}
    assert len(left) == 64
    assert "62" in left
    assert "63" not in left


def test_the_environment_says_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(ENVIRONMENT, "")
    assert default_cache() is None
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    assert default_cache() == tmp_path / "texts"
    monkeypatch.delenv(ENVIRONMENT)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache() == tmp_path / ".cache" / "claver" / "texts"
    monkeypatch.setenv(ENVIRONMENT, "~nobody-of-that-name/cache")
    assert default_cache() is None


def test_processes_at_once_leave_a_sound_file(model: Claver, tmp_path: Path) -> None:
    code = (
        "import sys, torch; from pathlib import Path; from claver.text.cache import TextCache\n"
        "cache = TextCache(Path(sys.argv[1]), 8)\n"
        "for row in range(40): cache.add({f'{sys.argv[2]}{row:015}'.encode(): torch.full((8,), float(row))})\n"
    )
    file = tmp_path / "x.safetensors"
    running = [subprocess.Popen([sys.executable, "-c", code, str(file), name]) for name in "ab"]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    kept = TextCache(file, 8).load()
    assert kept
    for key, vector in kept.items():
        assert torch.equal(vector, torch.full((8,), float(key[1:])))
    assert list(tmp_path.iterdir()) == [file]


def test_without_tokenizer() -> None:
    with pytest.raises(ClaverError, match=r"put its tokenizer\.json"):
        encode_texts(tiny_model(), ["a"])


def test_texts_that_the_model_came_with_are_not_encoded(
    model: Claver, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = torch.arange(32.0)
    monkeypatch.setattr(model, "given_texts", {"runs": given}, raising=False)
    wanted = encode_texts(model, ["walks"], cache=False)
    counted.clear()
    found = encode_texts(model, ["runs", "walks", "runs"], cache=False)
    torch.testing.assert_close(found, torch.stack([given, wanted[0], given]))
    assert sum(counted) == 1
    monkeypatch.setattr(model, "tokenizer", None)
    torch.testing.assert_close(encode_texts(model, ["runs"]), given[None])
