"""Every value of every config replaced by everything odd: a config or one sentence, never another exception."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.tiny import tiny_config

from claver.errors import ClaverError
from claver.models import ClaverConfig
from claver.models.checkpoint.hugging_face import config_from_hugging_face, preprocess_from_hugging_face
from claver.models.checkpoint.open_clip import config_from_open_clip

ODD = [None, "x", "", -1, 0, 3, 1.5, 1e308, 2**70, True, [], {}, [1, 2], [None], [[1]], {"a": 1}]

PROCESSOR = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": 32},
    "crop_size": {"height": 32, "width": 32},
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
    "resample": 3,
    "do_resize": True,
    "do_center_crop": True,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "do_pad": False,
}
TOWER = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 2}
TOWER |= {"layer_norm_eps": 1e-5, "hidden_act": "gelu"}
HUGGING_FACE = {
    "projection_dim": 32,
    "vision_config": TOWER | {"image_size": 32, "patch_size": 8},
    "text_config": TOWER | {"vocab_size": 100, "max_position_embeddings": 16, "eos_token_id": 99},
    "vision_config_dict": None,
}
OPEN_CLIP = {
    "model_cfg": {
        "embed_dim": 32,
        "quick_gelu": True,
        "init_logit_bias": None,
        "vision_cfg": {
            "image_size": 32,
            "layers": 2,
            "width": 64,
            "head_width": 32,
            "patch_size": 8,
            "mlp_ratio": 4.0,
            "pool_type": "tok",
            "norm_kwargs": {"eps": 1e-5},
        },
        "text_cfg": {"context_length": 16, "vocab_size": 100, "width": 64, "heads": 2, "layers": 2, "eos_id": None}
        | {"pool_type": "argmax", "mlp_ratio": 4.0, "norm_kwargs": {"eps": 1e-5}},
    },
    "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic"}
    | {"resize_mode": "shortest", "mode": "RGB", "size": 32},
}


def replaced(values: Any, odd: Any) -> Iterator[Any]:
    """The values with one of them, at whatever depth, replaced."""
    for key, value in values.items():
        yield values | {key: copy.deepcopy(odd)}
        if isinstance(value, dict):
            yield from (values | {key: inner} for inner in replaced(value, odd))


@pytest.mark.parametrize(
    ("read", "values"),
    [
        (ClaverConfig.from_dict, json.loads(json.dumps(tiny_config().to_dict()))),
        (config_from_hugging_face, HUGGING_FACE),
        (config_from_open_clip, OPEN_CLIP),
        (lambda values: preprocess_from_hugging_face(values, 32), PROCESSOR),
    ],
    ids=["claver", "transformers", "open_clip", "processor"],
)
def test_odd_values(read: Callable[[Any], Any], values: dict[str, Any]) -> None:
    assert read(values)
    refusals = []
    for odd in ODD:
        for changed in replaced(values, odd):
            try:
                read(changed)
            except ClaverError as error:
                refusals.append(str(error))
    assert len(refusals) > 50
    assert not [told for told in refusals if "\n" in told]
