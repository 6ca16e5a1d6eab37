#!/usr/bin/env python3
"""Draws programs and walks through them: tests/golden/ldb_programs.py SEED COUNT > tests/golden/ldb/programs.txt

The replies are recorded afterwards by tests/golden/ldb.py.
"""

import random
import sys

draw = random.Random(int(sys.argv[1]))
pick = draw.choice
NAMES = ["a", "b", "c", "d"]


class Program:
    def __init__(self):
        self.functions = 0
        self.size = 0

    def expression(self, names, depth=0):
        at = draw.random()
        name = pick(names) if names else "1"
        if depth > 2 or at < 0.3:
            return pick([name, str(draw.randint(0, 9)), "'s'", "nil", "true"])
        one, two = (self.expression(names, depth + 1) for _ in range(2))
        brk = pick(["", "", "\n  "])
        return pick([
            f"({one} ==\n  {two})", f"({one} and{brk} {two})", f"({one} or{brk} {two})", f"not {one}",
            f"{{{one},{brk} {two}}}", f"tostring({brk}{one})", f"type({one})", f"select('#',{brk} {one}, {two})",
            f"(function(x) return x,{brk} {one} end)({two})", f"{{x = {one},{brk} unpack({{{two},\n {one}}})}}",
            f"redis.sha1hex(tostring({brk}{one}))", f"pcall(tostring,{brk} {one})",
        ])

    def block(self, names, depth, returns=False):
        names = list(names)
        lines = []
        for _ in range(draw.randint(1, 3)):
            lines.append(self.statement(names, depth))
        return pick([" ", "\n"]).join(lines)

    def statement(self, names, depth):
        self.size += 1
        e = lambda: self.expression(names)
        inner = lambda more=(): self.block(names + list(more), depth + 1)
        sep = lambda: pick([" ", "\n"])
        kinds = ["local", "local", "assign", "call"]
        if depth < 3 and self.size < 25:
            kinds += ["if", "for", "in", "while", "repeat", "function", "do", "pcall", "tail", "method", "varargs", "wrap"]
        kind = pick(kinds)
        if kind == "local":
            name = pick(NAMES)
            text = f"local {name} = {e()}"
            names.append(name)
            return text
        if kind == "assign" and names:
            return f"{pick(names)} = {e()}"
        if kind == "if":
            return f"if {e()} then{sep()}{inner()}{sep()}elseif {e()} then{sep()}{inner()}{sep()}else{sep()}{inner()}{sep()}end"
        if kind == "for":
            return f"for i = 1, 2 do{sep()}{inner(['i'])}{sep()}end"
        if kind == "in":
            return f"for k, v in ipairs({{1,\n 2}}) do{sep()}{inner(['k', 'v'])}{sep()}end"
        if kind == "while":
            return f"local n = 0 while n < 2 do{sep()}n = n + 1{sep()}{inner()}{sep()}if n > 5 then break end end"
        if kind == "repeat":
            return f"local m = 0{sep()}repeat local o = m m = m + 1{sep()}{inner(['o'])}{sep()}until o > 0"
        if kind == "do":
            return f"do{sep()}{inner()}{sep()}end"
        if kind == "pcall":
            return f"local ok, err = pcall(function(){sep()}{inner()}{sep()}error('bad', {draw.randint(0, 2)}) end)"
        self.functions += 1
        f = f"f{self.functions}"
        if kind == "function":
            return f"local function {f}(p, q){sep()}{inner(['p', 'q'])}{sep()}return {e()}{sep()}end{sep()}local r = {f}({e()},{sep()}{f} and {e()})"
        if kind == "tail":
            return f"local function {f}(n){sep()}if n == 0 then return n end{sep()}return {f}({sep()}n - 1){sep()}end{sep()}{f}(2)"
        if kind == "method":
            return f"local {f} = {{}}{sep()}function {f}:m(p){sep()}{inner(['self', 'p'])}{sep()}return self end{sep()}{f}:m({e()})"
        if kind == "varargs":
            return f"local function {f}(...){sep()}local x = ...{sep()}return ...{sep()}end{sep()}local y = {f}({e()},{sep()}{f}({e()},{sep()}1))"
        if kind == "wrap":
            return f"local {f} = coroutine.wrap(function(p){sep()}{inner(['p'])}{sep()}coroutine.yield(p){sep()}return 1 end){sep()}{f}(3) {f}()"
        return f"redis.call('ECHO',{sep()}'x')"

    def text(self):
        return self.block(["KEYS"], 0) + "\n" + self.block([], 1) + f"\nreturn {self.expression([])}"


def escaped(text):
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


print("# Programs that were drawn, and walks through them.")
for number in range(int(sys.argv[2])):
    conn = f"c{number}"
    print(f"{conn}> SCRIPT DEBUG YES")
    print(f'{conn}> EVAL "{escaped(Program().text())}" 0')
    for _ in range(draw.randint(10, 30)):
        print(f"{conn}> s")
        step = draw.random()
        if step < 0.5:
            print(f"{conn}> p")
        elif step < 0.6:
            print(f"{conn}> t")
        elif step < 0.7:
            print(f"{conn}> p {pick(NAMES)}")
    print(f"{conn}> a")
