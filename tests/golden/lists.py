#!/usr/bin/env python3
"""Draws a script of what is done to lists, and how they are cut into nodes then: tests/golden/lists.py SEED STEPS

What it prints goes to tests/golden/scripts/; its replies are recorded there by `UPDATE=1 cargo test --test suite conformance`.
Sizes of nodes, depths of compression and the size from which an element has a node to itself change on the way.
"""

import random
import sys

FILLS = ["-1", "-2", "-5", "1", "2", "3", "5", "16", "0", "100000", "-9"]
KEYS = ["l1", "l2"]


class Lists:
    """What the keys hold, as far as requests depend on it."""

    def __init__(self, rng):
        self.rng, self.held = rng, {key: [] for key in KEYS}
        self.sizes = [5]

    def element(self):
        kind = self.rng.random()
        if kind < 0.3:
            return str(self.rng.choice([0, 127, 128, -1, 4095, -4097, 30000, 8000000, 2**31, -(2**40), 2**63 - 1]))
        if kind < 0.5:
            return self.rng.choice(["a", "b", "c"])
        return self.rng.choice("xyz") * max(1, self.rng.choice(self.sizes) + self.rng.randrange(-3, 4))

    def push(self, key, left, texts):
        for text in texts:
            self.held[key].insert(0 if left else len(self.held[key]), text)
        return ["LPUSH" if left else "RPUSH", key, *texts]

    def pop(self, key, left, count):
        for _ in range(min(count, len(self.held[key]))):
            self.held[key].pop(0 if left else -1)
        return ["LPOP" if left else "RPOP", key] + ([] if count == 1 else [str(count)])

    def insert(self, key):
        pivot, text = self.rng.choice(self.held[key]), self.element()
        after = self.rng.random() < 0.5
        self.held[key].insert(self.held[key].index(pivot) + after, text)
        return ["LINSERT", key, "AFTER" if after else "BEFORE", pivot, text]

    def set(self, key):
        at, text = self.rng.randrange(len(self.held[key])), self.element()
        self.held[key][at] = text
        return ["LSET", key, str(at if self.rng.random() < 0.5 else at - len(self.held[key])), text]

    def remove(self, key):
        text, back = self.rng.choice(self.held[key]), self.rng.random() < 0.5
        held = self.held[key][::-1] if back else self.held[key]
        held.remove(text)
        self.held[key] = held[::-1] if back else held
        return ["LREM", key, "-1" if back else "1", text]

    def trim(self, key):
        begin, end = self.rng.randrange(3), self.rng.randrange(3)
        self.held[key] = self.held[key][begin : len(self.held[key]) - end]
        return ["LTRIM", key, str(begin), str(-1 - end)]

    def move(self, key):
        other, left, to_left = self.rng.choice(KEYS), self.rng.random() < 0.5, self.rng.random() < 0.5
        text = self.held[key].pop(0 if left else -1)
        self.held[other].insert(0 if to_left else len(self.held[other]), text)
        return ["LMOVE", key, other, "LEFT" if left else "RIGHT", "LEFT" if to_left else "RIGHT"]

    def request(self):
        key, kind = self.rng.choice(KEYS), self.rng.random()
        if kind < 0.3 or len(self.held[key]) < 4:
            return key, self.push(key, kind < 0.15, [self.element() for _ in range(self.rng.choice([1, 2, 5, 12]))])
        for most, step in ((0.5, self.insert), (0.7, self.set), (0.77, self.remove), (0.8, self.trim), (0.87, self.move)):
            if kind < most:
                return key, step(key)
        if kind < 0.95:
            return key, self.pop(key, self.rng.random() < 0.5, self.rng.choice([1, 1, 2, 7]))
        return key, ["LRANGE", key, "1", "3"] if kind < 0.97 else ["LINDEX", key, str(self.rng.randrange(-4, 4))]


def main():
    rng = random.Random(int(sys.argv[1]))
    lists = Lists(rng)
    print(f"# {' '.join(['tests/golden/lists.py', *sys.argv[1:]])}")
    for step in range(int(sys.argv[2])):
        if step % 25 == 0:
            lists.sizes = rng.choice([[4], [4, 40], [10, 90], [30, 400]])
            lists.held = {key: [] for key in KEYS}
            print("a> FLUSHALL")
            print(f"a> CONFIG SET list-max-listpack-size {rng.choice(FILLS)} list-compress-depth {rng.choice([0, 0, 1, 2])}")
            print(f"a> DEBUG QUICKLIST-PACKED-THRESHOLD {rng.choice([0, 0, 30, 80])}")
            print(f"a> CONFIG SET rdbcompression {rng.choice(['yes', 'yes', 'no'])}")
        key, words = lists.request()
        print("a>", *words)
        print(f"a> DUMP {key}")
        print(f"a> MEMORY USAGE {key} SAMPLES 0")
    for key in KEYS:
        print(f"a> COPY {key} copy REPLACE")
        print("a> DEBUG RELOAD")
        print("a> DUMP copy")
        print(f"a> SORT {key} ALPHA STORE sorted")
        print("a> DUMP sorted")


if __name__ == "__main__":
    main()
