"""Makes tests/fixtures/images: small images of every format and what Pillow and transformers make of them.

Made with Python 3.11, pillow 13.0.0, transformers 5.23.0, safetensors 0.8.0, scikit-image 0.26.0, numpy 2.4.6; the
versions that really ran are written to `fixture.json`. Run from the repository root:
python tests/scripts/make_image_fixtures.py

files/               images by format, depth, channels and orientation
processors/          folders with `preprocessor_config.json` as transformers saves or saved them
expected.safetensors rgb.FILE: 8-bit (height, width, 3), upright; rgba.FILE where there is alpha
                     resize.FILE.FILTER.WIDTHxHEIGHT: 8-bit, by Pillow
                     input.PROCESSOR.FILE: float32 (3, height, width) as the processor hands it to a network
                     meter.SIZE.FILE: the same from METER's transform
fixture.json         versions, and the files by name
"""

import json
import platform
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL
import safetensors
import skimage
import transformers
from PIL import Image, ImageOps
from safetensors.numpy import save_file
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

ROOT = Path(__file__).parent.parent / "fixtures" / "images"
FILES, PROCESSORS = ROOT / "files", ROOT / "processors"
MEAN, DEVIATION = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_deep_png(path, samples):
    """A PNG of 16-bit samples: Pillow writes only grey ones."""
    height, width, n_channels = samples.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[n_channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows, 9))
                     + png_chunk(b"IEND", b""))


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def make_files():
    coffee, cat, face = (Image.fromarray(a) for a in
                         (skimage.data.coffee(), skimage.data.chelsea(), skimage.data.astronaut()))
    small = lambda image, width, height: image.resize((width, height), Image.Resampling.LANCZOS)
    save = lambda image, name, **options: image.save(FILES / name, **options)

    for name, source, size, options in [
        ("444-q50.jpg", face, (48, 40), dict(quality=50, subsampling=0)),
        ("444-q98.jpg", cat, (37, 29), dict(quality=98, subsampling=0)),
        ("422-q75.jpg", coffee, (45, 32), dict(quality=75, subsampling=1)),
        ("422-odd.jpg", face, (31, 33), dict(quality=90, subsampling=1)),
        ("420-q50.jpg", cat, (50, 34), dict(quality=50, subsampling=2)),
        ("420-q85.jpg", coffee, (60, 40), dict(quality=85, subsampling=2)),
        ("420-odd.jpg", face, (33, 17), dict(quality=98, subsampling=2)),
        ("420-progressive.jpg", face, (51, 43), dict(quality=90, subsampling=2, progressive=True)),
        ("420-restarts.jpg", cat, (40, 40), dict(quality=85, subsampling=2, restart_marker_blocks=2)),
        ("422-progressive.jpg", cat, (39, 30), dict(quality=80, subsampling=1, progressive=True)),
        ("rgb-kept.jpg", coffee, (24, 16), dict(quality=85, keep_rgb=True)),
        ("one.jpg", coffee, (1, 1), dict(quality=90)),
        ("narrow.jpg", coffee, (3, 40), dict(quality=90, subsampling=2)),
    ]:
        save(small(source, *size), name, optimize=True, **options)
    save(small(face, 41, 37).convert("L"), "grey.jpg", quality=80)
    save(small(face, 41, 37).convert("L"), "grey-progressive.jpg", quality=80, progressive=True)
    save(small(coffee, 24, 18).convert("CMYK"), "inks.jpg", quality=85)
    for orientation in range(2, 9):
        save(small(face, 20, 12), f"turned-{orientation}.jpg", quality=85, exif=exif(orientation))

    translucent = small(face, 36, 32).convert("RGBA")
    alpha = np.asarray(small(cat, 36, 32).convert("L")).astype(int)
    alpha = np.clip((alpha - 60) * 2, 0, 255).astype(np.uint8)
    translucent.putalpha(Image.fromarray(alpha))
    save(translucent, "alpha.png")
    save(small(coffee, 40, 30), "colour.png")
    save(small(cat, 30, 25).convert("L"), "grey.png")
    save(translucent.convert("LA"), "grey-alpha.png")
    save(small(cat, 31, 22).convert("1"), "bits-1.png")
    save(small(cat, 31, 22).quantize(4), "palette-4.png")
    save(small(cat, 31, 22).quantize(16), "palette-16.png")
    save(small(cat, 31, 22).quantize(200), "palette-200.png")
    save(small(cat, 31, 22).quantize(32), "palette-clear.png", transparency=3)
    save(small(face, 20, 12), "turned-6.png", exif=exif(6))
    deep = np.linspace(0, 65535, 24 * 18).round().reshape(18, 24, 1)
    write_deep_png(FILES / "grey-16.png", deep)
    write_deep_png(FILES / "colour-16.png", np.concatenate([deep, deep[::-1], deep[:, ::-1]], 2))
    write_deep_png(FILES / "alpha-16.png", np.concatenate([deep, deep[::-1], deep[:, ::-1], deep], 2))

    save(small(coffee, 40, 30), "lossless.webp", lossless=True)
    save(translucent, "alpha.webp", lossless=True, exact=True)
    save(small(coffee, 41, 31), "lossy.webp", quality=80)
    save(translucent, "lossy-alpha.webp", quality=80)
    save(small(face, 20, 12), "turned-6.webp", lossless=True, exif=exif(6))
    save(small(coffee, 21, 15), "colour.bmp")
    save(small(coffee, 21, 15).quantize(30), "palette.bmp")
    save(small(coffee, 21, 15).convert("L"), "grey.bmp")
    save(small(coffee, 21, 15).convert("1"), "bits-1.bmp")
    save(small(coffee, 21, 15), "plain.tiff")
    save(small(coffee, 21, 15), "lzw.tiff", compression="tiff_lzw")
    save(small(coffee, 21, 15), "deflate.tiff", compression="tiff_adobe_deflate")
    save(small(coffee, 21, 15), "packbits.tiff", compression="packbits")
    save(small(coffee, 21, 15), "large-offsets.tiff", big_tiff=True)
    save(small(coffee, 21, 15).convert("CMYK"), "inks.tiff")
    save(small(coffee, 21, 15).convert("1"), "bits-1.tiff", compression="group4")
    save(small(coffee, 21, 15).convert("L"), "grey.tiff")
    save(translucent.resize((18, 16)), "alpha.tiff")
    save(Image.fromarray(deep[:, :, 0].astype(np.uint16)), "grey-16.tiff")
    save(small(face, 20, 12), "turned-6.tiff", exif=exif(6))
    save(small(coffee, 26, 18).quantize(40), "palette.gif")
    save(small(coffee, 26, 18).quantize(40), "moving.gif", save_all=True,
         append_images=[small(face, 26, 18).quantize(40)])


def decoded(name):
    """Upright RGB, and RGBA where there is alpha, as Pillow has it; of 16-bit grey the upper byte."""
    image = ImageOps.exif_transpose(Image.open(FILES / name))
    if image.mode == "I;16":
        upper = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(upper[:, :, None], 3, 2), None
    alpha = np.asarray(image.convert("RGBA")) if "A" in image.getbands() else None
    return np.asarray(image.convert("RGB")), alpha


def resized(expected):
    for name, mode in [("colour.png", "RGB"), ("alpha.png", "RGBA")]:
        image = Image.open(FILES / name).convert(mode)
        for filter in range(6):
            for size in [(13, 21), (53, 9), (17, image.height)]:
                key = f"resize.{name}.{filter}.{size[0]}x{size[1]}"
                expected[key] = np.asarray(image.resize(size, Image.Resampling(filter)).convert("RGB"))


def write_processor(name, settings, **others):
    folder = PROCESSORS / name
    folder.mkdir(parents=True)
    (folder / "preprocessor_config.json").write_text(json.dumps(settings, indent=1) + "\n")
    for file, content in others.items():
        (folder / f"{file}.json").write_text(json.dumps(content) + "\n")


def processed(expected):
    """Files as transformers 5 saves them, and forms of older ones, each with the class that reads it."""
    side = lambda n: {"height": n, "width": n}
    saved = {
        "clip": CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=side(16)),
        "clip-padded": CLIPImageProcessorPil(size={"shortest_edge": 10}, crop_size=dict(height=21, width=14)),
        "clip-exact": CLIPImageProcessorPil(size=dict(height=15, width=19), do_center_crop=False, resample=1),
        "clip-plain": CLIPImageProcessorPil(size={"shortest_edge": 14}, crop_size=side(13), do_normalize=False),
        "clip-levels": CLIPImageProcessorPil(do_resize=False, crop_size=side(11), do_rescale=False, do_normalize=False),
        "vit": ViTImageProcessorPil(size=side(16)),
        "vit-lanczos": ViTImageProcessorPil(size=dict(height=9, width=17), resample=1, image_mean=[0.4, 0.5, 0.6]),
        "vit-half-way": ViTImageProcessorPil(size=side(12), rescale_factor=1 / 127.5, do_normalize=False),
    }
    for name, processor in saved.items():
        (PROCESSORS / name).mkdir(parents=True)
        processor.save_pretrained(PROCESSORS / name)
    older = {
        "clip-old": (CLIPImageProcessorPil, dict(
            crop_size=15, do_center_crop=True, do_normalize=True, do_resize=True,
            feature_extractor_type="CLIPFeatureExtractor", image_mean=MEAN, image_std=DEVIATION, resample=3, size=15)),
        "clip-fast": (CLIPImageProcessorPil, dict(
            image_processor_type="CLIPImageProcessorFast", size={"shortest_edge": 18}, crop_size=side(17),
            do_pad=None, data_format="channels_first", input_data_format=None, device=None)),
        "vit-old": (ViTImageProcessorPil, dict(
            do_normalize=True, do_resize=True, image_mean=[0.5] * 3, image_std=[0.5] * 3, size=13)),
        "vit-feature-extractor": (ViTImageProcessorPil, dict(
            do_normalize=True, do_resize=True, feature_extractor_type="ViTFeatureExtractor", size=12,
            image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225], resample=2)),
    }
    for name, (_, settings) in older.items():
        config = dict(config={"model_type": "vit"}) if name == "vit-old" else {}
        write_processor(name, settings, **config)
    opened = saved | {name: reader.from_dict(dict(settings)) for name, (reader, settings) in older.items()}
    for name, processor in opened.items():
        for file in ("colour.png", "420-q85.jpg", "turned-6.jpg"):
            image = ImageOps.exif_transpose(Image.open(FILES / file)).convert("RGB")
            expected[f"input.{name}.{file}"] = processor(image, return_tensors="np")["pixel_values"][0].astype(np.float32)
    # With alpha in hand, transformers 5 lays the image on white.
    image = Image.open(FILES / "alpha.png")
    expected["white.clip.alpha.png"] = opened["clip"](image, return_tensors="np")["pixel_values"][0].astype(np.float32)


def meter(image, side):
    """METER's transform: the shorter side by Keys' cubic while RGBA, a centred square, RGB, CLIP's mean and deviation."""
    image = image.convert("RGBA")
    short, long = min(image.size), max(image.size)
    longer = int(side * long / short)
    image = image.resize((side, longer) if image.width <= image.height else (longer, side), Image.Resampling.BICUBIC)
    left, top = (int(round((extent - side) / 2.0)) for extent in image.size)
    image = image.crop((left, top, left + side, top + side)).convert("RGB")
    numbers = np.asarray(image).astype(np.float32).transpose(2, 0, 1) / np.float32(255)
    columns = lambda values: np.array(values, dtype=np.float32)[:, None, None]
    return (numbers - columns(MEAN)) / columns(DEVIATION)


def main():
    shutil.rmtree(ROOT, ignore_errors=True)
    FILES.mkdir(parents=True)
    make_files()
    expected = {}
    names = sorted(path.name for path in FILES.iterdir())
    for name in names:
        rgb, rgba = decoded(name)
        expected[f"rgb.{name}"] = np.ascontiguousarray(rgb)
        if rgba is not None:
            expected[f"rgba.{name}"] = np.ascontiguousarray(rgba)
    resized(expected)
    processed(expected)
    # 16 and 17 pixels leave crops of odd and even remainders.
    for name, side in [("alpha.png", 16), ("alpha.png", 17), ("colour.png", 15), ("420-odd.jpg", 16), ("grey-alpha.png", 13)]:
        expected[f"meter.{side}.{name}"] = meter(Image.open(FILES / name), side)
    expected = {name: np.ascontiguousarray(values) for name, values in expected.items()}
    save_file(expected, ROOT / "expected.safetensors")
    packages = (PIL, transformers, safetensors, skimage, np)
    versions = {package.__name__: package.__version__ for package in packages} | {"python": platform.python_version()}
    (ROOT / "fixture.json").write_text(json.dumps(dict(versions=versions, files=names), indent=1) + "\n")


if __name__ == "__main__":
    main()
