#!/usr/bin/env python3
"""Writes down a real server's command table: tests/golden/commands.py PORT

The server must be a redis-server 7.0.15. What COMMAND says goes to src/server/commands/table.txt, a line for each command
and subcommand: name, arity, flags, keys, categories, tips, key specifications, separated by tabs. What COMMAND DOCS says
goes to src/server/commands/docs.json.
"""

import json
import pathlib
import socket
import sys

FOLDER = pathlib.Path(__file__).parent.parent.parent / "src/server/commands"


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rb")

    def ask(self, *words):
        parts = [word.encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        return self.read()

    def read(self):
        line = self.file.readline()[:-2]
        kind, rest = line[:1], line[1:].decode()
        if kind == b"-":
            sys.exit(rest)
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return self.file.read(int(rest) + 2)[:-2].decode()
        if kind in b"*~":
            return [self.read() for _ in range(int(rest))]
        if kind == b"%":
            return {self.read(): self.read() for _ in range(int(rest))}
        return rest


def begin(search):
    spec = search["spec"]
    if search["type"] == "index":
        return f"i{spec['index']}"
    if search["type"] == "keyword":
        return f"k{spec['keyword']},{spec['startfrom']}"
    return "?"


def find(search):
    spec = search["spec"]
    if search["type"] == "range":
        return f"r{spec['lastkey']},{spec['keystep']},{spec['limit']}"
    if search["type"] == "keynum":
        return f"n{spec['keynumidx']},{spec['firstkey']},{spec['keystep']}"
    return "?"


def keys(spec):
    return "|".join([" ".join(spec["flags"]), begin(spec["begin_search"]), find(spec["find_keys"]), spec.get("notes", "")])


def lines(command):
    name, arity, flags, first, last, step, categories, tips, specs, subcommands = command
    fields = [name, str(arity), " ".join(flags), f"{first} {last} {step}", " ".join(categories), " ".join(tips)]
    yield "\t".join(fields + ["\t".join(keys(spec) for spec in specs)]).rstrip("\t")
    for sub in sorted(subcommands):
        yield from lines(sub)


def main():
    client = Client(int(sys.argv[1]))
    client.ask("HELLO", "3")
    table = [line for command in sorted(client.ask("COMMAND")) for line in lines(command)]
    (FOLDER / "table.txt").write_text("\n".join(table) + "\n")
    docs = sorted(client.ask("COMMAND", "DOCS").items())
    for _, doc in docs:
        if "subcommands" in doc:
            doc["subcommands"] = dict(sorted(doc["subcommands"].items()))
    rows = [f"{json.dumps(name)}:{json.dumps(doc, separators=(',', ':'))}" for name, doc in docs]
    (FOLDER / "docs.json").write_text("{\n" + ",\n".join(rows) + "\n}\n")


main()
