"""Writes glob_cases.txt: patterns and keys with what fnmatch.fnmatchcase says of them.

Each line: pattern and key in hex ("-" = empty), then 1 or 0. Run by hand, with any Python from 3.11; the result is
committed, and the same for all of them. Keys and patterns are bytes, their text is UTF-8 with "surrogateescape".
"""

import random
import warnings
from fnmatch import fnmatchcase
from pathlib import Path

HAND_PICKED = [
    "", "*", "**", "?", "??", "*?", "?*?", "a", "a*", "*a", "*a*", "a*b", "a**b", "a*b*c", "[", "[]", "[!]", "[!", "[a",
    "]", "[]]", "[!]]", "[]a]", "[!]a]", "[]-a]", "[!]-a]", "[a-c]", "[!a-c]", "[c-a]", "[!c-a]", "[a-a]", "[-a]", "[a-]",
    "[--a]", "[!--a]", "[+--]", "[-]", "[--]", "[---]", "[!-]", "[!--]", "[!-a]", "[a-c-e]", "[a-cd-f]", "[c-ab-d]", "[c-a!x]",
    "[c-a!]", "[c-a!-d]", "[c-a!-dx-z]", "[^a]", "[!^a]", "[^]", "[a^]", "[[]", "[[a]", "[[-a]", "[a[]", "[\\]", "[\\a]",
    "[a\\-z]", "[\\-a]", "[a&&b]", "[a||b]", "[a~~b]", "[*]", "[?]", "[!*]", "[*-?]", "a[", "a[b", "*[", "[]*", "[!]*",
    "[a]*[b]", "*[a-c]*", "?[!b]?", "\\*", "\\?", ".", ".*", "(a)", "a|b", "^a$", "\n", "*\n", "a\n", "é", "?é", "é*",
    "[é]", "[à-ü]", "[!é]", "[a-é]", "*é*", "日本*", "[日-本]", "*本", "😀", "?😀", "[😀-😂]", "\udcff", "?\udcff",
    "\udcc3*", "*\udca9", "[\udc80-\udcff]", "[!\udc80-\udcff]", "\udce2\udc82?", "hash-*-06-2018-*", "hash-??-06-2018-*",
    "hash-[0-3]?-06-*", "*-42", "*-*-*", "user:[0-9]*:name", "[z-a]", "x[z-a]*", "[z-ay-b]", "[b-a-c]", "[a-c-b-d]",
    "*" + "a?" * 40, "a" * 70, "a" * 62 + "*", "a*" * 70, "*" + "é" * 40, "*" + "b" * 63, "*" + "b" * 64, "?" * 63 + "*",
]  # fmt: skip

KEYS = [
    b"", b"a", b"b", b"c", b"d", b"e", b"x", b"z", b"-", b"!", b"[", b"]", b"^", b"\\", b"*", b"?", b"&", b"|", b"~", b"[]", b"[!]",
    b"[!", b"[a", b"a[", b"a[b", b"ab", b"abc", b"aXbYc", b"ba", b"aa", b"aab", b"\n", b"a\n", b"\\*", b"\\?", b"\\a", b".", b"(a)",
    b"a|b", b"^a$", b"\0", b"a\0b", "é".encode(), "aé".encode(), "éa".encode(), "è".encode(), "日本".encode(),
    "日本語".encode(), "x本".encode(), "😀".encode(), "a😀".encode(), b"\xff", b"a\xff", b"\xc3", b"\xc3\xa9", b"\xc3A",
    b"\xa9", b"\xe2\x82", b"\xe2\x82A", b"\xe2\x82\xac", b"\xed\xa0\x80", b"\xf0\x80\x80\x80", b"\xc0\x80", b"\xf4\x90\x80\x80",
    b"hash-01-06-2018-42", b"hash-06-2018-06-2018-", b"hash-01-05-2018-42", b"hash-x", b"user:7:name", b"user::name", b"a" * 70,
    b"a" * 62, b"ab" * 40, b"b" * 63, b"b" * 64, b"b" * 65, b"xb" * 70 + b"b" * 64, "é".encode() * 40, "é".encode() * 41,
]  # fmt: skip

PATTERN_PIECES = [*"aab--[]!*?^\\", "é", "[a", "a-", "-z", "[!", "b]", "\udcc3", "\udca9"]
KEY_PIECES = [
    b"a",
    b"a",
    b"b",
    b"-",
    b"!",
    b"]",
    b"z",
    b"^",
    b"\\",
    "é".encode(),
    b"\xc3",
    b"\xa9",
    "€".encode(),
]


def text_of(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")


def main() -> None:
    draw = random.Random(1)
    warnings.simplefilter("ignore", FutureWarning)  # re's, of possible nested sets
    cases: set[tuple[bytes, bytes]] = set()
    for pattern in HAND_PICKED:
        encoded = pattern.encode("utf-8", "surrogateescape")
        chosen = [key for key in KEYS if fnmatchcase(text_of(key), pattern)]
        chosen += draw.sample(KEYS, 12)
        cases.update((encoded, key) for key in chosen)
    while len(cases) < 6000:
        pattern = "".join(draw.choices(PATTERN_PIECES, k=draw.randint(1, 10)))
        for _ in range(4):
            key = b"".join(draw.choices(KEY_PIECES, k=draw.randint(0, 6)))
            # Mismatches are easy to find, so keep few of them.
            if fnmatchcase(text_of(key), pattern) or draw.random() < 0.2:
                # A pattern's text must survive the way through bytes: joined pieces may form one character.
                encoded = pattern.encode("utf-8", "surrogateescape")
                if text_of(encoded) == pattern:
                    cases.add((encoded, key))
    lines = [
        f"{pattern.hex() or '-'} {key.hex() or '-'} {int(fnmatchcase(text_of(key), text_of(pattern)))}"
        for pattern, key in sorted(cases)
    ]
    Path(__file__).with_name("glob_cases.txt").write_text("\n".join(lines) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
