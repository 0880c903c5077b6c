"""YAML of others: plain data, or one sentence with the line, in bounded time and memory."""

from contextlib import suppress
from pathlib import Path
from time import perf_counter

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from claver.errors import ClaverError
from claver.files import read_text
from claver.yaml_text import parse_yaml

BOMB = "a0: &a0 [1, 2]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))


def refused(text: str) -> str:
    begun = perf_counter()
    with pytest.raises(ClaverError) as caught:
        parse_yaml(text, "here")
    assert perf_counter() - begun < 5
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "here, line 1: not valid YAML ("),
        ("a: " + "[" * 10_000, "here, line 1: not valid YAML (nested too deeply)"),
        ("- " * 10_000, "here, line 1: not valid YAML (nested too deeply)"),
        ("a:\n  b: " + "9" * 5000, "here, line 2: not valid YAML (a whole number of thousands of digits)"),
        (BOMB, "here, line 5: not valid YAML (aliases that stand for more than 20,000 values)"),
        ("a: &a [*a]", "here, line 1: not valid YAML (aliases that stand for more than 20,000 values)"),
        ("a: [" + "1," * 30_000 + "]", "here, line 1: not valid YAML (more than 20,000 values)"),
        ("a: 1\nb: 2\na: 3", "here, line 3: not valid YAML (the key 'a' is there twice)"),
        ("a: !!python/object/apply:os.system [ls]", "here, line 1: not valid YAML (could not determine a constructor"),
        ("a: !!bool maybe", "here, line 1: not valid YAML (its value does not fit its tag)"),
        ("day: 2001-99-99", "here, line 1: not valid YAML (month must be in 1..12)"),
        ("a: \0", "here: not valid YAML (unacceptable character #x0000"),
        ("#" * 2_000_000, "here has more than 1,048,576 characters, too many for YAML"),
    ],
)
def test_what_is_wrong_is_one_sentence(text: str, said: str) -> None:
    assert refused(text).startswith(said)


def test_aliases_and_merge_keys_work_where_they_are_small() -> None:
    text = "base: &base {lr: 1, steps: 2}\nmine:\n  <<: *base\n  lr: 3\nagain: [*base, *base]\n"
    assert parse_yaml(text, "here") == yaml.safe_load(text)
    assert parse_yaml(text, "here")["mine"] == {"lr": 3, "steps": 2}
    assert parse_yaml("", "here") is None


@pytest.mark.parametrize("name", ["deep", "huge", "merge"])
def test_the_hostile_recipes(shared: Path, name: str) -> None:
    assert "not valid YAML" in refused(read_text(shared / "cases" / "hostile" / f"{name}.yaml"))


@given(st.text() | st.text(alphabet="&*<:-[]{}!|>'\"?#%@ab01.\n \t", max_size=60))
def test_any_text_is_read_as_pyyaml_reads_it_or_refused(text: str) -> None:
    with suppress(ClaverError):
        value = parse_yaml(text, "here")
        assert repr(value) == repr(yaml.safe_load(text))
