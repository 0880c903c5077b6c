"""The type that `auto` stands for, measured once and kept."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import claver
from claver import precision
from claver.cli.main import app
from claver.errors import ClaverError
from claver.inference.jobs import Journal
from tests.tiny import talking_model
from tests.videos import write_video

ACTIONS = ["waving", "bowing", "running"]
FAST, SLOW = (3e-3, 1e-3), (3e-3, 2.5e-3)


class Stub:
    """In the place of the measurement: what it finds, and how often it was asked."""

    def __init__(self, found: tuple[float, float]) -> None:
        self.found, self.times = found, 0

    def __call__(self) -> tuple[float, float]:
        self.times += 1
        return self.found


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stub:
    made = Stub(FAST)
    monkeypatch.setattr(precision, "measure", made)
    monkeypatch.setenv("CLAVER_CACHE", str(tmp_path / "cache"))
    return made


def test_it_is_bfloat16_only_where_products_are_fast(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAVER_CACHE", "")
    assert str(precision.choose_dtype()) == "bfloat16, in which products are 3.0 times as fast as in float32 here"
    stub.found = SLOW
    expected = "float32, as bfloat16 makes products only 1.20 times as fast here"
    assert str(precision.choose_dtype("cpu")) == expected
    assert stub.times == 2, "nothing is kept without a folder"


def test_a_processor_is_measured_once(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [precision.choose_dtype().name for _ in range(3)] == ["bfloat16"] * 3
    assert stub.times == 1
    monkeypatch.setattr(precision, "processor_name", lambda: "another")
    stub.found = SLOW
    assert precision.choose_dtype().name == "float32"
    monkeypatch.undo()
    assert stub.times == 2


def test_other_threads_and_another_torch_are_measured_anew(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    precision.choose_dtype()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 99)
    precision.choose_dtype()
    monkeypatch.setattr(torch, "__version__", "9.9")
    precision.choose_dtype()
    assert stub.times == 3
    precision.choose_dtype()
    assert stub.times == 3


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"[1, 2]", b'{"KEY": [1.0]}', b'{"KEY": [0.0, "x"]}', b'{"KEY": [NaN, 1.0]}']
)
def test_a_damaged_file_is_measured_anew_and_mended(stub: Stub, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "cache" / "precision.json"
    file.parent.mkdir()
    file.write_bytes(content.replace(b"KEY", precision._key().encode()))
    assert [precision.choose_dtype().name for _ in range(2)] == ["bfloat16"] * 2
    assert stub.times == 1
    assert json.loads(file.read_text())[precision._key()] == list(FAST)


def test_a_place_that_cannot_be_written_only_means_measuring_again(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CLAVER_CACHE", str(tmp_path / "file"))
    assert [precision.choose_dtype().name for _ in range(2)] == ["bfloat16"] * 2
    (tmp_path / "cache" / "precision.json").mkdir(parents=True)
    monkeypatch.setenv("CLAVER_CACHE", str(tmp_path / "cache"))
    assert precision.choose_dtype().name == "bfloat16"
    assert stub.times == 3


def test_the_file_does_not_grow_without_end(stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        monkeypatch.setattr(precision, "processor_name", lambda number=number: f"processor {number}")
        precision.choose_dtype()
    kept = json.loads((tmp_path / "cache" / "precision.json").read_text())
    assert len(kept) == 16
    assert precision._key() in kept


@pytest.mark.parametrize(("capability", "expected"), [((9, 0), "bfloat16"), ((8, 0), "bfloat16"), ((7, 5), "float32")])
def test_cards_are_told_by_their_compute_capability(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda place: "A card")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda place: capability)
    choice = precision.choose_dtype("cuda:1")
    assert choice.name == expected
    assert f"A card has compute capability {capability[0]}.{capability[1]}" in choice.why
    assert precision.choose_dtype("mps").name == "float32"


def test_the_measurement_is_short_and_of_both() -> None:
    single, half = precision.measure()
    assert 0 < single < 5
    assert 0 < half < 5


@pytest.mark.parametrize("found", [FAST, SLOW])
def test_a_model_answers_alike_in_the_type_chosen(
    stub: Stub, tmp_path: Path, found: tuple[float, float], caplog: pytest.LogCaptureFixture
) -> None:
    stub.found = found
    talking_model().save_pretrained(tmp_path / "model")
    clip = write_video(tmp_path / "clip.mp4", frames=8)
    caplog.set_level(logging.INFO, "claver")
    chosen, plain = claver.load(tmp_path / "model", dtype="auto"), claver.load(tmp_path / "model")
    name = "bfloat16" if found == FAST else "float32"
    assert chosen.dtype == getattr(torch, name)
    assert f"dtype auto: {name}, " in caplog.text
    ours, usual = (claver.Recognizer(model, ACTIONS, unknown=False)(clip) for model in (chosen, plain))
    near = 0.05 * float(abs(usual.scores).max())  # embeddings of this model differ by 0.8 % in bfloat16
    np.testing.assert_allclose(ours.scores, usual.scores, atol=near)
    assert claver.load(tmp_path / "model", dtype="bfloat16").dtype == torch.bfloat16
    with pytest.raises(ClaverError, match="dtype must be float32, bfloat16, float16 or auto, not 'half'"):
        claver.load(tmp_path / "model", dtype="half")  # type: ignore[arg-type]


def test_a_command_says_which_and_resumes_by_it(stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    talking_model().save_pretrained(tmp_path / "model")
    clip = write_video(tmp_path / "clip.mp4", frames=8)
    output = tmp_path / "answers.jsonl"
    command = ["recognize", str(clip), "--model", str(tmp_path / "model"), "--actions", "waving, bowing"]
    command += ["--unknown", "off", "--dtype", "auto", "--output", str(output)]
    seen = {}

    def noted(self: object, settings: dict[str, object]) -> None:
        seen.update(settings)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("claver.inference.jobs.Journal._read", noted)
        assert CliRunner().invoke(app, command).exit_code == 130
    assert seen["dtype"] == "bfloat16"
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "claver: --dtype auto: bfloat16, in which products are 3.0 times as fast" in done.stderr
    assert output.is_file()


@pytest.mark.parametrize("command", ["evaluate", "timeline"])
def test_other_journals_hold_the_type_as_well(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    seen: list[object] = []
    read = Journal._read
    monkeypatch.setattr(
        Journal, "_read", lambda self, settings: (seen.append(settings["dtype"]), read(self, settings))[1]
    )
    talking_model().save_pretrained(tmp_path / "model")
    clip = write_video(tmp_path / "clip.mp4", frames=8)
    (tmp_path / "clips.csv").write_text("path,label\nclip.mp4,waving\n")
    output = tmp_path / "result.json"
    given = str(clip if command == "timeline" else tmp_path / "clips.csv")
    own = ["--actions", "waving, bowing"] if command == "timeline" else ["--views", "1x1", "--workers", "0"]
    more = ["--model", str(tmp_path / "model"), "--dtype", "auto", "--output", str(output)]
    done = CliRunner().invoke(app, [command, given, *more, *own])
    assert done.exit_code == 0, done.output
    assert seen == ["bfloat16"]
    assert done.stderr.count("--dtype auto: bfloat16") == 1
