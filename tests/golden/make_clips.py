"""Make the clips of `clips/` and their `INDEX.tsv` anew, with the ffmpeg program (5 or newer).

    python tests/golden/make_clips.py

Every frame shows its number as a bar code of 12 bits, the lowest first, in the upper half of the picture.
"""

import json
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

FOLDER = Path(__file__).with_name("clips")
FRAMES, HEIGHT, WIDTH, RATE = 24, 96, 192, 25
X264 = "-c:v libx264 -bf 3 -g 12 -crf 30 -pix_fmt yuv420p"
X265 = "-c:v libx265 -pix_fmt yuv420p -x265-params bframes=3:keyint=12:crf=32:log-level=none"

# What FFmpeg is told, for every clip of all frames as they are.
ENCODED = {
    "h264.mp4": X264,
    "h264_faststart.mp4": f"{X264} -movflags faststart",
    "h264_fragmented.mp4": f"{X264} -movflags frag_keyframe+empty_moov",
    "h264_open_gop.mkv": f"{X264} -x264-params open-gop=1",
    "h264_full_range.mp4": "-vf scale=out_range=full:out_color_matrix=bt709 -c:v libx264 -crf 30 -pix_fmt yuvj420p "
    "-color_range pc -colorspace bt709",
    "h264_ten_bits.mkv": f"{X264} -pix_fmt yuv420p10le",
    "h264.ts": X264,
    "h264.flv": X264,
    "hevc.mp4": f"{X265} -tag:v hvc1",
    "hevc.mkv": X265,
    "vp8.webm": "-c:v libvpx -crf 40 -b:v 100k -g 12",
    "vp9.webm": "-c:v libvpx-vp9 -crf 45 -b:v 0 -g 12",
    "av1.mkv": "-c:v libaom-av1 -crf 45 -b:v 0 -g 12 -cpu-used 8",
    "av1.mp4": "-c:v libaom-av1 -crf 45 -b:v 0 -g 12 -cpu-used 8",
    "mpeg4_b_frames.avi": "-c:v mpeg4 -bf 2 -g 12 -q:v 12",
    "mpeg4.3gp": "-c:v mpeg4 -g 12 -q:v 12",
    "msmpeg4.avi": "-c:v msmpeg4 -g 12 -q:v 12",
    "mpeg2.mpg": "-c:v mpeg2video -bf 2 -g 12 -q:v 12",
    "wmv2.wmv": "-c:v wmv2 -g 12 -q:v 12",
    "theora.ogv": "-c:v libtheora -g 12 -q:v 4",
    "flv1.flv": "-c:v flv1 -g 12 -q:v 12",
    "mjpeg.avi": "-c:v mjpeg -q:v 20 -pix_fmt yuvj420p",
    "ffv1.mkv": "-c:v ffv1 -level 3 -g 12 -pix_fmt yuv420p",
    "prores.mov": "-c:v prores_ks -profile:v 0 -pix_fmt yuv422p10le",
    "gif.gif": "-vf split[a][b];[a]palettegen[p];[b][p]paletteuse=dither=none",
    "h264_pixels_2to1.mp4": f"-vf scale={WIDTH // 2}:{HEIGHT},setsar=2 {X264}",
    "h264_uneven_times.mkv": f"-vf settb=1/1000,setpts=if(lt(N\\,12)\\,N*30\\,N*50-240) -fps_mode passthrough "
    f"-enc_time_base 1:1000 {X264}",
}
# A player turns them so, clockwise; they have been turned the other way before. Then the part of the matrix, in the
# header of the track, that says so.
TURNED = {
    "h264_turned_90.mov": (90, "transpose=cclock", (0, 1, -1, 0)),
    "h264_turned_180.mp4": (180, "hflip,vflip", (-1, 0, 0, -1)),
    "h264_turned_270.mp4": (270, "transpose=clock", (0, -1, 1, 0)),
}
# Copied packet by packet: what a container does not know, or is told, of streams of others.
COPIED = {
    "h264_of_avi.mp4": ("avi", X264, "-i {first} -c copy"),
    "h264_of_a_raw_stream.mp4": ("h264", X264, "-r 25 -i {first} -c copy"),
    "mpeg4_of_avi.mov": ("avi", ENCODED["mpeg4_b_frames.avi"], "-i {first} -c copy"),
    "h264_cut_by_an_edit_list.mp4": ("mp4", X264, "-ss 0.6 -i {first} -c copy"),
}


def pictures() -> npt.NDArray[np.uint8]:
    """All frames [24, 96, 192, 3]: bars above, a block that wanders over a slope below."""
    frames = np.zeros((FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    frames[:, HEIGHT // 2 :] = np.linspace(40, 200, WIDTH, dtype=np.uint8)[:, None]
    for number, frame in enumerate(frames):
        bits = number >> np.arange(12) & 1
        frame[: HEIGHT // 2] = (bits * 255).repeat(WIDTH // 12)[:, None]
        frame[60:84, 6 * number : 6 * number + 24] = (255, 60, 0)
    return frames


def ffmpeg(arguments: str, *outputs: Path, given: bytes = b"") -> bytes:
    command = ["ffmpeg", "-v", "error", "-y", *arguments.split(), *map(str, outputs)]
    return subprocess.run(command, input=given, check=True, capture_output=True).stdout


def encode(target: Path, options: str, frames: npt.NDArray[np.uint8]) -> None:
    source = f"-f rawvideo -pix_fmt rgb24 -s {WIDTH}x{HEIGHT} -r {RATE} -i -"
    exact = "-fflags +bitexact -flags:v +bitexact -map_metadata -1"
    ffmpeg(f"{source} {options} {exact}", target, given=frames.tobytes())


def turn(path: Path, matrix: tuple[int, ...]) -> None:
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 44
    a, b, c, d = (value * 2**16 for value in matrix)
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 2**30)
    path.write_bytes(data)


def shown(path: Path) -> list[int]:
    """The numbers of the frames that the ffmpeg program shows."""
    size = f"-s {WIDTH}x{HEIGHT} -pix_fmt gray -f rawvideo"
    data = ffmpeg(f"-i {path} -fps_mode passthrough {size}", Path("-"))
    frames = np.frombuffer(data, np.uint8).reshape(-1, HEIGHT, 12, WIDTH // 12)[:, 4:40, :, 4:-4]
    return ((frames.mean((1, 3)) > 128) @ 2 ** np.arange(12)).tolist()


def row(path: Path, turned: int) -> str:
    probe = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_streams", "-of", "json", str(path)]
    stream = json.loads(subprocess.run(probe, check=True, capture_output=True).stdout)["streams"][0]
    numbers = shown(path)
    assert numbers == list(range(numbers[0], FRAMES)) or "of_" in path.name, (path, numbers)
    return "\t".join([path.name, stream["codec_name"], str(turned), " ".join(map(str, numbers))])


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    frames, turns = pictures(), {name: turn for name, (turn, *_) in TURNED.items()}
    with tempfile.TemporaryDirectory() as folder:
        for name, options in ENCODED.items():
            encode(FOLDER / name, options, frames)
        for name, (_, filters, matrix) in TURNED.items():
            encode(FOLDER / name, f"-vf {filters} {X264}", frames)
            turn(FOLDER / name, matrix)
        for name, (kind, options, copying) in COPIED.items():
            first = Path(folder) / f"first.{kind}"
            encode(first, options, frames)
            ffmpeg(copying.format(first=first), FOLDER / name)
    rows = [row(FOLDER / name, turns.get(name, 0)) for name in sorted([*ENCODED, *turns, *COPIED])]
    (FOLDER / "INDEX.tsv").write_text("\n".join(["name\tcodec\tturned\tnumbers", *rows]) + "\n")


if __name__ == "__main__":
    main()
