#!/usr/bin/env python3
"""Draws a script of a family of tests/suite/differential/sessions.txt: tests/golden/sessions.py FAMILY SEED STEPS

What it prints goes to tests/golden/scripts/; its replies are recorded there by `UPDATE=1 cargo test --test suite conformance`.
Requests whose replies have no order, or that need what a server says first, are left out.
"""

import pathlib
import random
import re
import shlex
import sys

FILE = pathlib.Path(__file__).parent.parent / "suite/differential/sessions.txt"
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
LEFT_OUT = ("{dump}", "{functions}")
TIMED = ("XPENDING", "XINFO")


def read(family):
    """The family's directives, classes and lines. Words stay as they are written, with their quotes."""
    shared, config, lines, name = {}, [], [], None
    classes = shared
    for row in FILE.read_text().splitlines():
        if not row.strip() or row.startswith("#"):
            continue
        if row.startswith("["):
            name = row[1:-1]
            if name == family:
                classes = dict(shared)
        elif name not in (None, family):
            continue
        elif row.startswith("@"):
            key, words = row[1:].split("=", 1)
            classes[key.strip()] = TOKEN.findall(words)
        elif row.startswith("config "):
            config.append(row)
        else:
            head, rest = row.split("> ", 1)
            lines.append((head, TOKEN.findall(rest)))
    return config, classes, lines


def alternatives(tokens):
    """Reads up to the end of a choice: its alternatives, and how often."""
    all_of_it = [[]]
    while tokens:
        token = tokens.pop(0)
        times = token[-1] if token[-1] in "?*+" and token[-2:-1] in ("]", "}") else ""
        text = token[:-1] if times else token
        if text == "]":
            return all_of_it, times
        if text == "|":
            all_of_it.append([])
        elif text == "[":
            choice, times = alternatives(tokens)
            all_of_it[-1].append((choice, times))
        else:
            all_of_it[-1].append((text, times))
    return all_of_it, ""


def draw(pieces, classes, pick):
    for node, times in pieces:
        count = {"": 1, "?": int(pick.random() < 0.4), "*": pick.randrange(4), "+": pick.randint(1, 3)}[times]
        for _ in range(count):
            if isinstance(node, list):
                yield from draw(pick.choice(node), classes, pick)
            elif node.startswith("{"):
                yield pick.choice(classes[node[1:-1]])
            else:
                yield node


def main():
    family, seed, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    config, classes, lines = read(family)
    lines = [(head, tokens) for head, tokens in lines if head[-1].isalpha() and not any(word in tokens for word in LEFT_OUT)]
    pick = random.Random(seed)
    print(f"# Drawn by tests/golden/sessions.py {shlex.join(sys.argv[1:])}")
    print("\n".join(config), end="\n" if config else "")
    for conn in sorted({conn for head, _ in lines for conn in head}):
        print(f"{conn}?> HELLO {pick.choice('23')}")
    for _ in range(steps):
        head, tokens = pick.choice(lines)
        words = list(draw(alternatives(list(tokens))[0][0], classes, pick))
        mark = "~" if words[0] in TIMED else ""
        print(f"{pick.choice(head)}{mark}> {' '.join(words)}")


main()
