"""The colours that IMAGE_PROPERTIES speaks of: CSS names, and twelve simple ones.

A capture of a real answer shows that a dominant colour *is* a CSS colour, not merely named after one: its red,
green, blue and ``#rrggbb`` (lower case) are those of its name, with the spelling ``grey`` except for plain
``gray``. The guide says that SimplifiedColor is one of twelve without naming them; captures show grey, green and
black. Here they are the twelve groups into which the CSS colours are commonly sorted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

_GROUPS = """
pink: ffc0cb pink, ffb6c1 lightpink, ff69b4 hotpink, ff1493 deeppink, db7093 palevioletred, c71585 mediumvioletred
red: ffa07a lightsalmon, fa8072 salmon, e9967a darksalmon, f08080 lightcoral, cd5c5c indianred, dc143c crimson
red: b22222 firebrick, 8b0000 darkred, ff0000 red
orange: ff4500 orangered, ff6347 tomato, ff7f50 coral, ff8c00 darkorange, ffa500 orange
yellow: ffff00 yellow, ffffe0 lightyellow, fffacd lemonchiffon, fafad2 lightgoldenrodyellow, ffefd5 papayawhip
yellow: ffe4b5 moccasin, ffdab9 peachpuff, eee8aa palegoldenrod, f0e68c khaki, bdb76b darkkhaki, ffd700 gold
brown: fff8dc cornsilk, ffebcd blanchedalmond, ffe4c4 bisque, ffdead navajowhite, f5deb3 wheat, deb887 burlywood
brown: d2b48c tan, bc8f8f rosybrown, f4a460 sandybrown, daa520 goldenrod, b8860b darkgoldenrod, cd853f peru
brown: d2691e chocolate, 8b4513 saddlebrown, a0522d sienna, a52a2a brown, 800000 maroon
green: 556b2f darkolivegreen, 808000 olive, 6b8e23 olivedrab, 9acd32 yellowgreen, 32cd32 limegreen, 00ff00 lime
green: 7cfc00 lawngreen, 7fff00 chartreuse, adff2f greenyellow, 00ff7f springgreen, 00fa9a mediumspringgreen
green: 90ee90 lightgreen, 98fb98 palegreen, 8fbc8f darkseagreen, 3cb371 mediumseagreen, 2e8b57 seagreen
green: 228b22 forestgreen, 008000 green, 006400 darkgreen
cyan: 66cdaa mediumaquamarine, 00ffff cyan, e0ffff lightcyan, afeeee paleturquoise, 7fffd4 aquamarine
cyan: 40e0d0 turquoise, 48d1cc mediumturquoise, 00ced1 darkturquoise, 20b2aa lightseagreen, 5f9ea0 cadetblue
cyan: 008b8b darkcyan, 008080 teal
blue: b0c4de lightsteelblue, b0e0e6 powderblue, add8e6 lightblue, 87ceeb skyblue, 87cefa lightskyblue
blue: 00bfff deepskyblue, 1e90ff dodgerblue, 6495ed cornflowerblue, 4682b4 steelblue, 4169e1 royalblue
blue: 0000ff blue, 0000cd mediumblue, 00008b darkblue, 000080 navy, 191970 midnightblue
purple: e6e6fa lavender, d8bfd8 thistle, dda0dd plum, ee82ee violet, da70d6 orchid, ff00ff magenta
purple: ba55d3 mediumorchid, 9370db mediumpurple, 8a2be2 blueviolet, 9400d3 darkviolet, 9932cc darkorchid
purple: 8b008b darkmagenta, 800080 purple, 4b0082 indigo, 483d8b darkslateblue, 6a5acd slateblue
purple: 7b68ee mediumslateblue, 663399 rebeccapurple
white: ffffff white, fffafa snow, f0fff0 honeydew, f5fffa mintcream, f0ffff azure, f0f8ff aliceblue
white: f8f8ff ghostwhite, f5f5f5 whitesmoke, fff5ee seashell, f5f5dc beige, fdf5e6 oldlace, fffaf0 floralwhite
white: fffff0 ivory, faebd7 antiquewhite, faf0e6 linen, fff0f5 lavenderblush, ffe4e1 mistyrose
grey: dcdcdc gainsboro, d3d3d3 lightgrey, c0c0c0 silver, a9a9a9 darkgrey, 808080 gray, 696969 dimgrey
grey: 778899 lightslategrey, 708090 slategrey, 2f4f4f darkslategrey
black: 000000 black
"""


@dataclass(frozen=True, slots=True)
class Colour:
    """A CSS colour and its simple name."""

    red: int
    green: int
    blue: int
    css_name: str
    simple_name: str

    @property
    def hex_code(self) -> str:
        """``#rrggbb``"""
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"


@cache
def css_colours() -> tuple[Colour, ...]:
    """All CSS colours, each value once."""
    found = []
    for line in _GROUPS.strip().splitlines():
        simple, _, members = line.partition(": ")
        for member in members.split(", "):
            code, name = member.split()
            red, green, blue = bytes.fromhex(code)
            found.append(Colour(red=red, green=green, blue=blue, css_name=name, simple_name=simple))
    return tuple(found)


@lru_cache(maxsize=4096)
def nearest(red: int, green: int, blue: int) -> Colour:
    """The CSS colour that looks most like a value.

    The distance weighs the channels by the mean of red, a cheap and good stand-in for a perceptual one.
    """

    def distance(colour: Colour) -> float:
        mean = (red + colour.red) / 2
        reds, greens, blues = red - colour.red, green - colour.green, blue - colour.blue
        return (2 + mean / 256) * reds * reds + 4 * greens * greens + (2 + (255 - mean) / 256) * blues * blues

    return min(css_colours(), key=distance)
