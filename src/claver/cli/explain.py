"""`claver explain`: why a clip got its score, as a page, a picture, a video or numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from claver.cli.formats import check_apart
from claver.cli.inputs import given_actions
from claver.cli.model import (
    DeviceOption,
    DtypeOption,
    FramesOption,
    ModelOption,
    PreprocessOption,
    TemporalOption,
    open_model,
)
from claver.files import only_writer
from claver.terminal import say, shown

EPILOG = """
[bold]Examples[/]

claver explain clip.mp4 --action "moves left" --against "moves right" --model runs/quickstart/kmct --output why.html\n
claver explain clip.mp4 --action "surfing water" --model MODEL --actions kinetics400 --output why/\n
claver explain clip.mp4 --action "a man surfs a wave" --model MODEL --output why.mp4
"""

ActionOption = Annotated[str, typer.Option(help="What to explain: an action of the list, or any text.")]
AgainstOption = Annotated[
    str | None, typer.Option(help="Another action or text: explain why the first scores higher than this one.")
]
ActionsOption = Annotated[
    str | None,
    typer.Option(
        help="The actions that compete, as in claver recognize: words, a .txt, a .csv, a manifest, or a benchmark's "
        "name. If not given, those that the model was trained on; where it has none, only what is explained."
    ),
]
OutputOption = Annotated[
    Path, typer.Option(help="A page .html, a picture .png, a video .mp4, numbers .json, or a folder for all of them.")
]


def explain(
    clip: Annotated[str, typer.Argument(metavar="CLIP", show_default=False, help="The video.")],
    action: ActionOption,
    against: AgainstOption = None,
    actions: ActionsOption = None,
    model: ModelOption = None,
    temporal: TemporalOption = None,
    frames: FramesOption = None,
    preprocess: PreprocessOption = None,
    output: OutputOption = Path("explain.html"),
    device: DeviceOption = None,
    dtype: DtypeOption = "float32",
) -> None:
    """See why: which words, moments and places made the score of an action.

    Relevance is propagated through every attention layer of both towers (Chefer et al. 2021).
    """
    from claver.explain.explanation import check_actions
    from claver.explain.explanation import explain as explain_clip
    from claver.explain.render.saving import check_target
    from claver.explain.render.summary import summary
    from claver.inference.recognizer import Recognizer
    from claver.text import read_actions

    # Cheap mistakes first, before weights are read.
    named = check_actions(action, against)
    check_target(output)
    check_apart((output,), (clip, actions))
    competing = None if actions is None else read_actions(given_actions(actions))
    loaded = open_model(model, temporal=temporal, frames=frames, device=device, dtype=dtype, preprocess=preprocess)
    if competing is None and loaded.learned is None:
        competing = read_actions({name: [name] for name in named})
    with only_writer(output):
        explanation = explain_clip(Recognizer(loaded, competing, frames=frames, unknown=False), clip, action, against)
        path = explanation.save(output)
    say(f"{summary(explanation)}\n{shown(str(path))}")
