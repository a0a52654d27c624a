"""HTTP goals: bench-rpc's own loop beside `wrk -t1` on Debian's nginx, plain and TLS; libcurl's figure; the builtin floor.

The server has CPU 0, the client of the moment CPU 1. A rate is requests over the time that they took; wrk's window holds its
connects too, which the key of the certificate (P-256) keeps small. CPU per request is what the load of other work on the
machine disturbs least.
"""
import os
import re
import resource
import statistics
import subprocess

import pytest

from peers.nginx import Nginx
from ratio import Goals, go_first, mpbench as bench, pairs, ratio, values

# many short pairs: what else the machine does lasts longer than one
SECONDS, MANY = 1, 16
SETTINGS = [(16, "plain"), (128, "plain"), (16, "tls"), (128, "tls")]


@pytest.fixture(scope="module")
def goals():
    g = Goals("http")
    go_first()
    yield g
    g.write()


@pytest.fixture(scope="module")
def nginx(peer, tmp_path_factory):
    if os.cpu_count() < 2:
        pytest.skip("two CPUs are needed: the server's and the client's")
    one = Nginx(peer("nginx-light", "nginx"), tmp_path_factory.mktemp("nginx"), keepalive=10 ** 9, prefix=["taskset", "-c", "0"])
    yield one
    one.close()


def cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def seconds(connections, url):
    """Where many handshakes lie in wrk's window they are to be a small part of it."""
    return 2 * SECONDS if connections > 100 and url.startswith("https") else SECONDS


def wrk(program, url, connections, seen):
    before = cpu()
    done = subprocess.run(["taskset", "-c", "1", program, "-t1", f"-c{connections}", f"-d{seconds(connections, url)}", url + "/"],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True)
    count = int(re.search(r"(\d+) requests in", done.stdout).group(1))
    assert "Non-2xx" not in done.stdout and "Socket errors" not in done.stdout, done.stdout
    seen.append((cpu() - before) / count)
    return float(re.search(r"Requests/sec: +([\d.]+)", done.stdout).group(1))


def ours(url, connections, seen, *how):
    document = bench("bench-rpc", "--case", "ping", "--no-floor", "--insecure", "-c", str(connections), "--runs", "1", "--duration",
                     str(seconds(connections, url)), "--pin", "1", *how, url + "/")
    seen.append(values(document, "rpc.ping", "client.cpu")[0] / 1e9)
    return values(document, "rpc.ping", "rate")[0]


@pytest.mark.parametrize("connections,kind", SETTINGS)
def test_beside_wrk(connections, kind, nginx, peer, goals):
    program, url = peer("wrk"), getattr(nginx, kind)
    cpu_wrk, cpu_ours = [], []
    a, b = pairs(lambda: wrk(program, url, connections, cpu_wrk), lambda: ours(url, connections, cpu_ours), n=MANY)
    goals.add(f"requests of nginx, {connections} connections, {kind}", "wrk -t1", a, "fast engine", b, 0.95, better="higher", unit="1/s")
    r, low, high = ratio(cpu_wrk, cpu_ours)
    goals.note(f"CPU of the client per request, {connections} connections, {kind}: {r:.3g} [{low:.3g}, {high:.3g}] of wrk's "
               f"(medians {statistics.median(cpu_ours) * 1e6:.3g} and {statistics.median(cpu_wrk) * 1e6:.3g} us)")


@pytest.mark.parametrize("connections,kind", SETTINGS)
def test_libcurl_beside_wrk(connections, kind, nginx, peer, goals):
    program, url = peer("wrk"), getattr(nginx, kind)
    cpu_wrk, cpu_ours = [], []
    a, b = pairs(lambda: wrk(program, url, connections, cpu_wrk),
                 lambda: ours(url, connections, cpu_ours, "--engine", "curl"), n=4)
    r, low, high = ratio(a, b)
    goals.note(f"libcurl's own figure, {connections} connections, {kind}: {r:.3g} of wrk's rate (median {sorted(b)[2]:.0f}/s), "
               f"{sorted(cpu_ours)[2] * 1e6:.3g} us of CPU per request")


def test_floor(goals):
    """What the client, the kernel and a server that does nothing take together."""
    document = bench("bench-rpc", "--case", "ping", "--no-floor", "--runs", "10", "-n", "5000", "--pin", "1,0", "builtin:http")
    latency, used = (sorted(values(document, "rpc.ping", m)) for m in ("latency.median", "client.cpu"))
    goals.note(f"builtin:http, one client: median {latency[5] / 1e3:.1f} us a request, {used[5] / 1e3:.1f} us of the client's CPU")
