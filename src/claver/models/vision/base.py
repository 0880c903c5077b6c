"""What an image tower is to the rest of the model."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from claver.models.block import Run, run_block


class VisionTower(nn.Module, ABC):
    """Frames to tokens, every frame by itself (Eq. 1), and from tokens to the joint space.

    The first token of a frame is its summary: what stands for the frame where nothing else is read (CLIP's class token,
    the pooled output of towers without one). Nobody outside needs to know how it is made.

    Attributes:
        prefix: tokens of a frame that are no patch; they come first, the summary before all others.
        explainable: whether `run` sees everything that moves one token's contents to another.
    """

    prefix: int = 1
    explainable: bool = True

    @abstractmethod
    def forward(self, frames_FCHW: Tensor, *, summary_only: bool = False, run: Run = run_block) -> Tensor:
        """Frames to the raw tokens of the last block.

        Args:
            frames_FCHW: any number of frames, normalised pixels.
            summary_only: compute no more than the summary of each frame needs.
            run: runs each block.

        Returns:
            [F, N, D], the summary first; [F, 1, D] with `summary_only`.
        """

    @abstractmethod
    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of patches of a frame of so many pixels; N is their product and the prefix."""

    @abstractmethod
    def make_readout(self) -> nn.Module:
        """A new module from the temporal tower's output to the joint space, [..., D] to [..., E]."""
