"""The colours: readable to WCAG 2's level AA, in both themes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from nightdesk_exporter import page

CSS = (Path(page.__file__).parent / "page.css").read_text(encoding="utf-8")
TEXT_RATIO = 4.5
"""https://www.w3.org/TR/WCAG22/#contrast-minimum"""
SHAPE_RATIO = 3.0
"""https://www.w3.org/TR/WCAG22/#non-text-contrast"""

VERDICTS = ("healthy", "degraded", "unhealthy", "unknown")
TEXT = [
    *((colour, ground) for colour in ("text", "dim", "link", "unhealthy") for ground in ("card", "ground")),
    *((verdict, f"{verdict}-soft") for verdict in VERDICTS),
    *(("text", f"{verdict}-soft") for verdict in VERDICTS),
    *((verdict, "card") for verdict in VERDICTS),
    ("card", "unknown"),
]
SHAPES = [("curve", "card"), ("area", "card"), ("link", "ground"), *(("card", verdict) for verdict in VERDICTS)]


def palette(theme: str) -> dict[str, str]:
    """Return the theme's colours by name: the dark one's replace the light one's."""
    light, dark = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    found = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", light))
    assert len(found) == light.count("--")
    return {**found, **dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", dark))} if theme == "dark" else found


def luminance(colour: str) -> float:
    """Return the relative luminance: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    darker, lighter = sorted((luminance(first), luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_what_the_standard_says() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("colour", "ground"), TEXT)
def test_text_stands_out_from_its_ground(theme: str, colour: str, ground: str) -> None:
    colours = palette(theme)
    assert contrast(colours[colour], colours[ground]) >= TEXT_RATIO


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("colour", "ground"), SHAPES)
def test_lines_and_shapes_stand_out_from_their_ground(theme: str, colour: str, ground: str) -> None:
    colours = palette(theme)
    assert contrast(colours[colour], colours[ground]) >= SHAPE_RATIO


def test_no_colour_is_used_that_is_not_of_the_palette() -> None:
    rules = re.sub(r":root \{.*?\}", "", CSS, flags=re.DOTALL)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[;\s])", rules) == []


def test_no_text_is_smaller_than_12_pixels() -> None:
    sizes = [float(size) for size in re.findall(r"font(?:-size)?: ([\d.]+)rem", CSS)]
    assert min(sizes) >= 0.75
