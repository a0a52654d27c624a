"""RPyC goals: bench-rpc beside Python's own client on the same server of python3-rpyc; stalls; many connections.

Server and client share the machine as they do in the field; both sides of a pair meet the same one, back to back.
"""
import statistics
import subprocess

import pytest

from conftest import TOP
from ratio import Goals, go_first, mpbench as bench, pairs, ratio, values

PINGS = 1500
SECONDS = 2

ONE = """
import sys, time, rpyc
conn = rpyc.connect("127.0.0.1", int(sys.argv[1]))
times = []
for i in range(100 + int(sys.argv[2])):
    begin = time.perf_counter_ns()
    conn.root.ping()
    times.append(time.perf_counter_ns() - begin)
times = sorted(times[100:])
print(times[len(times) // 2])
"""

TEN = """
import sys, threading, time, rpyc
conns = [rpyc.connect("127.0.0.1", int(sys.argv[1])) for _ in range(10)]
counts = [0] * 10
gate = threading.Barrier(11)
end = [0]
def work(i):
    root = conns[i].root
    root.ping()
    gate.wait()
    while time.perf_counter() < end[0]:
        conns[i].root.ping()
        counts[i] += 1
threads = [threading.Thread(target=work, args=(i,)) for i in range(10)]
for t in threads: t.start()
end[0] = time.perf_counter() + float(sys.argv[2])
begin = time.perf_counter()
gate.wait()
for t in threads: t.join()
print(3 * sum(counts) / (time.perf_counter() - begin))
"""


@pytest.fixture(scope="module")
def goals():
    g = Goals("rpc")
    go_first()
    yield g
    g.write()


@pytest.fixture(scope="module")
def python(peer_python):
    return peer_python("python3-rpyc", "rpyc")


@pytest.fixture(scope="module")
def server(python):
    made = []

    def make(kind):
        process = subprocess.Popen([*python, str(TOP / "tests" / "peers" / "rpyc_server.py"), kind], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        made.append(process)
        return int(process.stdout.readline())
    yield make
    for process in made:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def told(python, script, *words):
    done = subprocess.run([*python, "-c", script, *map(str, words)], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True)
    return float(done.stdout)


def ping_median(port):
    d = bench("bench-rpc", "--case", "ping", "--no-floor", "--runs", "1", "-n", str(PINGS), f"rpyc://127.0.0.1:{port}")
    return values(d, "rpc.ping", "latency.median")[0]


def rate(port, sequence, clients=10):
    d = bench("bench-rpc", "--case", "concurrent", "-c", str(clients), "--sequence", sequence, "--no-floor", "--runs", "1", "--duration",
              f"{SECONDS}s", f"rpyc://127.0.0.1:{port}")
    assert values(d, "rpc.concurrent", "error_ratio") == [0]
    return values(d, "rpc.concurrent", "rate")[0] * (3 if sequence == "python" else 1)


def test_one_ping(server, python, goals):
    port = server("threaded")
    a, b = pairs(lambda: told(python, ONE, port, PINGS) / 1e9, lambda: ping_median(port) / 1e9)
    goals.add("one ping of a ThreadedServer", "Python's conn.root.ping()", a, "direct", b, 0.25)


def test_ten_clients(server, python, goals):
    port = server("threaded")
    a, b = pairs(lambda: told(python, TEN, port, SECONDS), lambda: rate(port, "python"))
    goals.add("requests of 10 clients, the same 3 a ping", "10 threads of Python", a, "--sequence python", b, 2, better="higher", unit="1/s")


def test_threads_and_forks_are_told_apart(server, goals):
    threaded, forking = server("threaded"), server("forking")
    a, b = pairs(lambda: rate(threaded, "python"), lambda: rate(forking, "python"), n=6)
    r, low, high = ratio(a, b)
    goals.note(f"ForkingServer / ThreadedServer, requests of 10 clients: {r:.3g} [{low:.3g}, {high:.3g}] "
               f"(medians {statistics.median(b):.0f} and {statistics.median(a):.0f} /s)")
    assert low > 1


def test_no_stall_of_ours(server, goals):
    port = server("threaded")
    for name, words in (("100 KB random echo", ["--size", "100000"]), ("two requests in flight", ["--size", "4", "--in-flight", "2"]),
                        ("two 100 KB echoes in flight", ["--size", "100000", "--in-flight", "2"])):
        d = bench("bench-rpc", "--case", "echo", "--no-floor", "--runs", "3", "-n", "100", *words, f"rpyc://127.0.0.1:{port}")
        median = statistics.median(values(d, "rpc.echo", "latency.median"))
        stalls = sum(values(d, "rpc.echo", "stalls"))
        goals.note(f"{name}: median {median / 1e6:.3g} ms, {stalls:g} pauses of 35 ms in 300")
        assert median < 35e6 and stalls <= 3  # the machine may pause, too


@pytest.mark.parametrize("scheme", ["rpyc", "http"])
def test_a_thousand_connections(goals, scheme):
    d = bench("bench-rpc", "--case", "concurrent", "-c", "1000", "--runs", "2", "--duration", "2s", f"{scheme}=builtin:{scheme}")
    assert values(d, "rpc.concurrent", "error_ratio") == [0, 0]
    client, server = (max(r["usage"][side]["rss_peak_bytes"] for b in d["benchmarks"] for r in b["runs"]) for side in ("client", "server"))
    goals.note(f"1,000 connections, {scheme}: no failure, {statistics.median(values(d, 'rpc.concurrent', 'rate')):.0f} calls/s, fairness "
               f"{statistics.median(values(d, 'rpc.concurrent', 'fairness')):.2f}, {client / 2**20:.1f} MiB (the builtin server {server / 2**20:.1f})")
    assert client < 64 << 20


def test_floor(goals):
    for sequence in ("direct", "python"):
        d = bench("bench-rpc", "--case", "ping", "--sequence", sequence, "--runs", "10", "-n", "3000", "builtin:rpyc")
        latency, used = (statistics.median(values(d, "rpc.ping", m)) for m in ("latency.median", "client.cpu"))
        goals.note(f"builtin:rpyc, one client, {sequence}: median {latency / 1e3:.1f} us a call, {used / 1e3:.1f} us of the client's CPU")
