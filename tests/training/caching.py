"""One of several processes that build a token cache together; started by torchrun."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from tests.tiny import tiny_model

from claver.data import Clips, Manifest, Sample
from claver.distributed import join, leave, rank_and_size
from claver.training.token_cache import cache_clips


def main(folder: Path, root: Path) -> None:
    torch.set_num_threads(1)
    join()
    clips = Clips.of_files(Manifest(("a", "b"), tuple(Sample(f"{n}.mp4", n % 2) for n in range(7)), root))
    told: list[tuple[int, int]] = []
    tokens = cache_clips(
        tiny_model(), clips, folder / "both", clips_per_shard=3, on_clip=lambda row, total: told.append((row, total))
    )
    facts = {"seen": [row for row, _ in told], "totals": sorted({total for _, total in told})}
    facts["sum"] = tokens.take(torch.arange(7))[0].double().sum().item()
    (folder / f"facts-{rank_and_size()[0]}.json").write_text(json.dumps(facts))
    leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(json.loads(sys.argv[2])["root"]))
