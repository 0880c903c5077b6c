"""`claver.load`: a model from wherever its weights are."""

from __future__ import annotations

from pathlib import Path

import torch

from claver.models.checkpoint.inferred import Heads
from claver.models.checkpoint.loading import PreprocessChoice, Weights, load_model
from claver.models.checkpoint.loading import load_weights as read_weights
from claver.models.claver import Claver
from claver.models.config import Activation, Aggregate, Temporal
from claver.precision import DtypeName
from claver.video.transforms import Preprocess


def load(
    source: str | Path,
    *,
    text: str | Path | None = None,
    temporal: Temporal | None = None,
    frames: int | None = None,
    aggregate: Aggregate | None = None,
    heads: Heads | None = None,
    activation: Activation | None = None,
    preprocess: PreprocessChoice | Preprocess | None = None,
    tokenizer: str | Path | None = None,
    device: str | torch.device | None = None,
    dtype: torch.dtype | DtypeName | None = None,
    revision: str | None = None,
    token: str | None = None,
) -> Claver:
    """Load a model, ready for use.

    Args:
        source: a Hugging Face id or folder (of CLIP, open_clip, MetaCLIP 2, SigLIP, SigLIP 2, AltCLIP, Chinese-CLIP or
            ours), an OpenAI `.pt`, a released CLAVER `.pth`, or a state dict of CLIP's or ours in `.pt`, `.bin` or
            `.safetensors`; with `text`, an image tower alone: of DINOv2, DINOv3, ViT, or a registered one.
        text: a Hugging Face id or folder of a sentence encoder, whose texts an image tower alone is joined with,
            through projections that are to be learned.
        temporal: how frames attend to each other; the checkpoint's own if None, `kmt` where it has none.
        frames: T of the temporal embedding; the checkpoint's own if None, else it is interpolated.
        aggregate: `paper` or `released` arithmetic; the checkpoint's own if None.
        heads: attention heads of the image tower, or of both as (image, text), for weights that come without a config
            and are of no published size; no shape tells them.
        activation: `gelu` or `quick_gelu`, for weights that come without a config; no shape tells it.
        preprocess: what is done to the pixels: `paper`, the short side at 256/224 of the crop, as the paper does for
            CLIP; `checkpoint`, what the checkpoint's own processor does, for CLIP the short side at the crop itself; or
            settings of your own. If None, `paper` for CLIP, the checkpoint's own for other families, and for a CLAVER
            model what it was trained with.
        tokenizer: where to find the tokenizer if not with the weights (see `find_tokenizer`).
        device: where to put the model.
        dtype: what to compute in, such as `torch.bfloat16` or `bfloat16`; `auto` takes bfloat16 where products in it
            are fast, else float32 (see `claver.precision.choose_dtype`).
        revision: branch, tag or commit of a Hugging Face id.
        token: access token of a Hugging Face id.

    Returns:
        The model in evaluation mode, with its tokenizer and, if it was trained here, what it has learned.

    Raises:
        CheckpointError: nothing there, or not a model that fits.
    """
    return load_model(
        Claver,
        source,
        text=text,
        temporal=temporal,
        frames=frames,
        aggregate=aggregate,
        heads=heads,
        activation=activation,
        preprocess=preprocess,
        tokenizer=tokenizer,
        device=device,
        dtype=dtype,
        revision=revision,
        token=token,
    )


def load_weights(
    source: str | Path,
    *,
    heads: Heads | None = None,
    activation: Activation | None = None,
    revision: str | None = None,
    token: str | None = None,
) -> Weights:
    """The weights alone of whatever `load` takes, under our names; arguments and errors as there."""
    return read_weights(Claver, source, heads=heads, activation=activation, revision=revision, token=token)
