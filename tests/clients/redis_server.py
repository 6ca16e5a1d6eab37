#!/usr/bin/env python3
"""Stands in for redis-server under Redis's own test-suite: takes its configuration file, serves one simulated server.

The suite starts it as `src/redis-server FILE [--name value …]`, finds its process number and its log in what it prints, its
files in the folder that `dir` names, its child by its parent, and ends it with SIGTERM. SPLITBRAIN names the program.
"""

import os
import shlex
import socket
import sys
import threading
import time

# What a simulated process has no use for.
LEFT_OUT = {"bind", "daemonize", "logfile", "pidfile", "unixsocketperm"}


def quoted(word):
    """A word as configuration files have it."""
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def options(words):
    """Lines that the words of a command line stand for, as redis-server joins them."""
    text, complete = "", True
    for index, word in enumerate(words):
        if complete and word.startswith("--"):
            text += ("\n" if text else "") + word[2:] + " "
            complete = len(word.split()) > 1
            last = index + 1 == len(words)
            if word.lower() == "--save" and (last or words[index + 1].startswith("--")):
                text += '""'
                complete = True
        else:
            text += quoted(word) + " "
            complete = True
    return text.splitlines()


def directives(arguments):
    """Lines of the file, then those of the command line."""
    lines = []
    if arguments and not arguments[0].startswith("-"):
        with open(arguments.pop(0), encoding="latin1") as file:
            lines = [line.strip() for line in file]
    lines += options(arguments)
    return [line for line in lines if line and not line.startswith("#")]


def link(target, name):
    """A symbolic link, there already or not."""
    if not os.path.islink(name):
        os.symlink(target, name)


def pump(source, target):
    """Passes on what comes, until nothing does."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def relay(path, port):
    """A process that is nobody's child stands for the server's UNIX socket for as long as this process lives."""
    server = os.getpid()
    if middle := os.fork():
        os.waitpid(middle, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    if os.path.exists(path):
        os.remove(path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(100)
    listener.settimeout(1)
    while os.path.exists(f"/proc/{server}"):
        try:
            client = listener.accept()[0]
            there = socket.create_connection(("127.0.0.1", port))
        except OSError:
            time.sleep(0.01)
            continue
        for ends in ((client, there), (there, client)):
            threading.Thread(target=pump, args=ends, daemon=True).start()
    os._exit(0)


def main():
    port, folder, unix, kept = "6379", ".", "", []
    for line in directives(sys.argv[1:]):
        name, _, value = line.partition(" ")
        if name == "port" and value.strip('" ').isdigit():
            port = value.strip('" ')
        elif name == "dir":
            folder = os.path.abspath(shlex.split(value)[0])
        elif name == "unixsocket":
            unix = shlex.split(value)[0]
        elif name.strip('"') not in LEFT_OUT:
            kept.append(line)
    own = os.path.join(folder, "served")
    os.makedirs(own, exist_ok=True)
    # The server's folder is the suite's, and its log goes to where the suite looks for it.
    link("..", os.path.join(own, "r1"))
    link("/dev/stdout", os.path.join(own, "r1.log"))
    with open(os.path.join(folder, "served.conf"), "w", encoding="latin1") as file:
        file.write("\n".join(kept) + f"\ndir {quoted(folder)}\n")
    scenario = os.path.join(folder, "served.toml")
    with open(scenario, "w", encoding="utf-8") as file:
        file.write('name = "served"\nduration = "60s"\nsettle = "0s"\n')
        file.write('[[redis]]\nname = "r1"\nconfig-file = "served.conf"\n')
    if unix:
        relay(unix, int(port))
    program = os.environ["SPLITBRAIN"]
    # Servers are no copies of one another: ids that are drawn alike would pass for one history.
    seed = str(int.from_bytes(os.urandom(6), "big"))
    flags = ["--quiet", "--no-report", "--no-control", "--until-down", "--forks", "--data", own, "--logs", own]
    os.execv(program, [program, "serve", scenario, "--base-port", port, "--seed", seed, *flags])


main()
