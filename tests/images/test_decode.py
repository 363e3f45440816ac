import os
import pickle
import struct
import subprocess
import sys
import time
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.helpers.trees import picture
from wbc.errors import ImageError
from wbc.images.decode import decode, pixel_hash, resize
from wbc.images.examine import examine

RGB = picture(1, 12)[:, :9]  # 12 x 9, so that swapped sides show
GREY = RGB[..., 0]
DEEP = np.random.default_rng(2).integers(0, 65536, (12, 9, 3), dtype=np.uint16)
ALPHA = np.where(np.arange(9) < 4, 0, 255).astype(np.uint8) * np.ones((12, 1), np.uint8)
OVER_WHITE = np.where(ALPHA[..., None] == 0, 255, RGB)


def grey_to_rgb(grey):
    return np.repeat(grey[..., None], 3, axis=2)


def save(path, array, mode=None, **options):
    Image.fromarray(array).convert(mode).save(path, **options)


COLOURS = RGB[:4].reshape(-1, 3)
INDICES = (np.arange(108).reshape(12, 9) % 36).astype(np.uint8)


def palette(path):
    image = Image.fromarray(INDICES)
    image.putpalette(COLOURS.tobytes())
    image.save(path)


def deep(path, *options):
    """16-bit colour as OpenCV writes it, which has a coder of its own."""
    cv2.imwrite(str(path), DEEP[..., ::-1], list(options))


LOSSLESS = {
    "rgb.png": (lambda path: save(path, RGB), RGB),
    "rgb.bmp": (lambda path: save(path, RGB), RGB),
    "rgb.webp": (lambda path: save(path, RGB, lossless=True), RGB),
    "rgb.tif": (lambda path: save(path, RGB), RGB),
    "lzw.TIFF": (lambda path: save(path, RGB, compression="tiff_lzw"), RGB),
    "grey.png": (lambda path: save(path, GREY), grey_to_rgb(GREY)),
    "grey.bmp": (lambda path: save(path, GREY), grey_to_rgb(GREY)),
    "grey.tif": (lambda path: save(path, GREY), grey_to_rgb(GREY)),
    "bits.png": (lambda path: save(path, GREY // 128 * 255, "1"), grey_to_rgb(GREY // 128 * 255)),
    "palette.png": (palette, COLOURS[INDICES]),
    "palette.bmp": (palette, COLOURS[INDICES]),
    "alpha.png": (lambda path: save(path, np.dstack([RGB, ALPHA])), OVER_WHITE),
    "alpha.tif": (lambda path: save(path, np.dstack([RGB, ALPHA])), OVER_WHITE),
    "grey_alpha.png": (
        lambda path: save(path, np.dstack([GREY, ALPHA])),
        np.where(ALPHA[..., None] == 0, 255, grey_to_rgb(GREY)),
    ),
    "cmyk.tif": (lambda path: Image.fromarray(np.dstack([255 - RGB, GREY * 0]), "CMYK").save(path), RGB),
    "deep_grey.png": (lambda path: save(path, DEEP[..., 0]), grey_to_rgb(DEEP[..., 0] >> 8)),
    "deep_grey.tif": (lambda path: save(path, DEEP[..., 0]), grey_to_rgb(DEEP[..., 0] >> 8)),
    "deep.png": (deep, DEEP >> 8),
    "deep_lzw.tif": (lambda path: deep(path, cv2.IMWRITE_TIFF_COMPRESSION, 5), DEEP >> 8),
    "deep.tif": (lambda path: deep(path, cv2.IMWRITE_TIFF_COMPRESSION, 1), DEEP >> 8),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_give_the_very_pixels(tmp_path, name):
    write, expected = LOSSLESS[name]
    write(tmp_path / name)
    rgb = decode(tmp_path / name)
    assert rgb.dtype == np.uint8
    np.testing.assert_array_equal(rgb, expected)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpeg(tmp_path, mode):
    smooth = np.linspace([200, 90, 160], [240, 200, 250], 64 * 48).reshape(64, 48, 3).astype(np.uint8)
    Image.fromarray(smooth).convert(mode).save(tmp_path / "cell.JPG", quality=100)
    expected = np.asarray(Image.fromarray(smooth).convert(mode).convert("RGB")).astype(int)
    assert np.abs(decode(tmp_path / "cell.JPG") - expected).max() <= 3


def test_half_transparent_pixels_mix_with_white(tmp_path):
    save(tmp_path / "half.png", np.dstack([RGB, np.full((12, 9), 128, np.uint8)]))
    expected = RGB * (128 / 255) + 255 * (127 / 255)
    assert np.abs(decode(tmp_path / "half.png") - expected).max() <= 1


def test_white_is_zero_in_16_bit_grey(tmp_path):
    tags = {262: 0}
    Image.fromarray(DEEP[..., 0]).save(tmp_path / "inverse.tif", tiffinfo=tags)
    with Image.open(tmp_path / "inverse.tif") as image:
        assert image.tag_v2[262] == 0
    np.testing.assert_array_equal(decode(tmp_path / "inverse.tif"), grey_to_rgb(255 - (DEEP[..., 0] >> 8)))


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("stored", ["grey.png", "grey.tif", "colour.png", "colour.tif"])
def test_a_camera_of_few_bits_in_files_of_16_is_as_bright_as_one_of_8(tmp_path, stored, bits):
    """12 bits looked nearly black, and accuracy fell from 100 to 68 %, without a word."""
    samples = DEEP >> (16 - bits)
    samples[0, 0] = (1 << bits) - 1  # a white field
    expected = (samples >> (bits - 8)).astype(np.uint8)
    if stored.startswith("grey"):
        samples, expected = samples[..., 0], grey_to_rgb(expected[..., 0])
    cv2.imwrite(str(tmp_path / stored), samples[..., ::-1] if samples.ndim == 3 else samples)
    np.testing.assert_array_equal(decode(tmp_path / stored), expected)


def test_few_bits_are_turned_upright_too(tmp_path):
    samples = DEEP >> 4
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(samples[..., 0]).save(tmp_path / "grey.tif", exif=exif)
    written = cv2.imencode(".png", samples[..., ::-1])[1].tobytes()
    chunk = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    orientation = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "colour.png").write_bytes(written[:33] + orientation + written[33:])  # behind IHDR
    upright = UPRIGHT[6]((samples >> 4).astype(np.uint8))
    np.testing.assert_array_equal(decode(tmp_path / "colour.png"), upright)
    np.testing.assert_array_equal(decode(tmp_path / "grey.tif"), grey_to_rgb(upright[..., 0]))


def test_the_largest_sample_that_a_file_announces_wins_over_the_brightest_that_it_holds(tmp_path):
    samples = DEEP[..., 0] >> 8  # 0..255, dark in 12 bits
    Image.fromarray(samples).save(tmp_path / "dark.tif", tiffinfo={281: 4095})
    np.testing.assert_array_equal(decode(tmp_path / "dark.tif"), grey_to_rgb((samples >> 4).astype(np.uint8)))


def test_dark_16_bit_colour_that_pillow_opened_is_refused_since_its_low_bytes_are_lost(tmp_path):
    cv2.imwrite(str(tmp_path / "colour.png"), DEEP >> 4)
    with Image.open(tmp_path / "colour.png") as image, pytest.raises(ImageError, match="few of the bits"):
        decode(image)


# EXIF 2.3, orientation: what turns the stored picture upright.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}


@pytest.mark.parametrize("stored", [RGB, GREY, DEEP[..., 0]], ids=["rgb", "grey", "deep"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_rotation_is_applied(tmp_path, stored, suffix, orientation):
    """Pillow 13 scrambles grey TIFF files with a rotation of 90 degrees that it opens by path."""
    image = Image.fromarray(stored)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / f"turned.{suffix}", exif=exif)
    eight_bit = (stored >> 8).astype(np.uint8) if stored.dtype == np.uint16 else stored
    expected = UPRIGHT[orientation](eight_bit)
    rgb = decode(tmp_path / f"turned.{suffix}")
    np.testing.assert_array_equal(rgb, expected if expected.ndim == 3 else grey_to_rgb(expected))


def test_a_phones_jpeg_with_a_preview_is_its_first_picture(tmp_path):
    first, preview = Image.new("RGB", (32, 32), "red"), Image.new("RGB", (8, 8), "blue")
    first.save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[preview])
    rgb = decode(tmp_path / "phone.jpg")
    assert rgb.shape == (32, 32, 3)
    assert rgb[0, 0, 0] > 200 > rgb[0, 0, 2]


def _png_bomb(path):
    """A valid header of 100,000 x 100,000 pixels and next to nothing behind it."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")))


def _truncated(path, **options):
    save(path, picture(3, 64), **options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def _planes(path):
    """16-bit colour in separate planes: three strips, one each."""
    planes = [DEEP[..., i].astype("<u2").tobytes() for i in range(3)]
    start = 8 + 2 + 10 * 12 + 4
    bits, offsets, counts = start, start + 6, start + 18
    data = start + 30
    at = [data + i * len(planes[0]) for i in range(3)]
    tags = [
        *[(256, 3, 1, 9), (257, 3, 1, 12), (258, 3, 3, bits), (259, 3, 1, 1), (262, 3, 1, 2)],
        *[(273, 4, 3, offsets), (277, 3, 1, 3), (278, 3, 1, 12), (279, 4, 3, counts), (284, 3, 1, 2)],
    ]
    path.write_bytes(
        b"II*\0" + struct.pack("<IH", 8, 10) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
        + struct.pack("<I", 0) + struct.pack("<3H", 16, 16, 16) + struct.pack("<3I", *at)
        + struct.pack("<3I", *[len(plane) for plane in planes]) + b"".join(planes)
    )  # fmt: skip


def _pages(path):
    pages = [Image.fromarray(RGB), Image.fromarray(RGB)]
    pages[0].save(path, save_all=True, append_images=pages[1:])


def _many_pages(path, pages=100_000):
    """As many directories of tags, each with the same one tag and the place of the next."""
    at = [8 + 18 * number for number in range(pages)]
    directory = [
        struct.pack("<HHHIII", 1, 256, 3, 1, 9, following) for following in [*at[1:], 0]
    ]  # ImageWidth = 9
    save(path, RGB)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + b"".join(directory))


def _changed_tag(number, value, **options):
    """Writes a TIFF file of which one tag has another value."""

    def write(path):
        save(path, picture(3, 64), **options)
        data = bytearray(path.read_bytes())
        start = struct.unpack_from("<I", data, 4)[0]
        for at in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
            if struct.unpack_from("<H", data, at)[0] == number:
                struct.pack_into("<HI", data, at + 2, 4, 1)
                struct.pack_into("<I", data, at + 8, value)
        path.write_bytes(data)

    return write


def _tiled(path, side):
    """A picture of 16 x 16 in one tile, of which the file says that it is `side` wide."""
    pixels = picture(3, 16).tobytes()
    data = 8 + 2 + 9 * 12 + 4
    tags = [
        *[(256, 3, 1, 16), (257, 3, 1, 16), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1)],
        *[(322, 4, 1, side), (323, 4, 1, 16), (324, 4, 1, data)],
    ]
    directory = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, 9) + directory + struct.pack("<I", 0) + pixels)


def _many_scans(path):
    """A progressive JPEG whose last scan comes 21,000 times more."""
    save(path, RGB, progressive=True)
    whole = path.read_bytes()
    last = whole.rindex(b"\xff\xda")
    path.write_bytes(whole[:-2] + 21_000 * whole[last:-2] + whole[-2:])


def _wide(path):
    """A progressive JPEG of 64 x 64 whose header has 16,448 x 4,160."""
    save(path, picture(3, 64), progressive=True)
    data = bytearray(path.read_bytes())
    size = data.index(b"\xff\xc2") + 5  # SOF2: length, precision, height, width
    data[size : size + 4] = struct.pack(">HH", 16_448, 4_160)
    path.write_bytes(data)


BAD = {
    "missing.png": (lambda path: None, "No such file"),
    "folder.png": (lambda path: path.mkdir(), "Is a directory"),
    "empty.jpg": (lambda path: path.write_bytes(b""), "empty"),
    "text.png": (lambda path: path.write_text("no image at all"), "no JPEG, PNG, BMP, TIFF or WebP"),
    "gif.png": (lambda path: save(path, GREY, format="GIF"), "no JPEG, PNG, BMP, TIFF or WebP"),
    "cut.jpg": (_truncated, "damaged"),
    "cut.png": (_truncated, "damaged"),
    "cut.bmp": (_truncated, "damaged"),
    "cut_lzw.tif": (lambda path: _truncated(path, compression="tiff_lzw"), "copy it again"),
    "cut.tif": (_truncated, "copy it again"),
    "bomb.png": (_png_bomb, "too large"),
    "pages.tif": (_pages, "holds several pages"),
    "pages.png": (_pages, "holds several pages"),
    "scans.jpg": (_many_scans, "21,0.. scans, more than the 100 accepted"),
    "wide.jpg": (_wide, "damaged .4160 x 16448 pixels in"),
    "pipe.png": (os.mkfifo, "a pipe or a device"),
    "terminal.png": (lambda path: path.symlink_to("/dev/zero"), "a pipe or a device"),
    "float.tif": (lambda path: save(path, GREY.astype(np.float32)), "32 bits a sample"),
    "int.tif": (lambda path: save(path, GREY.astype(np.int32)), "32 bits a sample"),
    "planes.tif": (_planes, "separate planes"),
    "tiles.tif": (lambda path: _tiled(path, 1 << 20), "tiles of 1048576 x 16 in 16 x 16 pixels"),
    "rows.tif": (_changed_tag(257, 500_000), "parts of the picture: 1 of"),
    "strips.tif": (_changed_tag(278, 8), "parts of the picture: 1 of 8"),
    "clear.png": (lambda path: save(path, np.dstack([RGB, GREY * 0])), "wholly transparent"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_bad_files_are_refused_with_path_and_reason(tmp_path, name):
    write, reason = BAD[name]
    write(tmp_path / name)
    with pytest.raises(ImageError, match=reason) as caught:
        decode(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert ";" in caught.value.reason  # what; the mend
    assert examine(str(tmp_path / name)) == ("", caught.value.reason, b"")


def test_pages_are_not_counted(tmp_path):
    """Counting 100,000 of them took two minutes."""
    _many_pages(tmp_path / "pages.tif")
    since = time.monotonic()
    with pytest.raises(ImageError):
        decode(tmp_path / "pages.tif")
    assert time.monotonic() - since < 5


def test_bytes_and_opened_images_are_read_as_the_file_is(tmp_path):
    for name in ("rgb.png", "deep.tif", "alpha.png", "rgb.webp"):
        path = tmp_path / name
        if name == "rgb.webp":
            save(path, RGB, lossless=True)
        else:
            LOSSLESS[name][0](path)
        expected = decode(path)
        np.testing.assert_array_equal(decode(path.read_bytes()), expected)
        with Image.open(path) as image:
            np.testing.assert_array_equal(decode(image), expected)
    np.testing.assert_array_equal(decode(Image.fromarray(RGB)), RGB)
    with pytest.raises(ImageError, match=r"an image in memory: no JPEG, .*copy it again"):
        decode(b"no image at all")
    with pytest.raises(ImageError, match="the file is empty"):
        decode(b"")


def test_the_size_limit_holds_from_the_header_on(tmp_path, monkeypatch):
    save(tmp_path / "cell.png", RGB)
    monkeypatch.setattr("wbc.images.file_limits.MAX_PIXELS", RGB[..., 0].size)
    decode(tmp_path / "cell.png")
    monkeypatch.setattr("wbc.images.file_limits.MAX_PIXELS", RGB[..., 0].size - 1)
    with pytest.raises(ImageError, match="9 x 12 pixels, more than the 107 accepted"):
        decode(tmp_path / "cell.png")


def test_an_image_error_survives_the_way_between_processes():
    problem = pickle.loads(pickle.dumps(ImageError("a.png", "damaged")))
    assert (problem.path, problem.reason, str(problem)) == ("a.png", "damaged", "a.png: damaged")


def test_shrinking_averages_areas():
    rgb = picture(4, 24)
    expected = rgb.reshape(8, 3, 8, 3, 3).mean(axis=(1, 3))
    assert np.abs(resize(rgb, 8) - expected).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("shape", [(363, 360), (10, 50), (50, 10), (1, 1), (32, 32)])
def test_resize_squashes_any_shape(shape):
    rgb = np.full((*shape, 3), (10, 120, 250), np.uint8)
    small = resize(rgb, 32)
    assert small.shape == (32, 32, 3)
    assert (small == (10, 120, 250)).all()


def test_enlarging_does_not_overshoot():
    edge = np.zeros((8, 8, 3), np.uint8)
    edge[:, 4:], edge[:, :4] = 200, 100
    large = resize(edge, 32)
    assert (large.min(), large.max()) == (100, 200)


def test_resize_leaves_the_right_size_alone():
    np.testing.assert_array_equal(resize(picture(5, 16), 16), picture(5, 16))


def test_pixel_hash_tells_pixels_and_shape_only(tmp_path):
    save(tmp_path / "a.png", RGB)
    save(tmp_path / "b.tif", RGB)
    assert pixel_hash(decode(tmp_path / "a.png")) == pixel_hash(decode(tmp_path / "b.tif")) == pixel_hash(RGB)
    other = RGB.copy()
    other[0, 0, 0] ^= 1
    assert len({pixel_hash(RGB), pixel_hash(other), pixel_hash(RGB.reshape(9, 12, 3))}) == 3


def test_worker_processes_need_not_import_torch_or_pandas():
    code = "import sys, wbc.images.decode; print({'torch', 'pandas'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
