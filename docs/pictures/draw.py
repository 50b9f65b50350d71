"""Draw the pictures of the sample articles: one function a scene, SVG rendered to JPEG by Chromium.

Run it as `python docs/pictures/draw.py`; it writes to the media folder of the demo site, and gives the same pictures
each time because every scene has its own seed.
"""

import itertools
import math
import random
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from playwright.sync_api import sync_playwright

WIDTH, HEIGHT = 1200, 675
MEDIA = Path(__file__).parents[2] / "src/newsletter_svc/web/static/media"

NIGHT, DEEP, SEA, MIST, PALE = "#14213a", "#203a5f", "#45688e", "#93abc0", "#d3dce2"
PAPER, SAND, OCHRE, CLAY, RUST, SAGE = "#f8f1e4", "#ead7b4", "#d9a55b", "#cb6840", "#9c3a1c", "#7f9683"

Points = Iterable[tuple[float, float]]


def rect(x: float, y: float, w: float, h: float, fill: str, *, opacity: float = 1) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{fill}" opacity="{opacity}"/>'


def disc(x: float, y: float, r: float, fill: str, *, opacity: float = 1) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" fill="{fill}" opacity="{opacity}"/>'


def shape(points: Points, fill: str, *, opacity: float = 1) -> str:
    return f'<polygon points="{_joined(points)}" fill="{fill}" opacity="{opacity}"/>'


def line(points: Points, stroke: str, width: float, *, opacity: float = 1) -> str:
    return (
        f'<polyline points="{_joined(points)}" fill="none" stroke="{stroke}" stroke-width="{width:.1f}" '
        f'stroke-linecap="round" stroke-linejoin="round" opacity="{opacity}"/>'
    )


def _joined(points: Points) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def sky(top: str, bottom: str) -> str:
    return (
        f'<linearGradient id="sky" x2="0" y2="1"><stop stop-color="{top}"/><stop offset="1" stop-color="{bottom}"/>'
        f"</linearGradient>{rect(0, 0, WIDTH, HEIGHT, 'url(#sky)')}"
    )


def ridge(rng: random.Random, base: float, height: float, fill: str, *, peaks: float = 3) -> str:
    """A chain of hills from edge to edge; more `peaks` make it rougher."""
    waves = [(rng.uniform(0.6, 1.2) / n, rng.uniform(0, math.tau), n * peaks) for n in (1, 2.3, 5.1, 11)]
    top = [
        (x, base - height * sum(a * math.sin(math.tau * f * x / WIDTH + p) for a, p, f in waves) / 2)
        for x in range(0, WIDTH + 8, 8)
    ]
    return shape([(0, HEIGHT), *top, (WIDTH, HEIGHT)], fill)


def ripples(rng: random.Random, top: float, bottom: float, stroke: str, count: int) -> str:
    """Short strokes on water, longer the nearer they are."""
    strokes = []
    for _ in range(count):
        depth = rng.random()
        x, y, half = rng.uniform(0, WIDTH), top + (bottom - top) * depth, 12 + 60 * depth
        strokes.append(line([(x - half, y), (x + half, y)], stroke, 1.5 + 2 * depth, opacity=0.5))
    return "".join(strokes)


def harbour(rng: random.Random) -> str:
    parts = [
        sky(PAPER, SAND),
        disc(880, 300, 92, CLAY),
        ridge(rng, 392, 40, MIST, peaks=2),
        rect(0, 400, WIDTH, 275, SEA),
    ]
    parts += [rect(800 + 9 * i, 412 + 26 * i, 160 - 18 * i, 7, OCHRE, opacity=0.75) for i in range(7)]
    parts.append(ripples(rng, 420, 660, MIST, 46))
    parts += [_crane(x, 405, size, NIGHT) for x, size in ((90, 1.0), (290, 1.0), (470, 0.8))]
    parts.append(rect(0, 400, 640, 30, NIGHT))
    colours = [RUST, DEEP, OCHRE, SAGE, CLAY]
    for column in range(12):
        parts += [
            rect(560 + 42 * column, 482 - 24 * level, 40, 22, rng.choice(colours)) for level in range(rng.randint(1, 4))
        ]
    parts.append(shape([(520, 504), (1120, 504), (1082, 572), (566, 572)], NIGHT))
    parts += [rect(1066, 420, 40, 84, PAPER), rect(1072, 428, 28, 10, DEEP), rect(1074, 396, 16, 24, RUST)]
    return "".join(parts)


def _crane(x: float, y: float, size: float, colour: str) -> str:
    def at(dx: float, dy: float) -> tuple[float, float]:
        return x + dx * size, y + dy * size

    beams = [
        ([at(0, 0), at(10, -210)], 9), ([at(90, 0), at(80, -210)], 9), ([at(4, -90), at(86, -90)], 7),
        ([at(-60, -210), at(240, -210)], 10), ([at(45, -210), at(45, -290)], 8),
        ([at(45, -288), at(236, -212)], 3), ([at(45, -288), at(-56, -212)], 3), ([at(170, -210), at(170, -120)], 2),
    ]  # fmt: skip
    return "".join(line(points, colour, width * size) for points, width in beams) + rect(*at(156, -124), 30, 16, CLAY)


def parliament(_: random.Random) -> str:
    parts = [sky(NIGHT, DEEP)]
    parts += [
        shape([(600, -60), (600 + d - 70, 675), (600 + d + 70, 675)], PAPER, opacity=0.05)
        for d in range(-500, 501, 250)
    ]
    for x in range(60, 1200, 154):
        parts += [rect(x - 17, 84, 34, 250, SEA, opacity=0.55), rect(x - 27, 70, 54, 14, SEA, opacity=0.75)]
    parts += [rect(0, 40, WIDTH, 30, SEA, opacity=0.75), shape([(0, 40), (600, -120), (1200, 40)], DEEP)]
    for row in range(8):
        radius, seats = 190 + 50 * row, 17 + 4 * row
        for seat in range(seats):
            share = seat / (seats - 1)
            angle = math.pi * (1.03 - 1.06 * share)
            colour = CLAY if share < 0.3 else SAND if share < 0.56 else SAGE if share < 0.8 else MIST
            parts.append(
                disc(600 + radius * 1.04 * math.cos(angle), 690 - radius * 0.82 * math.sin(angle), 13.5, colour)
            )
    parts += [shape([(510, 675), (532, 604), (668, 604), (690, 675)], PAPER), rect(520, 592, 160, 14, OCHRE)]
    parts += [line([(600, 592), (600, 566)], PAPER, 4), disc(600, 562, 6, PAPER)]
    return "".join(parts)


def mountain_pass(rng: random.Random) -> str:
    parts = [sky("#c9d6df", PAPER), disc(604, 236, 74, CLAY), ridge(rng, 300, 110, PALE, peaks=3.2)]
    parts.append(shape([(0, 200), (140, 90), (250, 180), (330, 150), (560, 400), (560, 675), (0, 675)], MIST))
    parts.append(shape([(1200, 150), (1060, 50), (930, 190), (860, 170), (620, 410), (620, 675), (1200, 675)], SEA))
    parts.append(shape([(140, 90), (250, 180), (206, 186), (168, 164), (120, 182), (66, 150)], PAPER))
    parts.append(shape([(1060, 50), (930, 190), (990, 168), (1040, 190), (1096, 150), (1142, 170), (1150, 114)], PAPER))
    parts.append(shape([(0, 380), (260, 330), (590, 424), (820, 372), (1200, 330), (1200, 675), (0, 675)], DEEP))
    road = [(420, 690), (860, 600), (420, 546), (744, 496), (520, 462), (652, 436), (596, 420)]
    for (ax, ay), (bx, by) in itertools.pairwise(road):
        parts.append(line([(ax, ay), (bx, by)], SAND, max(3.5, (ay - 400) / 11)))
    for x, colour in ((470, RUST), (690, SAGE)):
        parts += [rect(x - 26, 400, 52, 34, PAPER), shape([(x - 34, 400), (x, 376), (x + 34, 400)], colour)]
        parts.append(rect(x - 7, 414, 14, 20, NIGHT))
    parts += [line([(530, 420), (664, 408)], CLAY, 4), shape([(0, 560), (240, 640), (300, 675), (0, 675)], NIGHT)]
    parts.append(shape([(1200, 520), (980, 636), (920, 675), (1200, 675)], NIGHT))
    return "".join(parts)


def grid(rng: random.Random) -> str:
    parts = [
        sky(DEEP, "#dfa37c"),
        disc(300, 420, 120, OCHRE),
        ridge(rng, 446, 26, SEA, peaks=2.4),
        rect(0, 460, WIDTH, 215, NIGHT),
    ]
    for edge in range(-1400, 2700, 190):
        parts.append(line([(300 + (edge - 300) * 0.05, 462), (edge, 690)], DEEP, 2.5))
    pylons = [(1010, 640, 1.0), (690, 545, 0.56), (516, 504, 0.34), (424, 482, 0.21), (372, 471, 0.13)]
    for (x1, y1, s1), (x2, y2, s2) in itertools.pairwise(pylons):
        for dx, dy in ((-120, -420), (120, -420), (-92, -500), (92, -500)):
            parts.append(_cable((x1 + dx * s1, y1 + dy * s1), (x2 + dx * s2, y2 + dy * s2), 46 * s1))
    for dx, dy in ((-120, -420), (120, -420), (-92, -500), (92, -500)):
        parts.append(_cable((1010 + dx, 640 + dy), (1560 + dx * 1.7, 800 + dy * 1.75), 60))
    parts += [_pylon(x, y, size) for x, y, size in reversed(pylons)]
    return "".join(parts)


def _cable(start: tuple[float, float], end: tuple[float, float], sag: float) -> str:
    (ax, ay), (bx, by) = start, end
    steps = [i / 16 for i in range(17)]
    return line(
        [(ax + (bx - ax) * t, ay + (by - ay) * t + sag * 4 * t * (1 - t)) for t in steps], PAPER, 1.6, opacity=0.85
    )


def _pylon(x: float, y: float, size: float) -> str:
    def at(dx: float, dy: float) -> tuple[float, float]:
        return x + dx * size, y + dy * size

    bars = [[at(-62, 0), at(-16, -380), at(0, -570), at(16, -380), at(62, 0)]]
    bars += [
        [at(-128, -420), at(128, -420), at(0, -452), at(-128, -420)],
        [at(-98, -500), at(98, -500), at(0, -530), at(-98, -500)],
    ]
    bars.append([at(-62, 0), at(44, -130), at(-36, -230), at(24, -316), at(-16, -380)])
    bars.append([at(62, 0), at(-44, -130), at(36, -230), at(-24, -316), at(16, -380)])
    return "".join(line(bar, PAPER, max(1.4, 6 * size)) for bar in bars)


def ballot(_: random.Random) -> str:
    parts = [sky(SAND, PAPER), disc(600, 330, 270, CLAY), disc(600, 330, 206, "#d98560", opacity=0.55)]
    for column in range(6):
        for x in (70 + 46 * column, 896 + 46 * column):
            tall = 150 + 44 * ((column * 7 + (x > 600) * 3) % 6)
            parts.append(rect(x, 600 - tall, 28, tall, SEA if column % 2 else MIST, opacity=0.75))
    parts.append(rect(0, 600, WIDTH, 75, NIGHT))
    parts.append('<g transform="rotate(-7 600 220)">' + rect(520, 96, 160, 236, PAPER))
    for row, width in enumerate((96, 78, 104)):
        y = 136 + 46 * row
        parts += [rect(540, y, 22, 22, SAND), rect(572, y + 6, width * 0.9, 9, MIST)]
    parts.append(line([(544, 192), (551, 200), (564, 180)], RUST, 6) + "</g>")
    parts += [shape([(380, 300), (440, 258), (760, 258), (820, 300)], DEEP), rect(500, 272, 200, 14, NIGHT)]
    parts.append(
        '<g transform="rotate(-7 600 220)">' + rect(520, 200, 160, 78, PAPER) + rect(572, 234, 94, 9, MIST) + "</g>"
    )
    parts += [shape([(482, 279), (718, 279), (820, 300), (380, 300)], DEEP), rect(380, 300, 440, 320, NIGHT)]
    parts += [
        rect(380, 300, 440, 18, SEA),
        rect(560, 392, 80, 100, OCHRE),
        disc(600, 428, 12, NIGHT),
        rect(595, 430, 10, 34, NIGHT),
    ]
    return "".join(parts)


def delta(rng: random.Random) -> str:
    parts = [rect(0, 0, WIDTH, HEIGHT, SAGE)]
    for _ in range(150):
        x, y, w, h = rng.uniform(-40, 1200), rng.uniform(-20, 480), rng.uniform(40, 120), rng.uniform(22, 60)
        tone = rng.choice([SAND, OCHRE, "#6b8574", "#9aaa8c", "#b9b88a"])
        turn = f'<g transform="rotate({-14 + rng.uniform(-5, 5):.0f} {x:.0f} {y:.0f})">'
        parts.append(turn + rect(x, y, w, h, tone, opacity=0.6) + "</g>")
    shore = [(x, 520 + 34 * math.sin(x / 120) + 22 * math.sin(x / 47 + 1)) for x in range(0, WIDTH + 8, 8)]
    for depth, tone in ((0, SAND), (18, MIST), (46, SEA), (92, DEEP)):
        parts.append(
            shape(
                [(0, HEIGHT), *[(x, y + depth * (1 + 0.2 * math.sin(x / 90))) for x, y in shore], (WIDTH, HEIGHT)], tone
            )
        )
    channels: list[tuple[float, str]] = []
    _channel(rng, (560, -30), math.pi / 2, 46, channels)
    parts += [drawn for _, drawn in sorted(channels, key=lambda each: each[0])]
    return "".join(parts)


def _channel(
    rng: random.Random, start: tuple[float, float], heading: float, width: float, drawn: list[tuple[float, str]]
) -> None:
    """One arm of the river, down to where it divides or reaches the sea."""
    points = [start]
    for _ in range(9):
        heading += rng.uniform(-0.2, 0.2) + (math.pi / 2 - heading) * 0.05
        x, y = points[-1]
        points.append((x + 17 * math.cos(heading), y + 17 * math.sin(heading)))
    drawn.append((width, line(points, SEA, width)))
    if points[-1][1] > 590 or width < 4:
        return
    spread = rng.uniform(0.3, 0.5)
    _channel(rng, points[-1], heading - spread, width * 0.7, drawn)
    _channel(rng, points[-1], heading + spread, width * 0.74, drawn)


def satellites(rng: random.Random) -> str:
    parts = [sky("#0d1628", DEEP)]
    parts += [
        disc(rng.uniform(0, WIDTH), rng.uniform(0, 520), rng.uniform(0.8, 2.2), PAPER, opacity=0.8) for _ in range(120)
    ]
    parts += [disc(600, 1420, 980 - 9 * i, MIST, opacity=0.13) for i in range(6)]
    parts += [disc(600, 1420, 920, SEA), disc(560, 1450, 920, DEEP)]
    for radius, tone in ((1030, SAND), (1120, CLAY), (1222, MIST), (1330, SAGE)):
        parts.append(
            f'<circle cx="600" cy="1420" r="{radius}" fill="none" stroke="{tone}" '
            'stroke-width="2" stroke-dasharray="3 9"/>'
        )
    orbits = [(1030, (-22, -4, 15)), (1120, (-14, 6, 25)), (1222, (-24, -6, 12)), (1330, (-11, 5, 19))]
    for radius, degrees in orbits:
        parts += [_satellite(radius, degree + rng.uniform(-1, 1), 0.62 + (1400 - radius) / 600) for degree in degrees]
    return "".join(parts)


def _satellite(radius: float, degree: float, size: float) -> str:
    x, y = 600 + radius * math.sin(math.radians(degree)), 1420 - radius * math.cos(math.radians(degree))
    wings = "".join(rect(side + 19 * cell, -13, 17, 26, "#5f86b4") for side in (-80, 23) for cell in range(3))
    body = (
        rect(-15, -17, 30, 34, PAPER)
        + rect(-15, -17, 30, 10, OCHRE)
        + line([(0, 17), (0, 32)], PAPER, 3)
        + disc(0, 35, 7, CLAY)
    )
    arms = line([(-24, 0), (24, 0)], PALE, 4)
    return (
        f'<g transform="translate({x:.1f} {y:.1f}) rotate({degree - 18:.1f}) scale({size:.2f})">{arms}{wings}{body}</g>'
    )


def strait(rng: random.Random) -> str:
    parts = [sky(NIGHT, "#7d8fa6"), disc(240, 150, 46, PAPER)]
    parts += [
        shape([(870, 206), (-80, top), (-80, bottom)], SAND, opacity=0.16) for top, bottom in ((250, 520), (310, 460))
    ]
    parts += [ridge(rng, 426, 44, SEA, peaks=1.8), rect(0, 440, WIDTH, 235, DEEP), ripples(rng, 452, 660, SEA, 60)]
    parts += [rect(205 - 3 * i, 458 + 22 * i, 70 + 6 * i, 5, PAPER, opacity=0.5) for i in range(8)]
    parts.append(
        shape(
            [(690, 675), (740, 560), (800, 500), (850, 452), (960, 440), (1040, 470), (1200, 452), (1200, 675)], NIGHT
        )
    )
    parts.append(shape([(832, 452), (846, 238), (894, 238), (908, 452)], PAPER))
    for low, high in ((1 / 6, 2 / 6), (3 / 6, 4 / 6), (5 / 6, 1)):
        y1, y2, w1, w2 = 238 + 214 * low, 238 + 214 * high, 24 + 14 * low, 24 + 14 * high
        parts.append(shape([(870 - w1, y1), (870 + w1, y1), (870 + w2, y2), (870 - w2, y2)], RUST))
    parts += [
        rect(838, 228, 64, 11, NIGHT),
        rect(852, 190, 36, 38, OCHRE),
        shape([(846, 190), (870, 164), (894, 190)], RUST),
    ]
    for x, y, size in ((420, 520, 1.0), (92, 590, 1.35), (600, 478, 0.6)):
        hull = [(x - 56 * size, y), (x + 60 * size, y), (x + 40 * size, y + 24 * size), (x - 42 * size, y + 24 * size)]
        parts += [shape(hull, NIGHT), rect(x - 26 * size, y - 28 * size, 38 * size, 28 * size, PAPER)]
        parts += [
            line([(x + 18 * size, y), (x + 18 * size, y - 66 * size)], PAPER, 3 * size),
            disc(x + 18 * size, y - 68 * size, 5 * size, OCHRE),
        ]
    return "".join(parts)


def grain(rng: random.Random) -> str:
    parts = [
        sky("#bfcdd6", PAPER),
        disc(820, 300, 100, CLAY),
        ridge(rng, 372, 34, MIST, peaks=2),
        ridge(rng, 392, 16, SAGE, peaks=3),
    ]
    parts.append(rect(0, 392, WIDTH, 283, OCHRE))
    for index, edge in enumerate(range(-2600, 3800, 128)):
        near = [(edge, 700), (edge + 66, 700), (700 + (edge + 66 - 700) * 0.1, 392), (700 + (edge - 700) * 0.1, 392)]
        parts.append(shape(near, "#c48f45" if index % 2 else SAND, opacity=0.75))
    for x in (110, 182, 254):
        parts += [
            rect(x, 236, 64, 160, PAPER),
            rect(x + 44, 236, 20, 160, PALE),
            f'<path d="M{x} 237a32 30 0 0 1 64 0z" fill="{RUST}"/>',
        ]
    parts += [rect(322, 196, 34, 200, DEEP), line([(339, 200), (150, 214)], DEEP, 6), rect(0, 404, WIDTH, 8, NIGHT)]
    parts += [rect(404 + 112 * car, 352, 104, 44, [RUST, DEEP, RUST, SEA, DEEP][car]) for car in range(5)]
    parts += [shape([(412 + 112 * car, 352), (450 + 112 * car, 338), (500 + 112 * car, 352)], SAND) for car in range(5)]
    parts += [
        rect(968, 338, 130, 58, NIGHT),
        shape([(1098, 338), (1124, 366), (1124, 396), (1098, 396)], NIGHT),
        rect(1072, 346, 22, 18, SAND),
    ]
    parts += [disc(x, 398, 8, NIGHT) for x in range(420, 1110, 28)]
    return "".join(parts)


SCENES: dict[str, Callable[[random.Random], str]] = {
    "port-corridor": harbour,
    "coalition-budget": parliament,
    "mountain-pass": mountain_pass,
    "shared-grid": grid,
    "counting-twice": ballot,
    "delta-treaty": delta,
    "crowded-orbit": satellites,
    "lights-in-the-strait": strait,
    "grain-railway": grain,
}


def main() -> None:
    """Render all scenes, or those named on the command line."""
    wanted = sys.argv[1:] or list(SCENES)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        for name in wanted:
            drawing = SCENES[name](random.Random(name))  # noqa: S311 (a seed for hills and waves, no secret)
            page.set_content(_page(drawing))
            page.screenshot(path=MEDIA / f"{name}.jpg", type="jpeg", quality=82)
        browser.close()


def _page(drawing: str) -> str:
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" style="display:block">'
    return f'<body style="margin:0">{svg}{drawing}</svg>'


if __name__ == "__main__":
    main()
