"""An index of real files: what is decoded again and what is not, and what a search finds."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.crashing import digest_crashing
from tests.tiny import talking_model
from tests.videos import write_video
from torch.nn import functional as F

import claver
from claver.files import only_writer
from claver.index import building
from claver.index import index as making
from claver.index.files import digest_of
from claver.index.query import text_query
from claver.index.settings import fingerprint_of
from claver.index.store import WindowStore
from claver.inference import VideoEncoder, WindowEncoder
from claver.inference.open_set import CHANCE, rank_of_bar
from claver.inference.windows import Windows

pytest.importorskip("lancedb", reason="lancedb (extra search) is not installed")


@pytest.fixture(scope="module")
def model() -> claver.Claver:
    return talking_model()


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    (folder / "sub").mkdir(parents=True)
    for number in range(4):
        write_video(folder / "sub" / f"it's {number}\n.mp4", frames=20 + 15 * number, seed=number)
    (folder / "bad.mp4").write_bytes(b"no video")
    return folder


def all_windows(index: claver.Index) -> list[tuple[str, float, float]]:
    settings = index.settings()
    paths = {record.id: record.path for record in records(index)}
    rows = WindowStore(index.path, settings.width).spans()
    found = zip(rows.files.tolist(), rows.starts.tolist(), rows.stops.tolist(), strict=True)
    return sorted((paths[number], start, stop) for number, start, stop in found)


def records(index: claver.Index) -> list[building.FileRecord]:
    registry = building.Registry(index.path / "files.sqlite")
    try:
        return registry.records()
    finally:
        registry.close()


def test_windows_are_those_of_each_file_alone(videos: Path, tmp_path: Path, model: claver.Claver) -> None:
    index = claver.Index.open(tmp_path / "my.index")
    assert not index.path.exists()
    report = index.add(videos, model, fps=5)
    assert (report.added, len(report.failed)) == (4, 1)
    encoder = WindowEncoder(VideoEncoder(model), fps=5)
    expected = []
    for path in sorted(videos.rglob("it*.mp4")):
        windows = Windows.joined(list(encoder(str(path))))
        starts, stops = windows.starts.astype(np.float32).tolist(), windows.stops.astype(np.float32).tolist()
        expected += [(os.path.realpath(path), a, b) for a, b in zip(starts, stops, strict=True)]
    assert all_windows(index) == sorted(expected)
    assert index.info().windows == len(expected)


def test_only_what_changed_is_decoded(
    videos: Path, tmp_path: Path, model: claver.Claver, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = claver.Index.open(tmp_path / "my.index")
    index.add([str(videos)], model, fps=5)
    before = all_windows(index)
    first, second, third, fourth = sorted((videos / "sub").iterdir())
    decoded: list[str] = []
    real = making.encode_videos
    monkeypatch.setattr(making, "encode_videos", lambda e, paths, **k: decoded.extend(paths) or real(e, paths, **k))
    os.utime(first, ns=(1, 1))
    second.rename(videos / "moved.mp4")
    third.unlink()
    (videos / "circle").symlink_to(videos)
    report = index.add([str(videos), str(videos / "sub")], model)
    assert decoded == []  # nor the bad file, which is remembered
    assert (report.touched, report.moved, report.removed) == (1, 1, 1)
    assert {path for path, *_ in all_windows(index)} == {
        os.path.realpath(path) for path in (first, fourth, videos / "moved.mp4")
    }
    assert len(all_windows(index)) == len(before) - sum(path == str(third.resolve()) for path, *_ in before)
    write_video(fourth, frames=30, seed=9)
    assert index.add(videos, model).changed == 1
    assert decoded == [os.path.realpath(fourth)]
    decoded.clear()
    assert len(index.add(videos, model, retry=True).failed) == 1


def test_a_file_on_which_the_decoder_crashes_is_remembered_and_no_other_is_lost(
    videos: Path, tmp_path: Path, model: claver.Claver, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, crashing = claver.Index.open(tmp_path / "expected.index"), claver.Index.open(tmp_path / "my.index")
    expected.add(videos, model, fps=5)
    for seed, name in enumerate(("crashes", "killed"), start=10):
        write_video(videos / f"{name}.mp4", frames=20, seed=seed)
    monkeypatch.setattr(making, "digest_of", digest_crashing)
    report = crashing.add(videos, model, fps=5, workers=2)
    assert report.added == 4
    assert all_windows(crashing) == all_windows(expected)
    told = dict(report.failed)
    place = os.path.realpath(videos / "crashes.mp4")
    assert told[place] == f"{place}: the process that read it was killed by SIGSEGV, as when a decoder crashes."
    assert "killed, by its decoder or for want of memory" in told[os.path.realpath(videos / "killed.mp4")]
    known = {record.path: record for record in records(crashing)}
    assert known[place].state == "failed"
    assert known[place].digest == digest_of(place)
    again = crashing.add(videos, model, workers=1)
    assert [Path(path).name for path, _ in again.failed] == ["killed.mp4"]  # which memory may have been the cause of
    assert (again.added, again.unchanged) == (0, 6)


def test_a_folder_that_is_gone_loses_nothing(videos: Path, tmp_path: Path, model: claver.Claver) -> None:
    index = claver.Index.open(tmp_path / "my.index")
    index.add(videos, model, fps=5)
    before = all_windows(index)
    (videos / "sub").rename(tmp_path / "elsewhere")
    assert len(index.add(videos, model).kept) == 4
    assert all_windows(index) == before
    assert index.add(videos, model, forget=True).removed == 4
    assert all_windows(index) == []


def test_another_model_other_settings_and_two_writers_are_refused(
    videos: Path, tmp_path: Path, model: claver.Claver
) -> None:
    index = claver.Index.open(tmp_path / "my.index")
    with pytest.raises(claver.ClaverError, match="there is no index"):
        index.search("falls", model)
    index.add(videos, model, fps=5)
    other = talking_model("kmt")
    with pytest.raises(claver.ClaverError, match="another model"):
        index.add(videos, other)
    with pytest.raises(claver.ClaverError, match="another model"):
        index.search("falls", other)
    with pytest.raises(claver.ClaverError, match=r"fps 5\.0, not 3\.0"):
        index.add(videos, model, fps=3.0)
    with only_writer(index.path), pytest.raises(claver.ClaverError, match="another claver command is writing"):
        index.add(videos, model)


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[3])
import claver
from claver.index import building
from claver.index import index as making
from tests.tiny import talking_model
building.FLUSH_WINDOWS = 1
count = 0
change = building.Registry.change
def killed(self, **values):
    global count
    count += bool(values.get("put"))
    if count == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    change(self, **values)
building.Registry.change = killed
claver.Index.open(sys.argv[1]).add(sys.argv[2], talking_model(), fps=5)
"""


def test_a_killed_run_is_finished_without_loss_and_nothing_is_in_twice(
    videos: Path, tmp_path: Path, model: claver.Claver
) -> None:
    whole, killed = claver.Index.open(tmp_path / "whole.index"), claver.Index.open(tmp_path / "killed.index")
    whole.add(videos, model, fps=5)
    house = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", KILLED, str(killed.path), str(videos), house], timeout=120)
    assert done.returncode == -9
    settings = killed.settings()
    assert len(WindowStore(killed.path, settings.width)) > killed.info().windows  # windows without their file
    killed.add(videos, model)
    assert all_windows(killed) == all_windows(whole)


def test_search_is_that_of_brute_force(videos: Path, tmp_path: Path, model: claver.Claver) -> None:
    index = claver.Index.open(tmp_path / "my.index")
    index.add(videos, model, fps=5)
    clip = sorted((videos / "sub").iterdir())[1]
    copied = tmp_path / "copy.mp4"
    copied.write_bytes(clip.read_bytes())
    found = index.search(None, model, like=copied, top=1)
    encoder = WindowEncoder(VideoEncoder(model), fps=5)
    units = {
        path: F.normalize(Windows.joined(list(encoder(str(path)))).embeddings, dim=-1)
        for path in (videos / "sub").iterdir()
    }
    query = F.normalize(units[clip].mean(0), dim=-1)
    best = max(units, key=lambda path: float((units[path] @ query).max()))
    assert found.hits[0].path == os.path.realpath(best)


def test_a_clip_that_is_looked_for_is_left_out(videos: Path, tmp_path: Path, model: claver.Claver) -> None:
    index = claver.Index.open(tmp_path / "my.index")
    index.add(videos, model, fps=5)
    clips = sorted((videos / "sub").iterdir())
    found = {hit.path for hit in index.search(None, model, like=clips[1], top=99)}
    assert found == {os.path.realpath(clip) for clip in clips} - {os.path.realpath(clips[1])}


def test_scores_are_those_of_the_formula(videos: Path, tmp_path: Path, model: claver.Claver) -> None:
    """Worked out here in NumPy, over all windows of all files."""
    index = claver.Index.open(tmp_path / "my.index")
    index.add(videos, model, fps=5)
    asked = text_query(["falls", "drops"], model, files=4, negative="rises", cache=False)
    rows = WindowStore(index.path, index.settings().width).of_files([record.id for record in records(index)])
    vectors, names = rows.vectors.astype(np.float64), asked.background.double().numpy()
    ranked = np.sort(vectors @ names.T, axis=1)[:, ::-1]
    assert asked.rank == rank_of_bar(1, len(names), CHANCE / 4)
    against = vectors @ asked.negative[0].double().numpy()
    bar = np.maximum(ranked[:, asked.rank - 1], against)
    expected = asked.scale * (vectors @ asked.vector.double().numpy() - bar)
    found = index.search(["falls", "drops"], model, negative="rises", top=3, cache=False)
    assert found.hits[0].score == pytest.approx(expected.max(), abs=1e-3)
    scores = [hit.score for hit in found]
    assert scores == sorted(scores, reverse=True)
    assert found.fits == (expected.max() > 0)
    assert found.windows == len(rows)


def test_the_more_files_the_higher_is_the_bar(model: claver.Claver) -> None:
    few, many = (text_query("falls", model, files=files, cache=False) for files in (1, 100_000))
    assert many.rank == 1 < few.rank


def test_a_folder_that_is_not_in_the_index_is_told(videos: Path, tmp_path: Path, model: claver.Claver) -> None:
    index = claver.Index.open(tmp_path / "my.index")
    index.add(videos, model, fps=5)
    with pytest.raises(claver.ClaverError, match="no video below"):
        index.search("falls", model, folder=tmp_path / "nowhere")
    below = index.search("falls", model, folder=videos / "sub", cache=False)
    assert below.windows == index.info().windows


def test_foreign_folders_are_left_alone(videos: Path, tmp_path: Path, model: claver.Claver) -> None:
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "cat.jpg").write_bytes(b"")
    with pytest.raises(claver.ClaverError, match="is no index of claver"):
        claver.Index.open(foreign).add(videos, model)
    assert os.listdir(foreign) == ["cat.jpg"]


def test_a_model_is_the_same_in_half_precision(model: claver.Claver) -> None:
    half = copy.deepcopy(model).bfloat16()
    assert fingerprint_of(half) == fingerprint_of(model) != fingerprint_of(talking_model("kmt"))


def test_without_lancedb_it_is_said_what_to_install(
    videos: Path, tmp_path: Path, model: claver.Claver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(claver.ClaverError, match=r"pip install 'claver\[search\]'"):
        claver.Index.open(tmp_path / "my.index").add(videos, model)


@pytest.mark.parametrize(
    ("query", "settings", "told"),
    [
        (None, {}, "either a text or a clip"),
        ("falls", {"like": "clip.mp4"}, "either a text or a clip"),
        (None, {"like": "clip.mp4", "negative": "rises"}, "go with a text"),
        ("falls", {"top": 0}, "at least 1, not 0"),
        ("  ", {}, "is empty"),
        ((), {}, "there is no query"),
    ],
)
def test_searches_that_make_no_sense(
    query: object, settings: dict[str, object], told: str, videos: Path, tmp_path: Path, model: claver.Claver
) -> None:
    index = claver.Index.open(tmp_path / "my.index")
    index.add(sorted((videos / "sub").iterdir())[0], model, fps=5)
    with pytest.raises(claver.ClaverError, match=told):
        index.search(query, model, **settings)  # type: ignore[arg-type]


def test_what_an_interruption_of_writing_leaves_is_written_by_the_last_flush(
    videos: Path, tmp_path: Path, model: claver.Claver, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, index = claver.Index.open(tmp_path / "whole.index"), claver.Index.open(tmp_path / "my.index")
    whole.add(videos, model, fps=5)
    real, calls = WindowStore.append, []

    def interrupted(store: WindowStore, rows: object) -> None:
        real(store, rows)  # type: ignore[arg-type]
        calls.append(rows)
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(building, "FLUSH_WINDOWS", 1)
    monkeypatch.setattr(WindowStore, "append", interrupted)
    with pytest.raises(KeyboardInterrupt):
        index.add(videos, model, fps=5)
    first = index.info().files
    assert first >= 1  # what was finished was not lost
    assert index.add(videos, model).added == 4 - first
    assert all_windows(index) == all_windows(whole)


def test_a_copy_of_a_file_on_a_disk_that_is_gone_does_not_take_its_place(
    videos: Path, tmp_path: Path, model: claver.Claver
) -> None:
    index = claver.Index.open(tmp_path / "my.index")
    index.add(videos, model, fps=5)
    backup, original = tmp_path / "backup", sorted((videos / "sub").iterdir())[1]
    backup.mkdir()
    (backup / "copy.mp4").write_bytes(original.read_bytes())
    windows, paths = index.info().windows, {path for path, *_ in all_windows(index)}
    videos.rename(tmp_path / "unmounted")
    report = index.add(backup, model)
    assert (report.moved, report.copied, report.added) == (0, 1, 0)
    assert {path for path, *_ in all_windows(index)} == paths | {os.path.realpath(backup / "copy.mp4")}
    assert index.info().windows > windows


def test_one_long_video_does_not_hide_the_others(
    videos: Path, tmp_path: Path, model: claver.Claver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from claver.index import index as module

    index = claver.Index.open(tmp_path / "my.index")
    index.add(videos, model, fps=5)
    monkeypatch.setattr(module, "_CANDIDATES", 1)
    monkeypatch.setattr(module, "_FEWEST_CANDIDATES", 1)
    assert len({hit.path for hit in index.search("falls", model, top=50, cache=False)}) == 4


def test_videos_scored_one_after_the_other_are_scored_alike(
    videos: Path, tmp_path: Path, model: claver.Claver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from claver.index import index as module

    index = claver.Index.open(tmp_path / "my.index")
    index.add(videos, model, fps=5)
    together = index.search("falls", model, cache=False)
    monkeypatch.setattr(module, "_AT_ONCE", 1)
    real, groups = WindowStore.of_files, []
    monkeypatch.setattr(WindowStore, "of_files", lambda store, ids: groups.append(ids) or real(store, ids))
    assert index.search("falls", model, cache=False) == together
    assert len(groups) == 4


def test_searches_with_and_without_an_index_of_vectors_agree(
    videos: Path, tmp_path: Path, model: claver.Claver, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = claver.Index.open(tmp_path / "my.index")
    index.add(videos, model, fps=5)
    before = index.search("falls", model, cache=False)
    assert (before.exact, index.info().indexed) == (True, None)
    assert index.build() == index.info().windows == index.info().indexed
    exact: list[bool] = []
    real = WindowStore.nearest
    monkeypatch.setattr(WindowStore, "nearest", lambda *a, **k: exact.append(k["exact"]) or real(*a, **k))
    found = index.search("falls", model, cache=False)
    assert not found.exact
    assert (found.hits, found.windows) == (before.hits, before.windows)
    assert index.search("falls", model, exact=True, cache=False) == before
    assert exact == [False, True]
    write_video(videos / "new.mp4", frames=40, seed=8)
    index.add(videos, model)
    assert index.info().indexed == before.windows < index.info().windows
    assert index.search("falls", model, top=99, cache=False).hits == index.search(
        "falls", model, top=99, exact=True, cache=False
    ).hits  # fmt: skip


def test_that_a_large_index_is_searched_faster_with_its_vectors_indexed_is_told(
    videos: Path,
    tmp_path: Path,
    model: claver.Claver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from claver.index import index as module
    from claver.log import warn_once

    warn_once.cache_clear()
    index = claver.Index.open(tmp_path / "my.index")
    index.add(videos, model, fps=5)
    index.search("falls", model, cache=False)
    assert not caplog.records
    monkeypatch.setattr(module, "_MANY", 5)
    index.search("falls", model, exact=True, cache=False)
    assert not caplog.records
    for _ in range(2):
        index.search("falls", model, cache=False)
    assert [record.getMessage() for record in caplog.records] == [
        f"a search is faster after `claver index --index {index.path} --build`: all windows are compared"
    ]
    index.build()
    warn_once.cache_clear()
    index.search("falls", model, cache=False)
    assert len(caplog.records) == 1


def test_an_index_that_is_being_written_or_is_not_there_is_not_built(
    videos: Path, tmp_path: Path, model: claver.Claver
) -> None:
    index = claver.Index.open(tmp_path / "my.index")
    with pytest.raises(claver.ClaverError, match="there is no index"):
        index.build()
    index.add(videos, model, fps=5)
    with only_writer(index.path), pytest.raises(claver.ClaverError, match="another claver command is writing"):
        index.build()


def test_progress_counts_files_windows_and_the_share_of_bytes(
    videos: Path, tmp_path: Path, model: claver.Claver
) -> None:
    seen: list[claver.index.AddProgress] = []
    index = claver.Index.open(tmp_path / "my.index")
    index.add(videos, model, fps=5, progress=seen.append)
    shares = [one.share for one in seen]
    assert shares == sorted(shares)
    assert (shares[-1], seen[-1].files, seen[-1].total) == (1, 5, 5)
    assert seen[-1].windows == index.info().windows
