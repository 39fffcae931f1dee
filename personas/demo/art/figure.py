"""The parts every portrait shares: the sheet of paper, the head, the face, the light.

A portrait is 768 × 1024. A head is drawn around its own middle: eyes at y = -18, chin near y = 180.
"""

from dataclasses import dataclass

WIDTH, HEIGHT = 768, 1024


@dataclass(frozen=True)
class Skin:
    base: str
    shade: str
    light: str
    lip: str
    line: str
    blush: str = "#d0603a"


FAIR = Skin("#f0c9a6", "#cf9572", "#fde3c6", "#b85c4a", "#5b3425")
ROSY = Skin("#eec0a0", "#c98a6c", "#fbdcc0", "#b4514a", "#5a2f26")
OLIVE = Skin("#d9a678", "#ad7650", "#efc69c", "#a04e3c", "#472a1c")
GOLDEN = Skin("#e2b184", "#b98255", "#f5d0a6", "#a8523f", "#4a2d1d")
BROWN = Skin("#a86f48", "#7c4a2e", "#c8905f", "#7d3a30", "#2c1710", "#b0482a")
DEEP = Skin("#7c4b33", "#542e20", "#a36a48", "#5f2a27", "#1c0f0b", "#a53f2a")
PALE = Skin("#e6e0da", "#b3aab4", "#f8f3ec", "#94404e", "#3a2f3c", "#a995ab")


@dataclass(frozen=True)
class Face:
    """How one face differs from another. Lengths in the head's own units; angles in degrees."""

    skin: Skin
    hair: str
    iris: str = "#4a3423"
    jaw: float = 0  # wider (+) or narrower (-) at the cheek's foot
    chin: float = 0  # longer (+) or shorter (-)
    turn: float = 0  # where the features look: left (-) or right (+)
    eye: float = 1  # how open
    brow: float = 0  # raised (+) or lowered (-)
    brow_weight: float = 9
    tilt: float = 0  # inner end of the brows up (+): worried, down (-): stern
    smile: float = 8
    lips: float = 1  # fullness
    nose: float = 1
    age: int = 0  # 0 none, 1 a few lines, 2 many
    freckles: bool = False
    lashes: bool = True
    teeth: bool = False


def path(d: str, fill: str = "none", **attributes: object) -> str:
    extra = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<path d="{d}" fill="{fill}"{extra}/>'


def stroke(d: str, colour: str, width: float = 4, **attributes: object) -> str:
    return path(
        d, stroke=colour, stroke_width=width, stroke_linecap="round", stroke_linejoin="round", **attributes
    )


def circle(cx: float, cy: float, r: float, fill: str, **attributes: object) -> str:
    return ellipse(cx, cy, r, r, fill, **attributes)


def ellipse(cx: float, cy: float, rx: float, ry: float, fill: str, **attributes: object) -> str:
    extra = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<ellipse cx="{cx}" cy="{cy}" rx="{rx}" ry="{ry}" fill="{fill}"{extra}/>'


def rect(x: float, y: float, width: float, height: float, fill: str, **attributes: object) -> str:
    extra = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{fill}"{extra}/>'


def group(*parts: str, **attributes: object) -> str:
    extra = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f"<g{extra}>{''.join(parts)}</g>"


def at(x: float, y: float, *parts: str, turn: float = 0, scale: float = 1) -> str:
    return group(*parts, transform=f"translate({x} {y}) rotate({turn}) scale({scale})")


def mirrored(*parts: str) -> str:
    return group(*parts) + group(*parts, transform="scale(-1 1)")


def fade(name: str, *stops: tuple[float, str, float], down: bool = True) -> str:
    direction = 'x1="0" y1="0" x2="0" y2="1"' if down else 'x1="0" y1="0" x2="1" y2="0"'
    return f'<linearGradient id="{name}" {direction}>{_stops(stops)}</linearGradient>'


def glow(name: str, *stops: tuple[float, str, float]) -> str:
    return f'<radialGradient id="{name}">{_stops(stops)}</radialGradient>'


def _stops(stops: tuple[tuple[float, str, float], ...]) -> str:
    return "".join(
        f'<stop offset="{at_}" stop-color="{colour}" stop-opacity="{alpha}"/>' for at_, colour, alpha in stops
    )


def sheet(*parts: str, defs: str = "", light: str = "#ffd9a0", dark: str = "#1a0d1c", side: int = -1) -> str:
    """The finished picture: the parts with softly uneven edges, then light from one side, shade and grain."""
    x = 120 if side < 0 else 648
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"><defs>'
        '<filter id="hand" x="-2%" y="-2%" width="104%" height="104%">'
        '<feTurbulence type="fractalNoise" baseFrequency="0.018" numOctaves="2" seed="7"/>'
        '<feDisplacementMap in="SourceGraphic" scale="7" xChannelSelector="R" yChannelSelector="G"/></filter>'
        '<filter id="grain" x="0" y="0" width="100%" height="100%">'
        '<feTurbulence type="fractalNoise" baseFrequency="0.75" numOctaves="3" seed="3"/>'
        '<feColorMatrix values="0 0 0 0 .5  0 0 0 0 .5  0 0 0 0 .5  0 0 0 1.6 -.55"/></filter>'
        '<filter id="soft"><feGaussianBlur stdDeviation="14"/></filter>'
        '<filter id="softer"><feGaussianBlur stdDeviation="38"/></filter>'
        f'<radialGradient id="lamp" gradientUnits="userSpaceOnUse" cx="{x}" cy="160" r="820">'
        f"{_stops(((0, light, 0.5), (0.55, light, 0.1), (1, light, 0)))}</radialGradient>"
        f'<radialGradient id="edge" cx="50%" cy="42%" r="75%">'
        f"{_stops(((0.55, dark, 0), (1, dark, 0.55)))}</radialGradient>{defs}</defs>"
        f"{group(*parts, filter='url(#hand)')}"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="url(#lamp)" style="mix-blend-mode:soft-light"/>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="url(#edge)" style="mix-blend-mode:multiply"/>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" filter="url(#grain)" opacity=".16" '
        'style="mix-blend-mode:overlay"/></svg>'
    )


def neck(skin: Skin, width: float = 62) -> str:
    """From under the chin into the collar; belongs below the head."""
    w = width
    return path(
        f"M{-w} 60 C{-w} 150 {-w} 190 {-w - 26} 232 C-40 300 40 300 {w + 26} 232 C{w} 190 {w} 150 {w} 60Z",
        skin.base,
    ) + path(
        f"M{-w} 96 C-40 190 40 196 {w} 104 L{w} 150 C{w} 190 {w} 205 {w + 18} 226 C20 262 -30 240 {-w} 160Z",
        skin.shade,
        opacity=0.75,
    )


def outline(face: Face) -> str:
    j, c = face.jaw, face.chin
    return (
        f"M-127 -46 C-128 -150 -74 -204 0 -204 C74 -204 128 -150 127 -46 C127 22 {118 + j} 84 {76 + j} 134 "
        f"C{50 + j * 0.5} {164 + c} 24 {182 + c} 0 {182 + c} C-24 {182 + c} {-50 - j * 0.5} {164 + c} "
        f"{-76 - j} 134 C{-118 - j} 84 -127 22 -127 -46Z"
    )


def head(face: Face, name: str, *, ears: bool = True, side: int = -1) -> str:
    """The head without hair. `name` is unique in the picture; `side` is where the light comes from."""
    skin = face.skin
    parts = []
    if ears:
        parts.append(mirrored(ellipse(126, -2, 22, 38, skin.base), ellipse(128, 2, 11, 22, skin.shade)))
    shape = outline(face)
    shadow = f"M{34 + face.turn} -230 C76 -150 58 -70 {66 + face.turn} -30 C96 34 62 108 16 {200 + face.chin} L220 240 L220 -230Z"
    if side > 0:
        shadow = f'{shadow}" transform="scale(-1 1)'
    parts.append(f'<clipPath id="{name}">{path(shape, "#000")}</clipPath>')
    parts.append(path(shape, skin.base))
    parts.append(
        group(
            ellipse(side * 60, -110, 110, 90, skin.light, opacity=0.55, filter="url(#soft)"),
            path(shadow, skin.shade, opacity=0.62),
            mirrored(ellipse(74, 52, 42, 28, skin.blush, opacity=0.26, filter="url(#soft)")),
            clip_path=f"url(#{name})",
        )
    )
    parts.append(group(_features(face, side), transform=f"translate({face.turn} 0)"))
    return "".join(parts)


def _features(face: Face, side: int) -> str:
    parts = [_nose(face, side), _mouth(face), _eye(face, -52), _eye(face, 52), _brows(face)]
    if face.freckles:
        dots = (
            (-78, 34),
            (-62, 44),
            (-46, 32),
            (-34, 46),
            (-16, 36),
            (14, 38),
            (34, 46),
            (48, 33),
            (66, 44),
            (80, 35),
        )
        parts += [circle(x, y, 3.2, face.skin.shade, opacity=0.9) for x, y in dots]
    if face.age:
        parts.append(_lines(face))
    return "".join(parts)


def _eye(face: Face, x: float) -> str:
    way = 1 if x > 0 else -1
    o = face.eye
    line = face.skin.line
    almond = f"M-30 4 C-18 {-17 * o} 12 {-19 * o} 30 {-3 * o} C16 {15 * o} -16 {15 * o} -30 4Z"
    look = face.turn * 0.2 * way
    name = f"eye{'r' if x > 0 else 'l'}"
    parts = [
        path(
            f"M-34 -2 C-20 {-30 * o} 16 {-32 * o} 34 {-8 * o} L30 -2 C12 {-20 * o} -18 {-18 * o} -30 4Z",
            face.skin.shade,
            opacity=0.55,
        ),
        f'<clipPath id="{name}">{path(almond, "#000")}</clipPath>',
        path(almond, "#f7efe4"),
        group(
            circle(look, -2, 14.5, face.iris),
            circle(look, -2, 7, "#140d0b"),
            path(
                f"M-34 -4 C-18 {-22 * o} 14 {-24 * o} 36 -8 L36 -4 C14 {-13 * o} -18 {-11 * o} -34 6Z",
                line,
                opacity=0.3,
            ),
            clip_path=f"url(#{name})",
        ),
        circle(look - 5 * way, -8, 4.2, "#fffaf0"),
        path(f"M-33 7 C-18 {-18 * o} 14 {-22 * o} 35 {-5 * o} C14 {-14 * o} -16 {-10 * o} -33 7Z", line),
    ]
    if face.lashes:
        parts.append(
            path(
                f"M22 {-13 * o} C30 {-13 * o} 37 {-14 * o} 43 {-19 * o} C41 {-10 * o} 37 {-4 * o} 30 -2Z",
                line,
            )
        )
    return at(x, -18, group(*parts, transform=f"scale({way} 1)"))


def _brows(face: Face) -> str:
    y, w, t = -62 - face.brow, face.brow_weight, face.tilt
    shape = (
        f"M-24 {y + 6 - t} C-48 {y - 12} -74 {y - 10 + t * 0.4} -92 {y + 12 + t * 0.6} "
        f"C-72 {y + 2 + t * 0.4} -48 {y + w - 8} -22 {y + 6 + w - t}Z"
    )
    return mirrored(path(shape, face.hair))


def _nose(face: Face, side: int) -> str:
    n = face.nose
    skin = face.skin
    wedge = (
        f"M8 -30 C12 0 {22 * n} 26 {27 * n} 44 C{26 * n} 58 12 60 0 58 C10 52 12 40 8 20 C4 4 4 -14 8 -30Z"
    )
    way = -side
    return group(
        path(wedge, skin.shade, opacity=0.7),
        stroke(
            f"M{-20 * n} 48 C{-18 * n} 58 -8 60 0 60 C10 60 {20 * n} 58 {23 * n} 48",
            skin.line,
            3.4,
            opacity=0.65,
        ),
        ellipse(-8, 36, 7, 11, skin.light, opacity=0.7),
        transform=f"scale({way} 1)",
    )


def _mouth(face: Face) -> str:
    s, f, skin = face.smile, face.lips, face.skin
    y = 100
    corner = y - s
    upper = (
        f"M-44 {corner} C-26 {y - 9 * f} -14 {y - 12 * f} -6 {y - 12 * f} C-3 {y - 10 * f} 3 {y - 10 * f} 6 {y - 12 * f} "
        f"C14 {y - 12 * f} 26 {y - 9 * f} 44 {corner} C24 {y + 3 + s * 0.4} -24 {y + 3 + s * 0.4} -44 {corner}Z"
    )
    lower = (
        f"M-40 {corner + 2} C-24 {y + 2 + s * 0.4} 24 {y + 2 + s * 0.4} 40 {corner + 2} "
        f"C26 {y + 18 * f + s * 0.5} -26 {y + 18 * f + s * 0.5} -40 {corner + 2}Z"
    )
    parts = [path(lower, skin.lip), path(upper, skin.lip), path(upper, skin.line, opacity=0.22)]
    if face.teeth:
        parts.append(
            path(
                f"M-32 {corner + 3} C-16 {y - 1} 16 {y - 1} 32 {corner + 3} C16 {y + 9 + s * 0.3} -16 {y + 9 + s * 0.3} -32 {corner + 3}Z",
                "#f8f0e4",
            )
        )
    else:
        parts.append(
            stroke(
                f"M-46 {corner - 1} C-24 {y + 3 + s * 0.4} 24 {y + 3 + s * 0.4} 46 {corner - 1}",
                skin.line,
                3.6,
                opacity=0.85,
            )
        )
        parts.append(ellipse(-8, y + 9 * f + s * 0.3, 12, 3, skin.light, opacity=0.4))
    return "".join(parts)


def _lines(face: Face) -> str:
    parts = [
        stroke("M-44 52 C-58 66 -64 80 -62 94 M44 52 C58 66 64 80 62 94", face.skin.shade, 4.5, opacity=0.9),
        stroke("M-90 -12 L-102 -18 M-90 -4 L-103 -2 M90 -12 L102 -18 M90 -4 L103 -2", face.skin.shade, 3.5),
    ]
    if face.age > 1:
        parts.append(
            stroke(
                "M-54 -112 C-24 -122 24 -122 54 -112 M-44 -92 C-20 -100 20 -100 44 -92", face.skin.shade, 3.5
            )
        )
        parts.append(stroke("M-72 14 C-62 24 -46 26 -34 20 M72 14 C62 24 46 26 34 20", face.skin.shade, 4))
    return "".join(parts)
