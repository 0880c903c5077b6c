"""An evaluation as a job: what scripts call, and what an earlier version had done."""

import json
import os
from pathlib import Path

import pytest
from tests.tiny import talking_model
from tests.videos import write_video

from claver.evaluation.running import among_learned, read_tests, recognizers_for, run_evaluation
from claver.inference.recognizer import Recognizer


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        write_video(tmp_path / f"{name}.mp4", seed=ord(name))
    (tmp_path / "own.csv").write_text("path,label\na.mp4,waving\nb.mp4,bowing\n")
    (tmp_path / "ucf.csv").write_text("path,label,dataset\nb.mp4,archery,ucf101\nc.mp4,archery,ucf101\n")
    return tmp_path


def test_a_journal_of_before_is_gone_on_with(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `claver evaluate` of 0.2.0 wrote it, with two benchmarks: what has scores is read no more."""
    monkeypatch.chdir(place)
    waves, bows = '{"0": {"bowing": 0.5, "waving": 3.0}}', '{"0": {"bowing": 5.0, "waving": 1.0}}'
    (place / "out.json.partial").write_text(
        '{"settings": {"model": "m"}}\n'
        f'{{"path": "./a.mp4", "results": {waves}, "damaged": "a bit", "seconds": [0.1, 0.2]}}\n'
        f'{{"path": "./b.mp4", "results": {bows}, "seconds": [0.3]}}\n'
        f'{{"path": "./b.mp4", "results": {bows[:-1]}, "1": "b.mp4: it is bad."}}, "seconds": [0.3]}}\n'
    )
    model = talking_model()
    tests = [among_learned(test, model) for test in read_tests([Path("own.csv"), Path("ucf.csv")])]
    recognizers = recognizers_for(tests, model, "templates", views="1x1")
    read, steps = [], []
    stream = Recognizer.stream

    def noted(self, paths, **settings):  # type: ignore[no-untyped-def]
        read.extend(str(path) for path in paths)
        return stream(self, paths, **settings)

    monkeypatch.setattr(Recognizer, "stream", noted)
    first, second = run_evaluation(
        recognizers,
        tests,
        output=Path("out.json"),
        settings={"model": "m"},
        predictions=Path("each.jsonl"),
        progress=lambda done, total: steps.append((done, total)),
    )
    assert read == ["./b.mp4", "./c.mp4"]
    assert steps == [(2, 4), (3, 4), (4, 4)]
    waving, bowing = map(first.test.classes.index, ("waving", "bowing"))
    assert first.scores[:, [waving, bowing]].tolist() == [[3.0, 0.5], [1.0, 5.0]]
    assert (first.top(1), first.damaged, first.seconds["./b.mp4"]) == (1.0, {"./a.mp4": "a bit"}, [0.3])
    assert not second.failures
    assert [entry["clips"] for entry in json.loads(Path("out.json").read_text())["sets"]] == [2, 2]
    assert len(Path("each.jsonl").read_text().splitlines()) == 4
    assert not [name for name in os.listdir() if "partial" in name or "lock" in name]
