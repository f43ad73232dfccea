#!/usr/bin/env python3
"""Draws a terminal's screen as SVG: terminal.py TITLE < SCREEN > SVG

SCREEN is what `tmux capture-pane -e -p` prints: lines of text with SGR sequences (ECMA-48 8.3.117). Each run of one
style is drawn at its own column and with its own width, so that columns hold with any font of a browser.
"""

import html
import re
import sys
import unicodedata

CELL, LINE, MARGIN, BAR = 8.4, 18, 14, 34
BACKGROUND, FOREGROUND = "#16181d", "#d7dae0"
COLOURS = [
    "#3b4048", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d7dae0",
    "#7d8590", "#ff7b86", "#b5e890", "#ffd68a", "#82c4ff", "#dd95f0", "#7fd6e0", "#ffffff",
]  # fmt: skip
SEQUENCE = re.compile(r"\x1b\[([0-9;:]*)m")
OTHER = re.compile(r"\x1b(\[[0-9;?]*[A-Za-ln-z]|[()][A-Z0-9]|[=>])|[\x0e\x0f]")


def colour(number):
    """The colour of this number of the 256 that terminals have."""
    if number < 16:
        return COLOURS[number]
    if number >= 232:
        return "#" + f"{8 + 10 * (number - 232):02x}" * 3
    levels = (0, 95, 135, 175, 215, 255)
    number -= 16
    return "#" + "".join(f"{levels[i]:02x}" for i in (number // 36, number // 6 % 6, number % 6))


def restyle(style, codes):
    """The style after one SGR sequence."""
    codes = [int(code or 0) for code in re.split("[;:]", codes or "0")]
    while codes:
        code = codes.pop(0)
        if code == 0:
            style = {}
        elif code in (1, 2, 4, 7):
            style = style | {{1: "bold", 2: "dim", 4: "underline", 7: "reverse"}[code]: True}
        elif code == 22:
            style = {key: value for key, value in style.items() if key not in ("bold", "dim")}
        elif code in (38, 48) and codes:
            if codes.pop(0) == 5 and codes:
                value = colour(codes.pop(0))
            else:
                value, codes = "#" + "".join(f"{part:02x}" for part in codes[:3]), codes[3:]
            style = style | {"fore" if code == 38 else "back": value}
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style = style | {"fore": COLOURS[code - 30 if code < 90 else code - 82]}
        elif 40 <= code <= 47:
            style = style | {"back": COLOURS[code - 40]}
        elif code in (39, 49):
            style = {key: value for key, value in style.items() if key != ("fore" if code == 39 else "back")}
    return style


def width(text):
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def runs(line, style):
    """Pieces of a line that have one style: column, text, style. And the style at its end."""
    found, column = [], 0
    for index, part in enumerate(SEQUENCE.split(OTHER.sub("", line))):
        if index % 2:
            style = restyle(style, part)
        elif part:
            found.append((column, part, style))
            column += width(part)
    return found, style


def draw(column, row, text, style):
    fore, back = style.get("fore", FOREGROUND), style.get("back")
    if style.get("reverse"):
        fore, back = back or BACKGROUND, fore
    x, y, length = MARGIN + column * CELL, BAR + MARGIN + row * LINE, width(text) * CELL
    shapes = []
    if back:
        shapes.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{length:.1f}" height="{LINE}" fill="{back}"/>')
    if text.strip():
        # Blanks at both ends need no drawing. Those within are hard ones: renderers would make one of several.
        lead = width(text) - width(text.lstrip())
        text = text.strip().replace(" ", "\u00a0")
        attributes = f'fill="{fore}"'
        attributes += ' font-weight="bold"' if style.get("bold") else ""
        attributes += ' opacity="0.6"' if style.get("dim") else ""
        attributes += ' text-decoration="underline"' if style.get("underline") else ""
        shapes.append(
            f'<text x="{x + lead * CELL:.1f}" y="{y + LINE * 0.74:.1f}" textLength="{width(text) * CELL:.1f}" {attributes}>{html.escape(text)}</text>'
        )
    return shapes


def picture(title, lines, columns=80):
    while lines and not SEQUENCE.sub("", lines[-1]).strip():
        lines.pop()
    wide, high = columns * CELL + 2 * MARGIN, BAR + len(lines) * LINE + 2 * MARGIN
    shapes = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide:.0f}" height="{high:.0f}" viewBox="0 0 {wide:.0f} {high:.0f}" role="img">',
        f"<title>{html.escape(title)}</title>",
        "<style>text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace}</style>",
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>',
        *(f'<circle cx="{20 + 18 * i}" cy="18" r="5.5" fill="{fill}"/>' for i, fill in enumerate(("#ff5f57", "#febc2e", "#28c840"))),
        f'<text x="{wide / 2:.0f}" y="23" text-anchor="middle" fill="#7d8590">{html.escape(title)}</text>',
    ]
    style = {}
    for row, line in enumerate(lines):
        found, style = runs(line, style)
        for column, text, look in found:
            shapes += draw(column, row, text, look)
    return "\n".join([*shapes, "</svg>"]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(picture(sys.argv[1], sys.stdin.read().split("\n")))
