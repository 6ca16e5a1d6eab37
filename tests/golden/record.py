#!/usr/bin/env python3
"""Records random sessions on a real server: tests/golden/record.py PORT > tests/golden/collections.json

The server must be a fresh redis-server 7.0.15 that nobody else uses. Replies are text in which each byte is one character
(latin-1). Replies whose order a hash table decides are marked; commands that draw at random are left out.
"""

import json
import random
import socket
import sys

KEYS = ["k1", "k2", "k3", "k4"]
FIELDS = ["a", "b", "c", "f1", "12", "-7", "long" * 17]
VALUES = ["x", "", "5", "-3", "3.5", "nan", "1e400", "inf", "-inf", "0x1p3", "9223372036854775807", "a b", "v" * 70]
SCORES = ["1", "2", "-1.5", "3", "inf", "-inf", "1e300", "0.1", "x", "nan", "(2", "(1", "0x10", " 1", "1e-400"]
LEX = ["-", "+", "[a", "(a", "[c", "(f1", "x", "[", "("]
ORDER = {"smembers", "sunion", "sinter", "sdiff", "hgetall", "hkeys", "hvals", "sscan", "hscan", "zscan"}

draw = random.Random(70015)
pick = draw.choice


def key():
    return pick(KEYS)


def some(values, most=4):
    return [pick(values) for _ in range(draw.randint(1, most))]


def number():
    return str(pick([0, 1, 2, 3, -1, -2, -3, 5, 100, -100, "x", "9223372036854775807", "-9223372036854775808"]))


def limit():
    return pick([[], [], [], ["LIMIT", number(), number()]])


def hashes():
    pairs = [text for _ in range(draw.randint(1, 3)) for text in (pick(FIELDS), pick(VALUES))]
    return pick([
        ["HSET", key(), *pairs], ["HSET", key(), *pairs, "odd"], ["HMSET", key(), *pairs],
        ["HSETNX", key(), pick(FIELDS), pick(VALUES)], ["HGET", key(), pick(FIELDS)],
        ["HMGET", key(), *some(FIELDS)], ["HINCRBY", key(), pick(FIELDS), number()],
        ["HINCRBYFLOAT", key(), pick(FIELDS), pick(VALUES + SCORES)], ["HDEL", key(), *some(FIELDS)],
        ["HLEN", key()], ["HSTRLEN", key(), pick(FIELDS)], ["HKEYS", key()], ["HVALS", key()],
        ["HGETALL", key()], ["HEXISTS", key(), pick(FIELDS)], ["HSCAN", key(), pick(["0", "0", "x"]), "COUNT", "1000"],
        ["HSCAN", key(), "0", "MATCH", "f*", "COUNT", "1000"], ["HRANDFIELD", key(), "0"],
        ["HRANDFIELD", key(), number(), "WITHSCORES"], ["HRANDFIELD", key(), "x"],
    ])


def sets():
    members = FIELDS + ["1", "2", "3", "70000", "5000000000"]
    return pick([
        ["SADD", key(), *some(members)], ["SADD", key(), *some(["1", "2", "3", "7"])], ["SREM", key(), *some(members)],
        ["SMOVE", key(), key(), pick(members)], ["SISMEMBER", key(), pick(members)],
        ["SMISMEMBER", key(), *some(members)], ["SCARD", key()], ["SMEMBERS", key()],
        [pick(["SINTER", "SUNION", "SDIFF"]), *some(KEYS)],
        [pick(["SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"]), key(), *some(KEYS)],
        ["SINTERCARD", number(), *some(KEYS), *pick([[], ["LIMIT", number()], ["LIMIT"]])],
        ["SSCAN", key(), "0", "COUNT", "1000"], ["SPOP", key(), "0"],
        ["SPOP", key(), "-1"], ["SRANDMEMBER", key(), "0"], ["SRANDMEMBER", key(), "1", "2"],
    ])


def lists():
    side = lambda: pick(["LEFT", "RIGHT", "left", "x"])
    return pick([
        [pick(["LPUSH", "RPUSH"]), key(), *some(FIELDS)], [pick(["LPUSHX", "RPUSHX"]), key(), *some(FIELDS)],
        ["LINSERT", key(), pick(["BEFORE", "AFTER", "x"]), pick(FIELDS), pick(FIELDS)], ["LLEN", key()],
        ["LINDEX", key(), number()], ["LSET", key(), number(), pick(FIELDS)],
        [pick(["LPOP", "RPOP"]), key()], [pick(["LPOP", "RPOP"]), key(), number()],
        ["LMPOP", number(), *some(KEYS, 2), side()], ["LMPOP", "2", key(), key(), side(), "COUNT", number()],
        ["LRANGE", key(), number(), number()], ["LTRIM", key(), number(), number()],
        ["LPOS", key(), pick(FIELDS), *pick([[], ["RANK", number()], ["COUNT", number()], ["MAXLEN", number()],
                                            ["RANK", "-1", "COUNT", "0"], ["RANK", "2", "COUNT", "2", "MAXLEN", "3"]])],
        ["LREM", key(), number(), pick(FIELDS)], ["RPOPLPUSH", key(), key()], ["LMOVE", key(), key(), side(), side()],
    ])


def zsets():
    pairs = [text for _ in range(draw.randint(1, 3)) for text in (pick(SCORES), pick(FIELDS))]
    flags = draw.sample(["NX", "XX", "GT", "LT", "CH", "INCR"], draw.choice([0, 0, 0, 1, 1, 2]))
    weights = pick([[], [], ["WEIGHTS", "2", "-1"], ["WEIGHTS", "inf", "x"], ["AGGREGATE", "MIN"], ["AGGREGATE", "max"],
                    ["WITHSCORES"], ["WEIGHTS", "0", "inf", "AGGREGATE", "SUM"], ["AGGREGATE", "x"]])
    return pick([
        ["ZADD", key(), *flags, *pairs], ["ZADD", key(), *pairs], ["ZADD", key(), "1", "a", "1", "b", "1", "c", "1", "f1"],
        ["ZINCRBY", key(), pick(SCORES), pick(FIELDS)], ["ZREM", key(), *some(FIELDS)], ["ZCARD", key()],
        ["ZSCORE", key(), pick(FIELDS)], ["ZMSCORE", key(), *some(FIELDS)], ["ZRANK", key(), pick(FIELDS)],
        ["ZREVRANK", key(), pick(FIELDS)], [pick(["ZPOPMIN", "ZPOPMAX"]), key()],
        [pick(["ZPOPMIN", "ZPOPMAX"]), key(), number()], ["ZMPOP", "2", key(), key(), pick(["MIN", "MAX", "x"])],
        ["ZMPOP", number(), key(), "MIN", "COUNT", number()], ["ZSCAN", key(), "0", "COUNT", "1000"],
        ["ZRANGE", key(), number(), number(), *pick([[], ["WITHSCORES"], ["REV"], ["REV", "WITHSCORES"], *[limit()]])],
        ["ZRANGE", key(), pick(SCORES), pick(SCORES), "BYSCORE", *pick([[], ["REV"]]), *limit(), *pick([[], ["WITHSCORES"]])],
        ["ZRANGE", key(), pick(LEX), pick(LEX), "BYLEX", *pick([[], ["REV"]]), *limit(), *pick([[], [], ["WITHSCORES"]])],
        ["ZRANGESTORE", key(), key(), pick(SCORES), pick(SCORES), "BYSCORE", *limit()],
        ["ZRANGESTORE", key(), key(), number(), number(), *pick([[], ["REV"], ["WITHSCORES"]])],
        [pick(["ZRANGEBYSCORE", "ZREVRANGEBYSCORE"]), key(), pick(SCORES), pick(SCORES), *limit()],
        [pick(["ZRANGEBYLEX", "ZREVRANGEBYLEX"]), key(), pick(LEX), pick(LEX), *limit()],
        ["ZREVRANGE", key(), number(), number(), *pick([[], ["WITHSCORES"], ["REV"]])],
        ["ZCOUNT", key(), pick(SCORES), pick(SCORES)], ["ZLEXCOUNT", key(), pick(LEX), pick(LEX)],
        ["ZREMRANGEBYRANK", key(), number(), number()], ["ZREMRANGEBYSCORE", key(), pick(SCORES), pick(SCORES)],
        ["ZREMRANGEBYLEX", key(), pick(LEX), pick(LEX)], ["ZRANDMEMBER", key(), "0"],
        [pick(["ZUNION", "ZINTER"]), "2", key(), key(), *weights],
        [pick(["ZUNIONSTORE", "ZINTERSTORE"]), key(), "2", key(), key(), *weights],
        ["ZDIFF", "2", key(), key(), *pick([[], ["WITHSCORES"]])], ["ZDIFFSTORE", key(), "2", key(), key()],
        ["ZINTERCARD", "2", key(), key(), *pick([[], ["LIMIT", number()]])],
        [pick(["ZUNION", "ZDIFF", "ZINTERCARD"]), number(), key()],
    ])


def common():
    return pick([
        ["DEL", key()], ["DEL", key()], ["TYPE", key()], ["OBJECT", "ENCODING", key()], ["COPY", key(), key(), "REPLACE"],
        ["RENAME", key(), key()], ["EXISTS", *some(KEYS)], ["SET", key(), pick(VALUES)], ["GET", key()], ["DUMP", key()],
        ["STRLEN", key()], ["APPEND", key(), "z"], ["INCR", key()], ["GETRANGE", key(), "0", "-1"], ["SETRANGE", key(), "1", "z"],
        ["MGET", *KEYS], ["GETSET", key(), "1"], ["GETDEL", key()], ["LCS", key(), key()], ["INCRBYFLOAT", key(), "1"],
        ["DEL", *KEYS],
    ])


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rb")

    def send(self, args):
        parts = [arg.encode("latin-1") for arg in args]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        return self.reply().decode("latin-1")

    def reply(self):
        line = self.file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"$" and int(rest) >= 0:
            return line + self.file.read(int(rest) + 2)
        if kind in b"*~>%" and int(rest) > 0:
            return line + b"".join(self.reply() for _ in range(int(rest) * (2 if kind == b"%" else 1)))
        return line


def main():
    client = Client(int(sys.argv[1]))
    sessions = []
    families = {"hashes": hashes, "sets": sets, "lists": lists, "zsets": zsets}
    for name, family in [*families.items(), ("mixed", None)]:
        for version in ("2", "3"):
            client.send(["FLUSHALL"])
            steps = []
            setup = [["HELLO", version], ["CONFIG", "SET", "hash-max-listpack-entries", "5", "set-max-intset-entries", "4",
                                          "zset-max-listpack-entries", "4"]]
            for args in setup:
                reply = client.send(args)
                steps.append({"c": "A", "args": args, "reply": reply, **({"varies": "hello"} if args[0] == "HELLO" else {})})
            for _ in range(400):
                chosen = family or pick(list(families.values()))
                args = common() if draw.random() < 0.2 else chosen()
                step = {"c": "A", "args": args, "reply": client.send(args)}
                if args[0].lower() in ORDER:
                    step["varies"] = "order"
                if args[0] == "DUMP":
                    kind = client.send(["OBJECT", "ENCODING", args[1]])
                    if "hashtable" in kind:
                        continue
                steps.append(step)
            sessions.append({"session": f"{name}/resp{version}", "steps": steps})
    print(json.dumps(sessions, ensure_ascii=False, separators=(",", ":")))


main()
