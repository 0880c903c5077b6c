import numpy as np
import pytest
import torch

from claver.data import CenterCrop
from claver.errors import ClaverError
from claver.video import Preprocess


@pytest.mark.parametrize(("center", "top"), [("rounded", 4), ("floored", 3)])
def test_the_central_cut_is_that_of_the_preprocessing(center, top):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, 35, 40, 3), dtype=np.uint8)
    found = CenterCrop(28, center)(frames, rng)
    assert np.array_equal(found, frames[:, top : top + 28, 6:34])
    wanted = Preprocess(28, 35, center=center).crop(frames)[0]  # nothing is resized
    assert torch.equal(torch.from_numpy(found.copy()).movedim(-1, 1), wanted)


def test_frames_smaller_than_the_cut_are_said():
    with pytest.raises(ClaverError, match="a crop of 64 pixels does not fit into a picture of 32 × 40"):
        CenterCrop(64)(np.zeros((1, 32, 40, 3), np.uint8), np.random.default_rng(0))
