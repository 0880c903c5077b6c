"""New video files, one per verb: written, recognised from the file, and drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from claver.inference.recognizer import Recognizer
from claver.models import Claver
from claver.motion.rendering import VERBS, render_clips, write_clip
from claver.motion.stages import verb_class_texts
from claver.quickstart.picture import Shown, draw_picture

PICTURE = "quickstart.png"
_FRAMES, _SIZE = 24, 128  # of the files: more and larger than what the model was trained on


def show_videos(model: Claver, output: Path, console: Console, *, seed: int) -> list[Shown]:
    """Write an MP4 per verb from a split nothing was trained or measured on, recognise each file, draw them all."""
    recognizer = Recognizer(model, actions=verb_class_texts(), unknown=False)
    shown = []
    for verb, frames in fresh_clips(seed).items():
        path = write_clip(output / "clips" / f"{verb.replace(' ', '_')}.mp4", frames)
        shown.append(Shown(verb, frames, recognizer(path).top(3)))
        if verb == "grows":
            answers = ", ".join(f"{answer.action} {answer.probability:.0%}" for answer in shown[-1].answers)
            console.print(f"{path}: {answers}", soft_wrap=True, highlight=False)
    right = sum(clip.answers[0].action == clip.verb for clip in shown)
    console.print(f"Recognised from new video files: {right} of {len(shown)} right.", highlight=False)
    picture = draw_picture(shown, output / PICTURE)
    console.print(f"Frames and answers: {picture}", soft_wrap=True, highlight=False)
    return shown


def fresh_clips(seed: int) -> dict[str, NDArray[np.uint8]]:
    """A clip [T, H, W, 3] of each verb, each pair with a scene of its own."""
    numbers = [number + len(VERBS) * (number // 2) for number in range(len(VERBS))]
    clips = render_clips(numbers, split="validation", seed=seed, frames=_FRAMES, size=_SIZE)
    return {VERBS[label].name: frames for label, frames in zip(clips.labels, clips.frames, strict=True)}
