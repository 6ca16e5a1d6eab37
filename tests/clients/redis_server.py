#!/usr/bin/env python3
"""Stands in for redis-server under Redis's own test-suite: takes its configuration file, serves one simulated server.

The suite starts it as `src/redis-server FILE [--name value …]`, looks for its process number and for `Ready to accept` in
what it prints, and ends it with SIGTERM. SPLITBRAIN names the program.
"""

import os
import socket
import sys
import time

# What a simulated process has no use for: where files are, what is logged.
LEFT_OUT = {
    "dir", "logfile", "unixsocket", "pidfile", "always-show-logo", "daemonize", "bind", "enable-protected-configs",
    "propagation-error-behavior", "loglevel",
}


def directives(arguments):
    """Lines of the file, then those of the command line."""
    lines = []
    if arguments and not arguments[0].startswith("--"):
        with open(arguments.pop(0), encoding="latin1") as file:
            lines = [line.strip() for line in file]
    for word in arguments:
        if word.startswith("--"):
            lines.append(word[2:])
        elif lines:
            lines[-1] += f' "{word}"' if " " in word or not word else f" {word}"
    return [line for line in lines if line and not line.startswith("#")]


def announce(port):
    """Says so once it answers."""
    for _ in range(400):
        try:
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"PING\r\n")
                client.recv(100)
            break
        except OSError:
            time.sleep(0.05)
    print("Ready to accept connections", flush=True)
    os._exit(0)


def main():
    port, folder, kept = 6379, ".", []
    for line in directives(sys.argv[1:]):
        name, _, value = line.partition(" ")
        if name == "port":
            port = int(value)
        elif name == "dir":
            folder = value.strip('"')
        elif name not in LEFT_OUT:
            kept.append(line)
    with open(os.path.join(folder, "served.conf"), "w", encoding="latin1") as file:
        file.write("\n".join(kept) + "\n")
    scenario = os.path.join(folder, "served.toml")
    with open(scenario, "w", encoding="utf-8") as file:
        file.write('name = "served"\nduration = "60s"\n[[redis]]\nname = "r1"\nconfig-file = "served.conf"\n')
    print(f" PID: {os.getpid()}", flush=True)
    if os.fork() == 0:
        announce(port)
    program = os.environ["SPLITBRAIN"]
    control = os.path.join(folder, "control")
    os.execv(program, [program, "serve", scenario, "--base-port", str(port), "--no-report", "--socket", control])


main()
