"""Time and memory, measured in processes of their own."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.tiny import tiny_config, tiny_model

from claver.errors import ClaverError
from claver.profile import measure as module
from claver.profile.measure import Measured, Request, measure, measure_here


def test_a_process_of_its_own(tmp_path: Path) -> None:
    model = tiny_model("kmct", frames=60)
    model.save_pretrained(tmp_path / "model")
    request = Request(str(tmp_path / "model"), model.config.to_dict(), "ours", views=2)
    found = measure(request)
    assert len(found.seconds) >= 3
    assert all(0 < seconds < 60 for seconds in found.seconds)
    # At the least the tokens of 120 frames and the MLP's four times as wide ones stand beside each other.
    least = 5 * 4 * 120 * 17 * 128 / 2**20
    if Path("/proc/self/status").exists():
        assert found.peak_mib is not None
        assert found.peak_mib > least


@pytest.mark.parametrize("texts", [0, 3])
def test_both_ways_run(texts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ENOUGH_SECONDS", 0)
    request = Request(None, tiny_config().to_dict(), "ours", texts=texts)
    for way in ("usual", "ours"):
        assert len(measure_here(replace(request, way=way)).seconds) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory of a process is known on Linux only")
def test_what_was_there_before_is_no_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ENOUGH_SECONDS", 0)
    gone = torch.ones(2**27)  # 512 MiB, as a model while it is read
    del gone
    peak = measure_here(Request(None, tiny_config().to_dict(), "ours")).peak_mib
    assert peak is not None
    assert peak < 256


def test_a_failure_is_one_sentence() -> None:
    with pytest.raises(ClaverError, match="measuring ours on cpu failed") as caught:
        measure(Request("/no/such/model", tiny_config().to_dict(), "ours"))
    assert "\n" not in str(caught.value)


def test_the_median_of_odd_and_even_runs() -> None:
    assert Measured((3.0, 1.0, 2.0), None).median == 2.0
    assert Measured((4.0, 1.0), None).to_dict() == {"median_seconds": 2.5, "runs": 2, "peak_mib": None}
