"""New video files, one per verb: written, recognised from the file, and drawn."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from claver.data.motion import VERBS, render_clips, write_clip
from claver.prediction import Prediction
from claver.models import Claver
from claver.quickstart.picture import draw_picture
from claver.quickstart.stages import verb_class_texts
from claver.recognizer import Recognizer

PICTURE = "quickstart.png"
_FRAMES, _SIZE = 24, 128  # of the files: more and larger than what the model was trained on


def show_videos(model: Claver, output: Path, console: Console, *, seed: int) -> list[Prediction]:
    """Write an MP4 per verb from a split nothing was trained or measured on, recognise each, draw them all."""
    files = write_videos(output / "clips", seed=seed)
    recognizer = Recognizer(model, actions=verb_class_texts())
    predictions = [recognizer(path) for path in files.values()]
    right = sum(p.action == verb for p, verb in zip(predictions, files, strict=True))
    shown = predictions[4]
    answers = ", ".join(f"{answer.action} {answer.probability:.0%}" for answer in shown.top(3))
    console.print(f"Recognised from new files: {right} of {len(files)} right. {shown.source}: {answers}", soft_wrap=True)
    draw_picture(list(files), predictions, output / PICTURE)
    console.print(f"Frames and answers: {output / PICTURE}", soft_wrap=True)
    return predictions


def write_videos(folder: Path, *, seed: int) -> dict[str, Path]:
    """`grows.mp4`, `moves_left.mp4`, …: the first clip of each verb in the validation split."""
    numbers = [number + len(VERBS) * (number // 2) for number in range(len(VERBS))]  # another scene for each pair
    clips = render_clips(numbers, split="validation", seed=seed, frames=_FRAMES, size=_SIZE)
    names = [VERBS[label].name for label in clips.labels]
    return {
        name: write_clip(folder / f"{name.replace(' ', '_')}.mp4", frames)
        for name, frames in zip(names, clips.frames, strict=True)
    }
