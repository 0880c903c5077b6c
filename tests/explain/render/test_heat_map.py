"""Heat maps that read in black and white, pictures that decode to what they were."""

from base64 import b64decode

import av
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from claver.explain.render.heat_map import colors, data_uri, enlarge, heat_picture, intensity, png, ramp

PICTURES = arrays.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3)))


def lightness(color: NDArray[np.uint8]) -> NDArray[np.float64]:
    return color @ np.array([0.299, 0.587, 0.114])


def test_lightness_rises_with_relevance() -> None:
    gray = lightness(colors(np.linspace(0, 1, 200, dtype=np.float32)))
    assert (np.diff(gray) > -1).all()
    assert gray[0] < 5
    assert gray[-1] > 240
    assert np.diff(gray[::20]).min() > 8


@given(arrays.arrays(np.float32, (2, 3, 3), elements=st.floats(0, 1e6, width=32)))
def test_intensity_keeps_the_order_and_ends_at_one(maps: NDArray[np.float32]) -> None:
    light = intensity(maps)
    assert (light >= 0).all()
    assert light.max() == (maps.max() > 0)
    order = np.argsort(maps.ravel(), kind="stable")
    assert (np.diff(light.ravel()[order]) >= 0).all()


@given(PICTURES)
def test_png_holds_the_very_pixels(picture: NDArray[np.uint8]) -> None:
    codec = av.CodecContext.create("png", "r")
    data = b64decode(data_uri(picture).removeprefix("data:image/png;base64,"))
    assert data == png(picture)
    frames = [*codec.decode(av.Packet(data)), *codec.decode(None)]
    np.testing.assert_array_equal(frames[0].to_ndarray(format="rgb24"), picture)


def test_the_light_falls_on_its_place() -> None:
    frame = np.full((32, 64, 3), 90, dtype=np.uint8)
    light = np.zeros((2, 4), dtype=np.float32)
    light[1, 3] = 1
    picture = lightness(heat_picture(frame, light))
    height, width = picture.shape
    assert (height, width) == enlarge(frame).shape[:2] == (192, 384)
    assert picture[3 * height // 4, 7 * width // 8] > 180
    assert picture[: height // 2, : width // 2].max() < 90
    assert (picture[height // 2 :, width // 2 :] > 250).any()  # the line around it


def test_the_scene_stays_visible() -> None:
    stripes = np.repeat(np.array([[[40], [200]]], dtype=np.uint8), 3, 2).repeat(32, 0).repeat(16, 1)
    for light in (0.0, 1.0):  # a map without any relevance, and one with the greatest everywhere
        picture = lightness(heat_picture(stripes, np.full((2, 2), light, dtype=np.float32)))
        left, right = picture[96, 20], picture[96, -20]
        assert right - left > 18
        assert 15 < left < right < 250
    # What is most relevant is lighter than the lightest place without relevance.
    white, black = (np.full((32, 32, 3), shade, dtype=np.uint8) for shade in (255, 0))
    none, most = np.zeros((2, 2), dtype=np.float32), np.ones((2, 2), dtype=np.float32)
    assert lightness(heat_picture(black, most))[96, 96] > lightness(heat_picture(white, none))[96, 96]


def test_the_legend_is_the_scale_of_the_pictures() -> None:
    legend = ramp(100, 3)
    assert legend.shape == (3, 100, 3)
    assert (np.diff(lightness(legend[1])) > -1).all()
    scene = np.full((192, 192, 3), 128, dtype=np.uint8)
    np.testing.assert_array_equal(heat_picture(scene, np.zeros((1, 1), dtype=np.float32))[96, 96], legend[1, 0])


@given(PICTURES)
def test_small_frames_grow_by_whole_factors(picture: NDArray[np.uint8]) -> None:
    large = enlarge(picture)
    factor = large.shape[0] // picture.shape[0]
    assert min(large.shape[:2]) >= 192
    np.testing.assert_array_equal(large[::factor, ::factor], picture)
