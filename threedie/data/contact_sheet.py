"""A contact sheet: one picture of pictures, a class a row, for a README or a talk."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from threedie import files
from threedie.data.dataset import open_dataset
from threedie.data.gallery import chosen_samples, printable
from threedie.errors import ConfigError


def write_contact_sheet(
    folder: Path, out_png: Path, *, classes: int, views: int, thumb: int
) -> Path:
    """Write a picture of pictures, for a README of 900 pixels' width.

    Args:
        folder: a finished data set.
        out_png: the PNG file; transparent between the pictures, so it suits light and dark pages.
        classes: at most so many, one object of each.
        views: pictures of each.
        thumb: their side in pixels.

    Returns:
        `out_png`.

    Raises:
        ConfigError: nothing to show.
        ManifestError: the data set is damaged.
        StorageError: `out_png` can't be written.
    """
    dataset = open_dataset(folder)
    entries = sorted(dataset.manifest.classes, key=lambda entry: entry.label)
    rows = [(e, s) for e in entries for s in chosen_samples(dataset, e, 1)][:classes]
    if not rows or views < 1 or thumb < 8:
        raise ConfigError(f"{folder}: a sheet of {len(rows)} classes and {views} views is empty.")
    gap, views = max(2, thumb // 32), min(views, dataset.manifest.making.views)
    columns = max(1, min(len(rows), 900 // (views * (thumb + gap))))
    strip, between = views * thumb + (views - 1) * gap, 4 * gap
    lines = -(-len(rows) // columns)
    sheet = Image.new(
        "RGBA",
        (columns * strip + (columns - 1) * between, lines * (thumb + gap) - gap),
        (0, 0, 0, 0),
    )
    for number, (entry, sample) in enumerate(rows):
        left = number % columns * (strip + between)
        top = number // columns * (thumb + gap)
        for view in range(views):
            picture = Image.fromarray(sample.views[view])
            small = picture.resize((thumb, thumb), Image.Resampling.LANCZOS)
            sheet.paste(small, (left + view * (thumb + gap), top))
        _write_name(sheet, printable(entry.name, longest=24), left, top, thumb)
    out = io.BytesIO()
    sheet.save(out, "PNG", optimize=True)
    files.put(out_png, out.getvalue())
    return out_png


def _write_name(sheet: Image.Image, name: str, left: int, top: int, thumb: int) -> None:
    """The class's name on a dark ground in the corner of its first picture."""
    pad = max(2, thumb // 32)
    sizes = (ImageFont.load_default(size=size) for size in range(max(9, thumb // 8), 5, -1))
    fonts = [font for font in sizes if font.getlength(name) + 3 * pad <= thumb]
    if not fonts:
        return  # no room for words
    font = fonts[0]
    _, top_of_text, _, bottom = font.getbbox("Agy")  # all chips are equally high
    size = (int(font.getlength(name)) + 3 * pad, int(bottom - top_of_text) + 2 * pad)
    chip = Image.new("RGBA", size, (0, 0, 0, 150))
    where = (1.5 * pad, pad - top_of_text)
    ImageDraw.Draw(chip).text(where, name, font=font, fill=(255, 255, 255, 255))
    sheet.alpha_composite(chip, (left, top))
