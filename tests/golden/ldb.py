#!/usr/bin/env python3
"""Records sessions of the Lua debugger with a real redis-server: tests/golden/ldb/*.txt.

A line `a> s` sends a request over connection `a`, `a| "*1\\r\\n"` raw bytes; `a-` closes it, `sleep 100` waits. What every
connection then gets within the next moments is written below, as in tests/golden/scripts. Lines in `config name value` set
directives at the start.

    tests/golden/ldb.py tests/golden/ldb/*.txt
"""

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

QUIET = 0.12


def words(text):
    """The words of a line, as redis-cli splits it."""
    out, at = [], 0
    data = text.encode("latin-1")
    while True:
        while at < len(data) and data[at : at + 1].isspace():
            at += 1
        if at >= len(data):
            return out
        word = bytearray()
        if data[at] == 0x22:
            at += 1
            while data[at] != 0x22:
                if data[at] == 0x5C and data[at + 1] == 0x78:
                    word.append(int(data[at + 2 : at + 4], 16))
                    at += 4
                elif data[at] == 0x5C:
                    named = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}
                    word += named.get(data[at + 1 : at + 2], data[at + 1 : at + 2])
                    at += 2
                else:
                    word.append(data[at])
                    at += 1
            at += 1
        elif data[at] == 0x27:
            at += 1
            while data[at] != 0x27:
                if data[at : at + 2] == b"\\'":
                    at += 1
                word.append(data[at])
                at += 1
            at += 1
        else:
            while at < len(data) and not data[at : at + 1].isspace():
                word.append(data[at])
                at += 1
        out.append(bytes(word))


def quoted(data):
    """Bytes as redis shows them (`sdscatrepr`)."""
    named = {0x5C: "\\\\", 0x22: '\\"', 10: "\\n", 13: "\\r", 9: "\\t", 7: "\\a", 8: "\\b"}
    return '"' + "".join(named.get(c) or (chr(c) if 32 <= c < 127 else f"\\x{c:02x}") for c in data) + '"'


class Server:
    def __init__(self, config):
        self.folder = tempfile.TemporaryDirectory()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        lines = [f"port {self.port}", f"dir {self.folder.name}", 'save ""', "enable-debug-command yes", "logfile log"]
        with open(os.path.join(self.folder.name, "redis.conf"), "w") as file:
            file.write("\n".join(lines + config) + "\n")
        self.process = subprocess.Popen(["redis-server", os.path.join(self.folder.name, "redis.conf")])
        self.sockets = {}
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                break
            except OSError:
                time.sleep(0.02)

    def socket(self, name):
        if name not in self.sockets:
            self.sockets[name] = socket.create_connection(("127.0.0.1", self.port))
        return self.sockets[name]

    def collect(self):
        got, closed = {}, []
        while True:
            ready, _, _ = select.select([s for n, s in self.sockets.items() if n not in closed], [], [], QUIET)
            if not ready:
                break
            for name, sock in self.sockets.items():
                if sock in ready:
                    try:
                        data = sock.recv(1 << 20)
                    except OSError:
                        data = b""
                    if data:
                        got[name] = got.get(name, b"") + data
                    else:
                        closed.append(name)
        for name in closed:
            self.sockets.pop(name).close()
        return sorted((name, got.get(name, b""), name in closed) for name in {*got, *closed})

    def stop(self):
        for sock in self.sockets.values():
            sock.close()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def is_reply(line):
    head, _, rest = line.partition(" ")
    return head.endswith("<") or rest == "closed"


def play(text):
    config = [line[7:] for line in text.splitlines() if line.startswith("config ")]
    server = Server(config)
    lines = []
    for line in text.splitlines():
        if is_reply(line):
            continue
        lines.append(line)
        if line.startswith(("#", "config ")) or not line.strip():
            continue
        if line.startswith("sleep "):
            time.sleep(int(line[6:]) / 1000)
        elif line.endswith("-"):
            server.sockets.pop(line[:-1]).close()
        else:
            head, _, rest = line.partition(" ")
            parts = words(rest)
            data = b"".join(parts)
            if head.endswith(">"):
                data = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)
            try:
                server.socket(head[:-1]).sendall(data)
            except OSError:
                pass
        for name, data, closed in server.collect():
            if data:
                lines.append(f"{name}< {quoted(data)}")
            if closed:
                lines.append(f"{name} closed")
    server.stop()
    return "".join(line + "\n" for line in lines)


for path in sys.argv[1:]:
    with open(path) as file:
        text = file.read()
    text = play(text)
    with open(path, "w") as file:
        file.write(text)
