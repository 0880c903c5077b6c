"""The motion dataset: reversed pairs exactly, nothing leaks, and words agree with pixels."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from claver.errors import ClaverError
from claver.motion.drawing import _PALETTE
from claver.motion.rendering import (
    COLOURS,
    SHAPES,
    SIZES,
    STATES,
    VERBS,
    MotionDataset,
    Pose,
    render_clips,
    render_stills,
    verb_names,
    verb_pair,
)

SIZE = 48


@pytest.fixture(scope="module")
def clips():
    return render_clips(range(480), split="train", size=SIZE)


def saturated(images):
    """Pixels [..., H, W] of a named colour; backgrounds and the white tip are nearly grey."""
    pixels = images.astype(np.int64)
    return (pixels.max(-1) - pixels.min(-1)) > 90


def centroid(mask):
    """(x, y) of a mask [..., H, W] in frame sides."""
    weight = mask / np.maximum(mask.sum((-2, -1), keepdims=True), 1)
    centers = (np.arange(mask.shape[-1]) + 0.5) / mask.shape[-1]
    return (weight.sum(-2) * centers).sum(-1), (weight.sum(-1) * centers).sum(-1)


def of_verb(clips, name):
    return np.flatnonzero(clips.labels == verb_names().index(name))


def test_twelve_verbs_in_pairs_of_mutual_reverses():
    names = verb_names()
    assert len(set(names)) == 12
    for first, second in zip(VERBS[::2], VERBS[1::2], strict=True):
        assert (first.reverse, second.reverse) == (second.name, first.name)
        assert first.path is second.path
        assert first.backwards != second.backwards


@pytest.mark.parametrize("verb", VERBS, ids=verb_names())
def test_the_reverse_verb_shows_exactly_the_same_frames_backwards(verb):
    options = {"split": "test", "size": 32, "frames": 9}
    there = render_clips(range(20), verbs=[verb], **options)
    back = render_clips(range(20), verbs=[verb.reverse], **options)
    np.testing.assert_array_equal(there.frames, back.frames[:, ::-1])
    assert not np.array_equal(there.frames, back.frames)


def test_mean_over_frames_cannot_tell_the_clips_of_a_pair_apart(clips):
    total = clips.frames.astype(np.int64).sum(1)
    np.testing.assert_array_equal(total[0::2], total[1::2])
    assert (clips.labels[0::2] != clips.labels[1::2]).all()


def test_every_frame_set_is_shared_by_both_labels_so_pooling_is_right_at_most_half(clips):
    """Even the best answers to the unordered frames, found by looking at the labels, are right half the time."""
    answers = {}
    for frames, label in zip(clips.frames, clips.labels, strict=True):
        answers.setdefault(frozenset(frame.tobytes() for frame in frames), []).append(label)
    right = sum(max(labels.count(k) for k in set(labels)) for labels in answers.values())
    assert right == len(clips.labels) // 2


def test_labels_are_balanced_and_nouns_spread(clips):
    assert set(np.bincount(clips.labels)) == {40}
    for values, names in ((clips.shapes, SHAPES), (clips.colours, COLOURS), (clips.sizes, SIZES)):
        counts = np.bincount(values, minlength=len(names))
        assert counts.min() > 0.4 * counts.mean()


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=9), st.sampled_from(["train", "validation", "test"]))
def test_a_clip_does_not_depend_on_its_batch(indices, split):
    together = render_clips(indices, split=split, frames=4, size=17)
    for position, index in enumerate(indices):
        alone = render_clips([index], split=split, frames=4, size=17)
        np.testing.assert_array_equal(alone.frames[0], together.frames[position])
        assert alone.captions[0] == together.captions[position]
        assert alone.labels[0] == together.labels[position] == index % 12


def test_a_still_does_not_depend_on_its_batch():
    together = render_stills(range(50), split="train")
    for i in (0, 7, 49):
        alone = render_stills([i], split="train")
        np.testing.assert_array_equal(alone.images[0], together.images[i])
        assert alone.captions[0] == together.captions[i]


def test_scenes_differ_between_splits_seeds_and_numbers():
    wanted = [("train", 0), ("validation", 0), ("test", 0), ("train", 1), ("train", -1)]
    clips = [render_clips(range(0, 600, 2), split=split, seed=seed) for split, seed in wanted]
    first_frames = {frames[:1].tobytes() for group in clips for frames in group.frames}
    assert len(first_frames) == 300 * len(wanted)


def test_eight_segment_centres_of_24_frames_are_the_8_frame_clip():
    short = render_clips(range(12), split="train", frames=8)
    long = render_clips(range(12), split="train", frames=24)
    difference = short.frames.astype(int) - long.frames[:, 1::3]
    assert np.abs(difference).max() <= 1  # the last bit of a float may round the other way


def test_a_scene_is_the_same_at_any_resolution():
    small = render_clips(range(48), split="train", size=32).frames.astype(np.float32)
    large = render_clips(range(48), split="train", size=128).frames.astype(np.float32)
    shrunk = large.reshape(48, 8, 32, 4, 32, 4, 3).mean((3, 5))
    assert np.abs(small - shrunk).mean() < 1.5


@pytest.mark.parametrize("verb", VERBS, ids=verb_names())
def test_motion_is_visible_in_every_clip_at_32_pixels(verb):
    frames = render_clips(range(100), split="train", verbs=[verb]).frames.astype(np.int64)
    step = np.abs(np.diff(frames, axis=1)).max(-1)
    changed = (np.abs(frames[:, 0] - frames[:, -1]).max(-1) > 24).sum((1, 2))
    assert (step.max((1, 2, 3)) > 12).all()
    if not verb.name.startswith(("spins", "circles")):  # a full turn ends where it began
        assert (changed > 8).all()


def test_travel_covers_at_least_two_fifths_of_the_frame_in_the_named_direction(clips):
    for name, axis, sign in (("moves left", 0, -1), ("moves right", 0, 1), ("rises", 1, -1), ("sinks", 1, 1)):
        where = centroid(saturated(clips.frames[of_verb(clips, name)]))
        way = sign * (where[axis][:, -1] - where[axis][:, 0])
        assert (way > 0.4).all(), name
        assert (np.abs(where[1 - axis][:, -1] - where[1 - axis][:, 0]) < 0.05).all(), name


def test_growing_shapes_grow_and_appearing_ones_appear(clips):
    area = saturated(clips.frames).sum((-2, -1))
    for name, sign in (("grows", 1), ("shrinks", -1), ("appears", 1), ("vanishes", -1)):
        first, last = area[of_verb(clips, name)][:, :: sign * 7].T
        assert (last > 3 * first).all(), name


def turned(x, y):
    """Steps in radians, clockwise positive, of points [B, T] around the origin (y downwards)."""
    angle = np.arctan2(y, x)
    return (np.diff(angle, axis=1) + np.pi) % (2 * np.pi) - np.pi


def test_circling_turns_the_named_way_by_unambiguous_steps(clips):
    for name, sign in (("circles clockwise", 1), ("circles counter-clockwise", -1)):
        x, y = centroid(saturated(clips.frames[of_verb(clips, name)]))
        steps = sign * turned(x - 0.5, y - 0.5)
        assert (steps > 0.4).all(), name
        assert (steps < 1.4).all(), name


def test_spinning_turns_the_white_tip_the_named_way(clips):
    big = render_clips(range(480), split="train", size=96)
    for name, sign in (("spins clockwise", 1), ("spins counter-clockwise", -1)):
        frames = big.frames[of_verb(big, name)]
        body, tip = centroid(saturated(frames)), centroid(frames.min(-1) > 190)
        steps = sign * turned(tip[0] - body[0], tip[1] - body[1])
        assert (steps > 0.4).all(), name
        assert (steps < 1.4).all(), name


def nearest_colours(images):
    """The named colour nearest to the median saturated pixel of each image."""
    found = []
    for image in images:
        pixel = np.median(image[saturated(image)], axis=0) / 255
        found.append(int(np.abs(_PALETTE - pixel).sum(1).argmin()))
    return np.array(found)


def test_clips_and_captions_name_the_colour_that_is_seen(clips):
    moving = np.flatnonzero(clips.labels < 4)
    np.testing.assert_array_equal(nearest_colours(clips.frames[moving, 3]), clips.colours[moving])
    for i, caption in enumerate(clips.captions):
        verb = VERBS[clips.labels[i]]
        assert f"{COLOURS[clips.colours[i]]} {SHAPES[clips.shapes[i]]}" in caption
        assert any(caption.endswith(phrase) for phrase in (verb.name, *verb.phrases))
        assert any(size in caption.split() for size in SIZES) != verb.changes_size
        assert " a orange" not in f" {caption}"


def test_captions_come_in_many_phrasings(clips):
    assert len({c.split(COLOURS[k])[0] for c, k in zip(clips.captions, clips.colours, strict=True)}) > 6


def test_stills_agree_with_every_state_that_their_caption_names():
    stills = render_stills(range(800), split="train", size=96)
    state = {name: np.array(STATES[name])[values] for name, values in stills.states.items()}
    for i, caption in enumerate(stills.captions):
        words = f" {caption.replace(',', '')} "
        assert all(f" {values[i]} " in words for values in state.values()), caption
    clear = state["opacity"] == "clear"
    np.testing.assert_array_equal(nearest_colours(stills.images[clear]), stills.states["colour"][clear])
    x, y = centroid(saturated(stills.images))
    whole = clear & np.isin(state["size"], ["tiny", "small", "large"])
    for word, axis in (("left", x), ("top", y)):
        named = whole & (np.char.find(state["place"], word) >= 0)
        assert axis[named].max() < 0.42
    for word, axis in (("right", x), ("bottom", y)):
        named = whole & (np.char.find(state["place"], word) >= 0)
        assert axis[named].min() > 0.58
    area = saturated(stills.images).mean((-2, -1))
    typical = [np.median(area[clear & (state["size"] == size)]) for size in STATES["size"]]
    assert all(later > 1.8 * earlier for earlier, later in pairwise(typical))


def test_the_white_tip_points_where_the_caption_says():
    stills = render_stills(range(800), split="validation", size=96)
    place, sizes = stills.states["place"], np.array(STATES["size"])[stills.states["size"]]
    chosen = (stills.states["opacity"] == 2) & (place == 4) & np.isin(sizes, ["small", "large", "huge"])
    images = stills.images[chosen]
    body, tip = centroid(saturated(images)), centroid(images.min(-1) > 190)
    clockwise_from_up = np.arctan2(tip[0] - body[0], -(tip[1] - body[1])) / (np.pi / 4)
    np.testing.assert_array_equal(np.round(clockwise_from_up) % 8, stills.states["direction"][chosen])
    assert chosen.sum() > 10


def test_a_new_verb_takes_one_line_and_comes_with_its_reverse():
    pair = verb_pair(["climbs"], ["descends"], lambda u, rng: Pose(x=0.2 + 0.6 * u, y=0.8 - 0.6 * u))
    clips = render_clips(range(8), split="test", verbs=pair)
    x, y = centroid(saturated(clips.frames))
    np.testing.assert_array_equal(clips.frames[0::2], clips.frames[1::2, ::-1])
    assert (x[0::2, -1] > x[0::2, 0]).all()
    assert (y[0::2, -1] < y[0::2, 0]).all()
    assert clips.captions[0].endswith("climbs")


def test_dataset_items_and_batches_are_the_rendered_clips():
    dataset = MotionDataset("validation", 30, seed=3)
    expected = render_clips(range(30), split="validation", seed=3)
    video, label = dataset[7]
    assert (video.dtype, video.shape, label) == (torch.uint8, (8, 32, 32, 3), 7)
    assert torch.equal(dataset[-1][0], dataset[29][0])
    videos, labels = next(iter(torch.utils.data.DataLoader(dataset, batch_size=30)))
    np.testing.assert_array_equal(videos.numpy(), expected.frames)
    np.testing.assert_array_equal(labels.numpy(), expected.labels)
    assert len(dataset) == len(list(dataset)) == 30


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"split": "trian"}, "did you mean 'train'"),
        ({"size": 15}, "at least 16 pixels, not 15"),
        ({"frames": 1}, "at least 2 frames, not 1"),
        ({"verbs": ["moves leftt"]}, "did you mean 'moves left'"),
        ({"verbs": []}, "at least one verb"),
        ({"indices": [-1]}, "none negative"),
        ({"indices": []}, "at least one"),
    ],
)
def test_bad_input_is_one_sentence(wrong, message):
    arguments = {"indices": [0], "split": "train"} | wrong
    with pytest.raises(ClaverError, match=message) as error:
        render_clips(arguments.pop("indices"), **arguments)
    assert "\n" not in str(error.value)


def test_dataset_refuses_bad_settings_when_made():
    with pytest.raises(ClaverError, match="length"):
        MotionDataset("train", 0)
    with pytest.raises(ClaverError, match="split"):
        MotionDataset("tests?", 10)
    with pytest.raises(IndexError):
        MotionDataset("train", 4)[4]
