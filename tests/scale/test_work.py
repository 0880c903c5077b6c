"""Real videos in real actors: the answers of one process, a poisoned file costs itself alone, nothing piles up."""

import re
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from tests.scale.opening import ACTIONS, open_crashing, open_recognizer
from tests.videos import write_video

from claver.scale import Actors
from claver.scale.work import Placement, recognize_on_ray

ray = pytest.importorskip("ray", reason="ray (extra scale) is not installed")
pytestmark = pytest.mark.slow
PLACEMENT = Placement("local", Actors(2, 2, cpus=2.0))  # more logical CPUs than many a machine has


def write_white(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 255, np.uint8), "rgb24")))
        container.mux(stream.encode())
    return path


def test_answers_are_those_of_one_process_and_a_poisoned_file_costs_itself_alone(tmp_path: Path) -> None:
    paths = [str(write_video(tmp_path / f"{number}.mp4", frames=8, seed=number)) for number in range(40)]
    poisoned = str(write_white(tmp_path / "poisoned.mp4"))
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    items = [*paths[:9], poisoned, *paths[9:], str(tmp_path / "bad.mp4")]
    work = recognize_on_ray(PLACEMENT, open_crashing, top=2, batch_size=4)
    found = {record["path"]: record for record in work(items)}
    assert sorted(found) == sorted(items)
    assert found[poisoned] == {
        "path": poisoned,
        "error": f"{poisoned}: every process that read it died, by its decoder or for want of memory.",
    }
    alone = open_recognizer("cpu")
    for result in alone.stream([*paths, items[-1]], batch_size=4):
        expected = result.to_dict(2)
        record = found[expected["path"]]
        assert record.keys() == expected.keys()
        for one, other in zip(record.get("top", ()), expected.get("top", ()), strict=True):
            assert one["action"] == other["action"] in ACTIONS
            assert one["score"] == pytest.approx(other["score"], abs=1e-4)
        assert record.get("error") == expected.get("error")


def test_the_object_store_holds_no_pixels(tmp_path: Path) -> None:
    from ray._private.internal_api import memory_summary

    first = write_video(tmp_path / "0.mp4", frames=8)
    for number in range(1, 400):
        (tmp_path / f"{number}.mp4").hardlink_to(first)
    paths = [str(tmp_path / f"{number}.mp4") for number in range(400)]
    work = partial(recognize_on_ray, PLACEMENT, open_recognizer)(batch_size=8)
    stores = []
    for number, _ in enumerate(work(paths)):
        if number % 100 == 99:
            stores.append(
                re.search(
                    r"Plasma memory usage (\d+) MiB",
                    memory_summary(ray.get_runtime_context().gcs_address, stats_only=True),
                )
            )
    assert len(stores) == 4
    for told in stores:
        assert told is not None
        assert int(told[1]) <= 1
