"""Name the action in a clip from a folder that `claver export` wrote, with numpy, PyAV and onnxruntime alone.

    python examples/onnx_only.py exported clip.mp4

The answers are those of `claver recognize clip.mp4 --model exported --unknown off`, but for the last digits. All frames
are held in memory, and turned pictures stay turned: it is a beginning, for clips of seconds.
"""

import json
import sys
from pathlib import Path

import av
import numpy as np
import onnxruntime


def read_tensors(path: Path) -> tuple[dict, dict]:
    """Tensors and metadata of a safetensors file: the length of a header, the header, and then the numbers."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    metadata, types, tensors = header.pop("__metadata__"), {"F32": np.float32, "I64": np.int64}, {}
    for name, told in header.items():
        first, last = (start + offset for offset in told["data_offsets"])
        tensors[name] = np.frombuffer(content[first:last], types[told["dtype"]]).reshape(told["shape"])
    return tensors, metadata


def read_frames(path: str, count: int) -> list[np.ndarray]:
    """The middle frame of each of `count` equal parts of a clip, RGB."""
    with av.open(path) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return [frames[int((part + 0.5) * len(frames) / count)] for part in range(count)]


def weights(size: int, wanted: int, cubic: bool) -> np.ndarray:
    """How much each of `size` pixels gives to each of `wanted`: antialiased, bicubic or bilinear."""
    scale = max(size / wanted, 1.0)
    centers = (np.arange(wanted) + 0.5) * size / wanted
    far = np.abs((np.arange(size) + 0.5 - centers[:, None]) / scale)
    curve = np.where(far < 1, 1.5 * far**3 - 2.5 * far**2 + 1, -0.5 * far**3 + 2.5 * far**2 - 4 * far + 2)
    found = np.where(far < 2, curve, 0) if cubic else np.maximum(1 - far, 0)
    return found / found.sum(1, keepdims=True)


def prepare(frame: np.ndarray, told: dict) -> np.ndarray:
    """Resize a frame and take its middle, uint8 [3, size, size]."""
    height, width = frame.shape[:2]
    short, size, squash = told["short_side"], told["size"], told.get("resize") == "squash"
    rows, columns = (short if squash else short * side // min(height, width) for side in (height, width))
    cubic = told["interpolation"] == "bicubic"
    half = np.einsum("oi,hic->hoc", weights(width, columns, cubic), frame).round().clip(0, 255)
    whole = np.einsum("oi,iwc->owc", weights(height, rows, cubic), half).round().clip(0, 255)
    place = int if told.get("center") == "floored" else round
    top, left = (place((side - size) / 2) for side in (rows, columns))
    return whole[top : top + size, left : left + size].astype(np.uint8).transpose(2, 0, 1)


def main(folder: Path, clip: str) -> None:
    """Print the best five actions."""
    told = json.loads((folder / "claver_export.json").read_text())
    if not told["takes_bytes"] or told["views"] != "1x1":
        sys.exit(f"{folder}: this example is for exports that take bytes, in one view (1x1)")
    tensors, metadata = read_tensors(folder / "actions.safetensors")
    frames = read_frames(clip, told["config"]["temporal"]["frames"])
    pixels = np.stack([prepare(frame, told["config"]["preprocess"]) for frame in frames])[None]
    session = onnxruntime.InferenceSession(folder / told["graphs"]["video"]["file"])
    _, embedding = session.run(None, {"pixels": pixels})
    unit = embedding[0] / np.linalg.norm(embedding[0])
    scores = np.exp(told["logit_scale"]) * tensors["prototypes"] @ unit
    rising, bias = np.exp(scores - scores.max()), told["logit_bias"]  # with SigLIP's bias, each text fits or not
    shares = rising / rising.sum() if bias is None else 1 / (1 + np.exp(-scores - bias))
    for index in np.argsort(-scores)[:5]:
        print(f"{shares[index]:6.1%}  {json.loads(metadata['actions'])[index]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
