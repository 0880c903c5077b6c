"""The study of real clips, on numbers that stand for their tokens."""

import itertools
from pathlib import Path

import pytest
import torch
from tests.videos import write_video
from torch import nn

from claver.errors import ClaverError
from claver.studies import real_clips, real_weights
from claver.studies.real_clips import SEQUENCES, TEXTS, WIDTH, RealClips, read_names, texts_of
from claver.studies.real_weights import STUDY, compared, sign_flip
from claver.studies.study import Options, Record


@pytest.fixture
def clips() -> RealClips:
    """A clip of each action in each sequence, mirrored or not, in two samplings."""
    torch.manual_seed(0)
    labels, sequences = (torch.tensor(own) for own in zip(*itertools.product(range(6), SEQUENCES), strict=True))
    tokens = torch.randn(60, 2, 2, 8, 5, 2 * WIDTH) + torch.randn(6, 2 * WIDTH)[labels][:, None, None, None, None]
    return RealClips(tokens, labels, sequences)


def test_signs_are_flipped_in_all_ways() -> None:
    assert sign_flip([1.0, 2.0, 3.0]) == 2 / 8  # only all as they are, and all flipped, are as far from zero
    assert sign_flip([1.0, -1.0]) == 1
    assert sign_flip([0.0] * 4) == 1
    assert sign_flip([1.0] * 10) == pytest.approx(2 / 1024)


@pytest.mark.parametrize("kind", ["names", "sentences"])
def test_every_class_has_as_many_texts(kind: str) -> None:
    for backwards in (False, True):
        said = texts_of(kind, backwards=backwards)
        assert len(said) == len(TEXTS) * (2 if backwards else 1)
        assert {len(own) for own in said.values()} == {1 if kind == "names" else 4}
        assert len({text for own in said.values() for text in own}) == sum(map(len, said.values()))


def test_a_fold_leaves_one_sequence_out_and_its_directions_are_of_the_others(clips: RealClips) -> None:
    fold = clips.fold(3)
    assert fold.train.shape == (54 * 4, 8, 5, WIDTH)
    assert fold.test.shape == (6, 2, 8, 5, WIDTH)
    assert fold.wanted.tolist() == list(range(6))
    spread = fold.train[:, :, 0].flatten(0, 1).var(0)
    assert bool((spread.diff() < 1e-3).all())  # the widest first
    other = RealClips(clips.tokens.clone(), clips.labels, clips.sequences)
    other.tokens[other.sequences == 3] += 5
    torch.testing.assert_close(other.fold(3).train, fold.train)
    assert torch.equal(fold.labels.bincount(), torch.full((6,), 36))  # nine sequences, mirrored or not, two samplings
    both = fold.both_ways()
    assert both.wanted.tolist() == list(range(12))
    torch.testing.assert_close(both.test[6:], fold.test.flip(2))
    torch.testing.assert_close(both.train[: 54 * 4], fold.train)
    torch.testing.assert_close(both.train[54 * 4 :], fold.train.flip(1))
    assert torch.equal(both.labels, torch.cat([fold.labels, fold.labels + 6]))


def test_kinds_are_compared_fold_by_fold_each_the_mean_of_its_seeds() -> None:
    """Means of the seeds differ by 1, 2 and 3 of a hundred: of eight ways to choose signs two are as far from zero."""
    where = {"texts": "names", "backwards": False}
    shares = {"mean": ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]), "kmt": ([0.50, 0.50, 0.50], [0.52, 0.54, 0.56])}
    records = [
        Record({**where, "kind": kind, "seed": seed}, {"folds": folds})
        for kind, seeds in shares.items()
        for seed, folds in enumerate(seeds)
    ]
    assert compared(records, "kmt", where) == 2 / 8
    assert compared(records[:-1], "kmt", where) is None
    assert compared(records, "kmt", {**where, "backwards": True}) is None


def test_a_run_on_other_clips_is_another(tmp_path: Path) -> None:
    for number, action in enumerate(TEXTS):
        (tmp_path / action.replace(" ", "_")).mkdir()
        for sequence in SEQUENCES:
            (tmp_path / action.replace(" ", "_") / f"set1_{number}_{sequence}_0.avi").write_bytes(b"clip")
    own = STUDY.runs(Options(quick=True, seeds=(0,), data=tmp_path))[0]

    def known() -> str:
        real_clips._contents_of.cache_clear()  # read once in a process
        return STUDY.made_of(own)

    before = known()
    (tmp_path / "kicking" / "set1_2_1_0.avi").write_bytes(b"another")
    changed = known()
    (tmp_path / "hand_shaking").rename(tmp_path / "away")
    (tmp_path / "hugging").rename(tmp_path / "hand_shaking")
    (tmp_path / "away").rename(tmp_path / "hugging")
    assert len({before, changed, known()}) == 3


def test_the_study_from_its_runs_to_its_picture(
    clips: RealClips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folds = tuple(clips.fold(sequence) for sequence in SEQUENCES[:2])
    monkeypatch.setattr(real_weights, "read_names", lambda folder: ([], torch.zeros(0), torch.zeros(0)))
    monkeypatch.setattr(real_weights, "folds_of", lambda folder, cache, whole: folds)
    monkeypatch.setattr(real_weights, "sentence_vectors", lambda said, cache: torch.eye(len(said), 16)[None])
    settings = STUDY.runs(Options(quick=True, seeds=(0,), data=tmp_path))
    assert len(settings) == 7 * 2 * 2
    assert STUDY.made_of(settings[0]) != STUDY.made_of(settings[-1])
    records = [Record(own, STUDY.run(own, tmp_path)) for own in settings]
    again = STUDY.run(settings[-1], tmp_path)
    assert again == records[-1].figures
    assert len(again["folds"]) == 2
    pooled = next(r for r in records if r.settings["kind"] == "mean" and r.settings["backwards"])
    assert pooled.figures["within_pair"] == 0.5  # it cannot know the direction
    table = STUDY.table(records).markdown()
    assert "quick, one seed" in table
    assert "KMTA" in table
    pytest.importorskip("matplotlib", reason="matplotlib (extra explain) is not installed")
    STUDY.draw(records, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


class Blind(nn.Module):
    """Stands for the image tower: 50 tokens a frame, all alike."""

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(frames), 50, 1280)


def test_a_damaged_clip_is_refused(tmp_path: Path) -> None:
    whole, cut = write_video(tmp_path / "whole.mkv", frames=60), tmp_path / "cut.mkv"
    assert real_clips._tokens(Blind(), str(whole), True).shape == (2, 2, 8, 5, 1280)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 3 // 4])
    with pytest.raises(ClaverError, match=r"cut\.mkv is damaged \(.*\); a study wants sound clips"):
        real_clips._tokens(Blind(), str(cut), True)


def test_what_is_no_ut_interaction_is_said(tmp_path: Path) -> None:
    with pytest.raises(ClaverError, match="there is no folder"):
        read_names(tmp_path / "none")
    for action in TEXTS:
        (tmp_path / action).mkdir()
        (tmp_path / action / "clip.avi").write_bytes(b"")
    with pytest.raises(ClaverError, match=r"clip\.avi should be named set1_NUMBER_SEQUENCE_CLASS"):
        read_names(tmp_path)
    for action in TEXTS:
        (tmp_path / action / "clip.avi").rename(tmp_path / action / "set1_1_1_1.avi")
    with pytest.raises(ClaverError, match="has no clip of sequence 2"):
        read_names(tmp_path)
    with pytest.raises(ClaverError, match="needs --data"):
        real_weights.check(Options())
    assert tuple(range(1, 11)) == real_clips.SEQUENCES
