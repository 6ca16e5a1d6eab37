#!/usr/bin/env python3
"""Stands in for redis-server under Redis's own test-suite: takes its configuration file, serves one simulated server.

The suite starts it as `src/redis-server FILE [--name value …]`, finds its process number and its log in what it prints, its
files in the folder that `dir` names, its child by its parent, and ends it with SIGTERM. SPLITBRAIN names the program.
"""

import os
import shlex
import sys

# What a simulated process has no use for.
LEFT_OUT = {"bind", "daemonize", "logfile", "pidfile", "unixsocket", "unixsocketperm"}


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


def main():
    port, folder, kept = "6379", ".", []
    for line in directives(sys.argv[1:]):
        name, _, value = line.partition(" ")
        if name == "port" and value.strip('" ').isdigit():
            port = value.strip('" ')
        elif name == "dir":
            folder = os.path.abspath(shlex.split(value)[0])
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
    program = os.environ["SPLITBRAIN"]
    # Servers are no copies of one another: ids that are drawn alike would pass for one history.
    seed = str(int.from_bytes(os.urandom(6), "big"))
    flags = ["--quiet", "--no-report", "--no-control", "--until-down", "--forks", "--data", own, "--logs", own]
    os.execv(program, [program, "serve", scenario, "--base-port", port, "--seed", seed, *flags])


main()
