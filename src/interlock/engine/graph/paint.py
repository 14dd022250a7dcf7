"""Icons and the style sheet of the SVG.

What it does: gives each look an icon of its own outline, and writes the colours for light and dark. What it does not
do: it places nothing.

Rules: icons are paths, not characters, so they look the same with any font; every rule is scoped by the class of the
picture, so that one inside of a page changes nothing around it.
"""

from __future__ import annotations

from interlock.engine.graph.looks import LOOKS

ICON_SIZE = 18
SCOPE = "run-graph"

_DISC = "M9 .5a8.5 8.5 0 1 1 0 17a8.5 8.5 0 1 1 0-17z"
_RING = "M9 1.5a7.5 7.5 0 1 1 0 15a7.5 7.5 0 1 1 0-15z"
_BARS = (
    ("solid", "M4 1h10a3 3 0 0 1 3 3v10a3 3 0 0 1-3 3H4a3 3 0 0 1-3-3V4a3 3 0 0 1 3-3z"),
    ("mark", "M7 5.5v7M11 5.5v7"),
)

# (class, path): `solid` is filled, `mark` is cut out of it, `line` is drawn.
ICONS: dict[str, tuple[tuple[str, str], ...]] = {
    "failed": (("solid", "M5.7 1h6.6L17 5.7v6.6L12.3 17H5.7L1 12.3V5.7z"), ("mark", "M6 6l6 6M12 6l-6 6")),
    "parked": (("solid", "M9 0l9 9-9 9-9-9z"), ("mark", "M9 5v4.6M9 12.6v.2")),
    "suspended": _BARS,
    "waiting": _BARS,
    "backoff": (("line", _RING), ("line", "M9 5v4.3l3 1.8")),
    "queued": (("line dotted", _RING), ("solid", "M9 6a3 3 0 1 1 0 6a3 3 0 1 1 0-6z")),
    "running": (("solid", _DISC), ("hole", "M7 5.2v7.6l6.2-3.8z")),
    "other": (("line", _RING), ("solid", "M9 6a3 3 0 1 1 0 6a3 3 0 1 1 0-6z")),
    "pending": (("line", _RING),),
    "planned": (("line", _RING),),
    "cancelled": (("line", _RING), ("line", "M6 6l6 6M12 6l-6 6")),
    "skipped": (("line", _RING), ("line", "M3.9 14.1l10.2-10.2")),
    "completed": (("solid", _DISC), ("mark", "M5 9.3l2.8 2.8 5.2-5.6")),
}

_FONT = "ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace"
_FORM = f"""text{{font-family:{_FONT}}}
.title{{font-size:16px;font-weight:700}}
.summary{{font-size:12px}}
.name{{font-size:13px;font-weight:600}}
.said,.note{{font-size:11px}}
.box{{stroke-width:1.4}}
.edge{{fill:none;stroke-width:1.5}}
.ahead{{stroke-dasharray:4 4}}
.mark,.line{{fill:none;stroke-width:1.9;stroke-linecap:round;stroke-linejoin:round}}
.dotted{{stroke-dasharray:3.2 2.7}}
.failed>.box,.parked>.box,.running>.box,.suspended>.box,.waiting>.box{{stroke-width:2}}"""


def style_sheet(used: set[str]) -> str:
    """The rules for these looks."""
    looks = {name: look for name, look in LOOKS.items() if name in used}
    dashes = [f".{name}>.box{{stroke-dasharray:{look.dashes}}}" for name, look in looks.items() if look.dashes]
    light = [
        "{color-scheme:light dark}",
        *_colours("#1d232b", "#5a6572", "#ffffff", "#8a94a1", {name: look.light for name, look in looks.items()}),
    ]
    dark = _colours("#e6eaf0", "#a3adba", "#12161c", "#76818f", {name: look.dark for name, look in looks.items()})
    plain, by_night = (_scoped(rules) for rules in ([*_FORM.splitlines(), *dashes, *light], dark))
    return "\n".join([*plain, "@media (prefers-color-scheme:dark){", *by_night, "}"])


def _scoped(rules: list[str]) -> list[str]:
    """Each selector of each rule within the picture."""
    found = []
    for rule in rules:
        selectors, brace, body = rule.partition("{")
        found.append(",".join(f".{SCOPE} {each}".rstrip() for each in selectors.split(",")) + brace + body)
    return found


def _colours(ink: str, dim: str, ground: str, line: str, looks: dict[str, tuple[str, str]]) -> list[str]:
    rules = [
        f".ground{{fill:{ground}}}",
        f".title,.name{{fill:{ink}}}",
        f".summary,.note{{fill:{dim}}}",
        f".edge{{stroke:{line}}}",
        f".head{{fill:{line}}}",
    ]
    frames = [f".{name}>.frame{{fill:{ground}}}" for name in looks]
    for name, (own, tint) in looks.items():
        rules += [
            f".{name}>.box{{fill:{tint};stroke:{own}}}",
            f".{name}>.said,.{name}>.solid{{fill:{own}}}",
            f".{name}>.line{{stroke:{own}}}",
            f".{name}>.mark{{stroke:{tint}}}",
            f".{name}>.hole{{fill:{tint}}}",
        ]
    return rules + frames
