import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tests.tiny import tiny_config, tiny_model
from tests.training.processes import launch
from tests.videos import write_video

from claver.data import Clips, Manifest, Sample, open_clips, write_shards
from claver.errors import ClaverError
from claver.models import Claver
from claver.training.token_cache import CachedTokens, cache_clips, cache_key
from claver.video import Preprocess, load_views


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Seven files of two classes."""
    root = tmp_path_factory.mktemp("clips")
    for number in range(7):
        write_video(root / f"{number}.mp4", seed=number)
    return Clips.of_files(Manifest(("a", "b"), tuple(Sample(f"{n}.mp4", n % 2) for n in range(7)), root))


def cached(model: Claver, clips: Clips, folder: Path, **settings: object) -> tuple[CachedTokens, list[int]]:
    """The cache, in shards of three clips, and the clips it had to encode."""
    seen: list[int] = []
    tokens = cache_clips(model, clips, folder, clips_per_shard=3, on_clip=lambda row, _: seen.append(row), **settings)  # type: ignore[arg-type]
    return tokens, seen


@pytest.mark.parametrize("center", ["rounded", "floored"])
def test_the_tokens_are_those_of_the_image_tower_on_the_test_views(clips, tmp_path, center):
    model = tiny_model()
    size = model.config.image.size
    model.config = replace(model.config, preprocess=Preprocess(size, size + 7, center=center))
    tokens, seen = cached(model, clips, tmp_path, views=2)
    assert (len(tokens), len(tokens.shards), seen) == (14, 3, list(range(7)))
    found, labels = tokens.take(torch.tensor([13, 0, 5]))
    assert labels.tolist() == [0, 0, 0]
    for token, (clip, view) in zip(found, [(6, 1), (0, 0), (2, 1)], strict=True):
        views = load_views(clips.manifest.path(clip), frames=4, temporal_views=2, preprocess=model.config.preprocess)
        with torch.no_grad():
            wanted = model.image_tokens(views[view : view + 1])[0]
        assert token.dtype == torch.float32
        torch.testing.assert_close(token, wanted, rtol=2e-3, atol=5e-3)


def test_a_second_run_computes_nothing(clips, tmp_path):
    first, _ = cached(tiny_model(), clips, tmp_path)
    again, seen = cached(tiny_model(), clips, tmp_path)
    assert seen == []
    everything = torch.arange(7)
    assert torch.equal(first.take(everything)[0], again.take(everything)[0])
    assert again.take(everything)[1].tolist() == clips.labels.tolist()


def test_an_interrupted_run_goes_on_with_the_first_missing_shard(clips, tmp_path):
    def stop(row: int, total: int) -> None:
        assert total == 7
        if row == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache_clips(tiny_model(), clips, tmp_path, clips_per_shard=3, on_clip=stop)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1
    tokens, seen = cached(tiny_model(), clips, tmp_path)
    assert seen == [3, 4, 5, 6]
    whole, _ = cached(tiny_model(), clips, tmp_path / "other")
    assert torch.equal(tokens.take(torch.arange(7))[0], whole.take(torch.arange(7))[0])
    assert not list(tmp_path.rglob(".tokens*"))


def test_a_shard_has_a_clip(clips, tmp_path):
    for count in (0, -3):
        with pytest.raises(ClaverError, match=f"clips_per_shard must be at least 1, not {count}"):
            cache_clips(tiny_model(), clips, tmp_path, clips_per_shard=count)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("harm", ["flip", "cut", "empty"])
def test_a_damaged_shard_is_noticed_and_made_again(clips, tmp_path, caplog, harm):
    tokens, _ = cached(tiny_model(), clips, tmp_path)
    before = tokens.take(torch.arange(7))[0]
    content = bytearray(tokens.shards[1].read_bytes())
    content[-5] ^= 0x10
    tokens.shards[1].unlink()
    tokens.shards[1].write_bytes({"flip": content, "cut": content[:-100], "empty": b""}[harm])
    again, seen = cached(tiny_model(), clips, tmp_path)
    assert seen == [3, 4, 5]
    assert "damaged" in caplog.text
    assert torch.equal(again.take(torch.arange(7))[0], before)


def test_the_key_changes_with_all_that_the_tokens_depend_on_and_with_nothing_else(clips, tmp_path, caplog):
    model = tiny_model()
    key = cache_key(model, clips, 1)
    other = tiny_model()
    with torch.no_grad():
        other.temporal.embedding.add_(1)
        other.text.position.add_(1)
    assert cache_key(other, clips, 1) == key
    with torch.no_grad():
        other.image.class_token[3] += 1e-3
    fewer = Clips.of_files(clips.manifest.subset(range(6)))
    changed = [cache_key(other, clips, 1), cache_key(model, clips, 2), cache_key(model, fewer, 1)]
    changed += [cache_key(tiny_model(frames=6), clips, 1), cache_key(tiny_model("mean"), clips, 1)]
    assert len({key, *changed}) == 6
    cached(model, clips, tmp_path)
    assert not caplog.records
    _, seen = cached(other, clips, tmp_path)
    assert seen == list(range(7))
    assert "other weights, settings or clips" in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        {"norm_eps": 1e-6},
        {"activation": "gelu"},
        {"preprocess": Preprocess(32, 37, interpolation="bilinear")},
        {"preprocess": Preprocess(32, 40)},
        {"preprocess": Preprocess(32, 37, mean=(0.5, 0.5, 0.5))},
        {"preprocess": Preprocess(32, 37, std=(0.5, 0.5, 0.5))},
        {"image": replace(tiny_config().image, heads=1)},
    ],
)
def test_the_key_changes_with_every_setting_of_the_image_tower_and_its_input(clips, change):
    one, other = tiny_model(), Claver(replace(tiny_config(), **change))
    other.load_state_dict(one.state_dict())
    assert cache_key(one, clips, 1) != cache_key(other, clips, 1)


def test_a_file_replaced_by_another_of_its_size_is_noticed_and_a_copied_dataset_is_not(clips, tmp_path):
    copied = tmp_path / "copied"
    copied.mkdir()
    for sample in clips.manifest.samples:
        content = (clips.manifest.root / sample.path).read_bytes()
        (copied / sample.path).write_bytes(content + bytes(300_000))  # longer than what is sampled
    same = Clips.of_files(Manifest(clips.manifest.classes, clips.manifest.samples, copied))
    model, longest = tiny_model(), (copied / "3.mp4").stat().st_size
    key = cache_key(model, same, 1)
    moved = copied.rename(tmp_path / "moved")
    there = Clips.of_files(Manifest(clips.manifest.classes, clips.manifest.samples, moved))
    assert cache_key(model, there, 1) == key
    for place in (40, longest // 2, longest - 1):
        content = bytearray((moved / "3.mp4").read_bytes())
        content[place] ^= 1
        (moved / "3.mp4").write_bytes(content)
        assert cache_key(model, there, 1) != key, place
        content[place] ^= 1
        (moved / "3.mp4").write_bytes(content)
    assert cache_key(model, there, 1) == key
    (moved / "3.mp4").unlink()
    assert cache_key(model, there, 1) != key


def test_members_of_shards_have_the_key_of_the_files(clips, tmp_path):
    write_shards(clips.manifest, tmp_path)
    assert cache_key(tiny_model(), open_clips(tmp_path), 1) == cache_key(tiny_model(), clips, 1)


def test_unverified_damage_goes_unnoticed_and_is_what_verifying_is_for(clips, tmp_path):
    tokens, _ = cached(tiny_model(), clips, tmp_path)
    content = bytearray(tokens.shards[1].read_bytes())
    content[-5] ^= 0x10
    tokens.shards[1].unlink()
    tokens.shards[1].write_bytes(content)
    assert cached(tiny_model(), clips, tmp_path, verify=False)[1] == []
    assert cached(tiny_model(), clips, tmp_path)[1] == [3, 4, 5]


def header(path: Path) -> dict[str, str]:
    """Key and checksum; the order of the entries in the file is left to chance by safetensors."""
    with safe_open(path, framework="pt") as file:
        return file.metadata()


@pytest.mark.slow
@pytest.mark.parametrize("present", [(), (0, 2)])
def test_two_processes_build_the_cache_of_one_and_share_what_is_left(clips, tmp_path, present):
    alone, _ = cached(tiny_model(), clips, tmp_path / "alone")
    for number in present:  # both of the first process's, had they been dealt out before looking
        shard = alone.shards[number]
        (tmp_path / "both" / shard.parent.name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "both" / shard.parent.name / shard.name).write_bytes(shard.read_bytes())
    module = "tests.training.caching"
    done = launch(tmp_path, 2, module=module, root=str(clips.manifest.root))
    assert done.returncode == 0, done.stderr
    made = sorted((tmp_path / "both").rglob("*.safetensors"))
    assert [path.name for path in made] == [path.name for path in alone.shards]
    assert [header(path) for path in made] == [header(path) for path in alone.shards]
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in made if not present)
    facts = [json.loads((tmp_path / f"facts-{rank}.json").read_text()) for rank in range(2)]
    assert [fact["seen"] for fact in facts] == ([[3, 4, 5], []] if present else [[0, 1, 2, 6], [3, 4, 5]])
    assert [fact["totals"] for fact in facts] == ([[3], []] if present else [[4], [3]])
    assert facts[0]["sum"] == facts[1]["sum"] == alone.take(torch.arange(7))[0].double().sum().item()


def test_unreadable_clips_are_left_out_and_said(clips, tmp_path, caplog):
    root = tmp_path / "clips"
    root.mkdir()
    for number in range(7):
        content = (clips.manifest.root / f"{number}.mp4").read_bytes()
        (root / f"{number}.mp4").write_bytes(b"broken" if number == 2 else content)
    broken = Clips.of_files(Manifest(clips.manifest.classes, clips.manifest.samples, root))
    tokens, _ = cached(tiny_model(), broken, tmp_path / "cache")
    assert tokens.rows.tolist() == [0, 1, 3, 4, 5, 6]
    assert tokens.take(torch.arange(6))[1].tolist() == np.delete(clips.labels, 2).tolist()
    assert "1 clips cannot be read" in caplog.text
    for number in (0, 4, 6):
        (root / f"{number}.mp4").write_bytes(b"broken too")
    with pytest.raises(ClaverError, match="class 'a' has no clip"):
        cached(tiny_model(), broken, tmp_path / "cache")


def test_a_folder_that_cannot_be_written_is_said(clips, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ClaverError, match="cannot write the cached tokens"):
        cached(tiny_model(), clips, tmp_path / "file")
