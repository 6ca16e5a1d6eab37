"""redis-py against a deployment that `splitbrain serve` has put on sockets: its Sentinel and Lock classes through a failover.

Usage: redis_py.py SPLITBRAIN SCENARIO [BASE_PORT]

The scenario has one master, replicas, and sentinels that watch it as `mymaster`.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time

import redis
from redis.sentinel import Sentinel


def eventually(what, check, patience=30):
    began = time.monotonic()
    while True:
        try:
            if check():
                return
        except redis.RedisError:
            pass
        assert time.monotonic() - began < patience, f"{what}: not within {patience} s"
        time.sleep(0.05)


def basics(host, port):
    client = redis.Redis(host=host, port=port, decode_responses=True)
    assert client.ping()
    assert client.info("server")["redis_version"] == "7.0.15"
    assert client.set("string", "value", px=60_000) and 0 < client.pttl("string") <= 60_000
    assert client.hset("hash", mapping={"a": 1, "b": 2}) == 2 and client.hgetall("hash") == {"a": "1", "b": "2"}
    assert client.rpush("list", *range(5)) == 5 and client.lrange("list", 1, 3) == ["1", "2", "3"]
    assert client.zadd("zset", {"x": 1.5, "y": 2}) == 2
    assert client.zrange("zset", 0, -1, withscores=True) == [("x", 1.5), ("y", 2.0)]
    assert sorted(client.scan_iter(count=1)) == ["hash", "list", "string", "zset"]
    with client.pipeline(transaction=True) as pipe:
        pipe.watch("string")
        pipe.multi()
        pipe.incr("counter").incr("counter").get("string")
        assert pipe.execute() == [1, 2, "value"]
    with client.pipeline(transaction=False) as pipe:
        for number in range(10_000):
            pipe.set(f"many:{number}", number)
        assert all(pipe.execute())
    assert client.dbsize() == 10_005
    try:
        client.lpush("string", 1)
        raise AssertionError("a wrong type is an error")
    except redis.ResponseError as error:
        assert str(error).startswith("WRONGTYPE"), error
    # RESP3 and messages.
    three = redis.Redis(host=host, port=port, decode_responses=True, protocol=3)
    assert three.hgetall("hash") == {"a": "1", "b": "2"}
    listener = three.pubsub()
    listener.subscribe("news")
    assert listener.get_message(timeout=5)["type"] == "subscribe"
    assert client.publish("news", "hello") == 1
    assert listener.get_message(timeout=5)["data"] == "hello"
    listener.close()
    assert client.flushall()


def lock(client):
    """The Lock class: acquiring, what another one sees, extending, releasing, a time-out."""
    first, second = (client.lock("lock", timeout=10, thread_local=False) for _ in range(2))
    assert first.acquire(blocking=False) and not second.acquire(blocking=False)
    assert first.owned() and not second.owned()
    assert first.extend(5) and client.pttl("lock") > 10_000
    assert first.reacquire() and client.pttl("lock") <= 10_000
    waiter = threading.Thread(target=lambda: second.acquire(blocking_timeout=10))
    waiter.start()
    first.release()
    waiter.join()
    assert second.owned()
    second.release()
    try:
        second.release()
        raise AssertionError("released twice")
    except redis.exceptions.LockError:
        pass
    short = client.lock("lock", timeout=0.2)
    assert short.acquire(blocking=False)
    time.sleep(0.3)
    assert client.lock("lock", timeout=1).acquire(blocking=False), "it had expired"


def failover(sentinel, ctl, names):
    """The master is killed under a client that writes; the client finds the next one."""
    before = sentinel.discover_master("mymaster")
    master = sentinel.master_for("mymaster", socket_timeout=1, decode_responses=True)
    eventually("both replicas are known", lambda: len(sentinel.discover_slaves("mymaster")) == 2)
    assert master.set("before", "failover")
    eventually("a replica has acknowledged it", lambda: master.wait(1, 500) >= 1)
    replica = sentinel.slave_for("mymaster", socket_timeout=1, decode_responses=True)
    eventually("a replica has it", lambda: replica.get("before") == "failover")
    ctl("crash", names[before])
    eventually("a write succeeds again", lambda: master.set("after", "failover"))
    after = sentinel.discover_master("mymaster")
    assert after != before and master.get("before") == "failover"
    ctl("restart", names[before])
    eventually("the old master is a replica", lambda: redis.Redis(*before).info("replication")["role"] == "slave", 60)


def main(program, scenario, base_port="7100"):
    folder = tempfile.mkdtemp()
    control = f"{folder}/control"
    command = [program, "serve", scenario, "--set", "fault=[]", "--base-port", base_port, "--socket", control]
    served = subprocess.Popen(
        command + ["--json", "--no-report", "--record", f"{folder}/record.jsonl"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        listening = json.loads(served.stdout.readline())
        names = {(node["host"], node["port"]): node["name"] for node in listening["nodes"]}
        servers = [node for node in listening["nodes"] if node["kind"] == "server"]
        sentinels = [(node["host"], node["port"]) for node in listening["nodes"] if node["kind"] == "sentinel"]

        def ctl(*order):
            subprocess.run([program, "ctl", "--socket", control, *order], check=True)

        basics(servers[0]["host"], servers[0]["port"])
        sentinel = Sentinel(sentinels, socket_timeout=1)
        eventually("the master is found", lambda: sentinel.discover_master("mymaster"))
        lock(sentinel.master_for("mymaster", decode_responses=True))
        failover(sentinel, ctl, names)
        ctl("stop")
        # What is printed at the end stands on several lines.
        run = json.loads(served.stdout.read())
        assert served.wait() == 0
    finally:
        served.kill()
    replay = subprocess.run(
        [program, "run", "--replay", f"{folder}/record.jsonl", "--json", "--no-report"],
        stdout=subprocess.PIPE,
        check=True,
    )
    assert json.loads(replay.stdout)["digest"] == run["digest"], "replayed, another trace"
    print(f"redis-py {redis.__version__}: data, messages, locks, a failover; replayed, the same trace")


main(*sys.argv[1:])
