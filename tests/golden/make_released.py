"""Make `released_small.safetensors` of the whole file of numbers that the released code computed on random weights.

    python tests/golden/make_released.py official_small.safetensors

The image tower's blocks, half of that file, give way to what they compute: its raw tokens, by CLIP's plain formulas in
double precision. The rest is kept as it is; of the gradient of the temporal tower's large matrix, every 16th row.
"""

import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

TARGET = Path(__file__).with_name("released_small.safetensors")
BLOCKS = "state.visual.transformer.resblocks."


def image_tokens(values: dict[str, Tensor]) -> Tensor:
    """Raw tokens of every frame [B, T, N, D], by CLIP's image tower, 64 channels a head."""
    own = {key.removeprefix("state.visual."): value.double() for key, value in values.items() if "visual" in key}
    video = values["in.video"].double()
    patches = F.conv2d(video.flatten(0, 1), own["conv1.weight"], stride=own["conv1.weight"].shape[-1])
    classes = own["class_embedding"].expand(len(patches), 1, -1)
    x = torch.cat([classes, patches.flatten(2).mT], 1) + own["positional_embedding"]
    x = norm(own, "ln_pre", x)
    for number in range(1 + max(int(key[len(BLOCKS)]) for key in values if key.startswith(BLOCKS))):
        block = f"transformer.resblocks.{number}."
        x = x + attention(own, f"{block}attn.", norm(own, f"{block}ln_1", x))
        hidden = linear(own, f"{block}mlp.c_fc.", norm(own, f"{block}ln_2", x))
        x = x + linear(own, f"{block}mlp.c_proj.", hidden * torch.sigmoid(1.702 * hidden))
    return x.float().unflatten(0, video.shape[:2]).contiguous()


def norm(own: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], own[f"{name}.weight"], own[f"{name}.bias"])


def linear(own: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return x @ own[f"{name}weight"].T + own[f"{name}bias"]


def attention(own: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    joined = x @ own[f"{name}in_proj_weight"].T + own[f"{name}in_proj_bias"]
    q, k, v = joined.unflatten(-1, (3, -1, 64)).permute(2, 0, 3, 1, 4)
    weights = (q @ k.mT / 8).softmax(-1)
    return linear(own, f"{name}out_proj.", (weights @ v).transpose(1, 2).flatten(2))


def main(source: str) -> None:
    with safe_open(source, "pt") as file:
        metadata = file.metadata()
        values = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dictionary)
    kept = {key: value for key, value in values.items() if not key.startswith(BLOCKS) and key != "in.video"}
    kept["in.image_tokens"] = image_tokens(values)
    for key in kept:
        if key.endswith("temporal_in_proj"):
            kept[key] = kept[key][::16].contiguous()
    save_file(kept, TARGET, metadata)
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
