"""TFTP goals: bench-tftp beside other clients on the same servers, and serve tftp beside other servers under the same client."""
import os
import pathlib
import re
import socket
import subprocess
import time

import pytest

from ratio import PAIRS, TOP, Goals, go_first, pairs, ratio, values, mpbench as bench

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="Debian's TFTP servers change their root, which takes root")
HOST = {"atftpd": "127.0.0.1", "tftpd-hpa": "127.0.0.1", "dnsmasq": "127.0.0.69"}  # dnsmasq has port 69 only


@pytest.fixture(scope="module")
def goals():
    g = Goals("tftp")
    if not go_first():
        g.note("other processes of this machine ran beside, with equal rights")
    yield g
    g.write()


@pytest.fixture(scope="module")
def program(peer):
    """program("atftp"): the executable itself. The tests' wrapper is a shell script, which would be started once more for each process."""
    before = os.environ.get("LD_LIBRARY_PATH")

    def find(package, name=None):
        path = pathlib.Path(peer(package, name))
        text = path.read_bytes()[:4096].decode(errors="replace")
        inner = re.search(r'^exec (\S+) "\$@"$', text, re.M)
        if not text.startswith("#!/bin/sh") or not inner:
            return str(path)
        os.environ["LD_LIBRARY_PATH"] = re.search(r"^LD_LIBRARY_PATH=([^$\n]*)", text, re.M).group(1)
        return inner.group(1)
    yield find
    if before is None:
        os.environ.pop("LD_LIBRARY_PATH", None)
    else:
        os.environ["LD_LIBRARY_PATH"] = before


@pytest.fixture(scope="module")
def floor():
    """floor(at, file, clients, transfers, *options): seconds that the hand-written loop takes."""
    made = TOP / "build" / "bench" / "tftp-floor"
    made.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cc", "-O2", "-o", made, TOP / "tests" / "bench" / "tftp-floor.c"], check=True)

    def run(at, file, clients, transfers, *options):
        host, port, _ = at
        return float(subprocess.run([made, host, str(port), file, str(clients), str(transfers), *options], capture_output=True, text=True,
                                    check=True, timeout=60).stdout)
    return run


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    top = tmp_path_factory.mktemp("bench")
    for directory in (top, top.parent, top.parent.parent):
        directory.chmod(0o755)
    for name, size in (("k1", 1024), ("k100", 100 << 10), ("m1", 1 << 20), ("m8", 8 << 20), ("m32", 32 << 20)):
        (top / name).write_bytes(os.urandom(size))
        (top / name).chmod(0o644)
    return top


@pytest.fixture(scope="module")
def servers(files, program, goals):
    """{name: (host, port, pid)} of the Debian servers, running."""
    running, at = [], {}
    for name in ("atftpd", "tftpd-hpa", "dnsmasq"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            port = 69 if name == "dnsmasq" else s.getsockname()[1]
        words = {
            "atftpd": [program("atftpd"), "--daemon", "--no-fork", "--port", str(port), "--bind-address", "127.0.0.1", "--user",
                       "root.root", "--maxthread", "1000", str(files)],
            "tftpd-hpa": [program("tftpd-hpa", "in.tftpd"), "-L", "-4", "-a", f"127.0.0.1:{port}", "-u", "root", "-s", str(files)],
            "dnsmasq": [program("dnsmasq-base", "dnsmasq"), "-k", "--conf-file=/dev/null", "--port=0", "--enable-tftp", "--tftp-max=200",
                        f"--tftp-root={files}", "--listen-address=127.0.0.69", "--bind-interfaces", "--user=root", "--pid-file="],
        }[name]
        running.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        at[name] = (HOST[name], port, running[-1].pid)
    for host, port, _ in at.values():
        for _ in range(100):
            if subprocess.run(["curl", "-s", "-m", "1", "-o", "/dev/null", f"tftp://{host}:{port}/k1"]).returncode == 0:
                break
    yield at
    for process in running:
        process.terminate()
        process.wait()


def ours(at, file, *how, metric="throughput", case="read"):
    host, port, _ = at
    document = bench("bench-tftp", "--runs", "1", "--case", case, *how, f"tftp://{host}:{port}/{file}")
    return values(document, f"tftp.{case}", metric)[0]


def shares(at, file, *how, case):
    """CPUs that our client and the server kept busy during one run, the server as far as it is one process."""
    host, port, _ = at
    document = bench("bench-tftp", "--runs", "1", "--case", case, *how, f"tftp://{host}:{port}/{file}")
    b = next(b for b in document["benchmarks"] if b["name"] == f"tftp.{case}")
    run = b["runs"][0]
    span = run["ok"] / b["metrics"]["rate"]["values"][0] * 1e9
    return tuple((run["usage"][who]["user_ns"] + run["usage"][who]["system_ns"]) / span for who in ("client", "server"))


def timed(words, copies=1, directory=None):
    start = time.monotonic()
    made = [subprocess.Popen(words, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for _ in range(copies)]
    for process in made:
        assert process.wait() == 0, words
    return time.monotonic() - start


def rounds(*sides, n=PAIRS):
    """As pairs, of any number of sides: ABC CBA."""
    got = [[] for _ in sides]
    for i in range(n):
        for k in (range(len(sides)) if i % 2 == 0 else reversed(range(len(sides)))):
            got[k].append(sides[k]())
    return got


def told(goals, text, base, new):
    r, low, high = ratio(base, new)
    goals.note(f"{text} = {r:.4g} [{low:.4g}, {high:.4g}]")


def curl_parallel(at, n=200):
    host, port, _ = at
    url = f"tftp://{host}:{port}/k1"
    return n / timed(["curl", "-s", "-Z", "--parallel-max", "50", *sum((["-o", "/dev/null", url] for _ in range(n)), [])])


def process_per_get(at, program, n=100):
    host, port, _ = at
    words = [program("atftp"), "--get", "-l", "/dev/null", "-r", "k1", host, str(port)]
    return n / sum(timed(words) for _ in range(n))


# curl asks for tsize, blksize 512 and timeout 6; what bench-tftp asks for by default is tsize and blksize 1428
SAME = ("-b", "512", "--option-timeout", "6")


@pytest.mark.parametrize("name,goal", [("dnsmasq", 3), ("atftpd", 1.8)])
def test_requests_beside_curl(name, goal, servers, goals, floor):
    at = servers[name]

    def rate(*how):
        return ours(at, "k1", "-c", "50", "-n", "2000", *how, metric="rate", case="request")
    curl, same, default, least = rounds(
        lambda: curl_parallel(at), lambda: rate(*SAME), rate,
        lambda: 2000 / floor(at, "k1", 50, 2000, "tsize", "0", "blksize", "512", "timeout", "6"))
    goals.add(f"requests of 1 KiB, 50 clients, {name}, the same options", "curl -Z", curl, "bench-tftp", same, goal, better="higher", unit="1/s")
    goals.add(f"requests of 1 KiB, 50 clients, {name}, each as it asks by default", "curl -Z", curl, "bench-tftp", default, goal,
              better="higher", unit="1/s")
    told(goals, f"a loop that checks nothing, {name}, the same options: / curl -Z", curl, least)
    told(goals, f"bench-tftp / that loop, {name}", least, same)
    client, server = shares(at, "k1", "-c", "50", "-n", "2000", *SAME, case="request")
    goals.note(f"meanwhile bench-tftp kept {client:.2f} CPUs busy and {name} {server:.2f}")


def test_requests_beside_a_process_each(servers, program, goals):
    at = servers["dnsmasq"]
    a, b = pairs(lambda: process_per_get(at, program),
                 lambda: ours(at, "k1", "-c", "50", "-n", "2000", "-b", "0", "--no-tsize", metric="rate", case="request"))
    goals.add("requests of 1 KiB, dnsmasq", "atftp each", a, "bench-tftp, 50 clients", b, 15, better="higher", unit="1/s")


@pytest.mark.parametrize("name", ["atftpd", "tftpd-hpa", "dnsmasq"])
def test_fifty_clients_beside_fifty_processes(name, servers, program, goals, floor):
    host, port, _ = servers[name]
    words = [program("tftp-hpa", "tftp"), "-m", "binary", host, str(port), "-c", "get", "k100", "/dev/null"]
    processes, mine, least = rounds(
        lambda: timed(words, copies=50),
        lambda: ours(servers[name], "k100", "-c", "50", "-b", "0", "--no-tsize", "--warmup", "0", metric="time_to_last", case="storm") / 1e9,
        lambda: floor(servers[name], "k100", 50, 50))
    goals.add(f"50 x 100 KiB, blksize 512, {name}", "50 x tftp-hpa", processes, "bench-tftp", mine, 0.5)
    told(goals, f"a loop that checks nothing, {name}: / 50 x tftp-hpa", processes, least)
    told(goals, f"bench-tftp / that loop, {name}", least, mine)


# where server and client run, the file, and the ways to read it
PLACES = {"one CPU": (0, 0, "m32", [[]]), "two CPUs": (0, 1, "m8", [["--spin"]]), "any CPU": (None, None, "m32", [[], ["--spin"]])}


@pytest.fixture(params=PLACES)
def place(request, servers):
    """Where servers and clients run. Lockstep is a ping-pong of which only one side ever runs; whether the scheduler puts the two on one CPU or on
    two makes 1.2 s or 5 s of the same command, client for client."""
    everywhere = os.sched_getaffinity(0)
    cpus = sorted(everywhere, reverse=True)
    if len(cpus) < 2:
        pytest.skip("one CPU only")
    server, client = (everywhere if k is None else {cpus[k]} for k in PLACES[request.param][:2])

    def put(server, client):
        os.sched_setaffinity(0, client)
        for _, _, pid in servers.values():
            for task in os.listdir(f"/proc/{pid}/task"):
                os.sched_setaffinity(int(task), server)
    put(server, client)
    yield request.param
    put(everywhere, everywhere)


@pytest.mark.parametrize("blksize", [512, 1428, 8192])
@pytest.mark.parametrize("name", ["atftpd", "tftpd-hpa", "dnsmasq"])
def test_one_stream_beside_the_best_client(name, blksize, place, servers, program, goals):
    host, port, _ = servers[name]
    _, _, file, ways = PLACES[place]
    others = {
        "atftp": [program("atftp"), "--option", f"blksize {blksize}", "--get", "-l", "/dev/null", "-r", file, host, str(port)],
        "busybox": [program("busybox"), "tftp", "-g", "-b", str(blksize), "-l", "/dev/null", "-r", file, host, str(port)],
        "curl": ["curl", "-s", "--tftp-blksize", str(blksize), "-o", "/dev/null", f"tftp://{host}:{port}/{file}"],
    }
    if blksize == 512:
        others["tftp-hpa"] = [program("tftp-hpa", "tftp"), "-m", "binary", host, str(port), "-c", "get", file, "/dev/null"]
    # which is the best is found first, then it alone is compared
    best = min(others, key=lambda o: min(timed(others[o]) for _ in range(2)))

    def mine(*how):
        return ours(servers[name], file, "-b", str(blksize), "-n", "1", "--warmup", "0", *how, metric="latency.median") / 1e9
    theirs, *got = rounds(lambda: timed(others[best]), *(lambda way=way: mine(*way) for way in ways))
    for way, times in zip(ways, got):
        goals.add(f"{file[1:]} MiB, blksize {blksize}, windowsize 1, {place}, {name}", best, theirs,
                  " ".join(["bench-tftp", *way, "(every byte compared)"]), times, 1.05)


def against_builtin(goals, name, servers, files, goal, label, *how):
    host, port, _ = servers[name]
    document = bench("bench-tftp", "--runs", str(PAIRS), "--case", "read", "--size", "1M", *how, f"other=tftp://{host}:{port}/m1",
                     "ours=builtin:")
    a, b = (values(document, "tftp.read", "throughput", t) for t in ("other", "ours"))
    goals.add(label, name, a, "serve tftp", b, goal, better="higher", unit="B/s")


@pytest.mark.parametrize("name", ["atftpd", "tftpd-hpa", "dnsmasq"])
def test_server_with_fifty_clients(name, servers, files, goals):
    against_builtin(goals, name, servers, files, 1.5, f"server, 50 clients, 1 MiB, blksize 1428 ({name})", "-c", "50", "-b", "1428",
                    "-n", "50", "--warmup", "0")


def test_server_with_a_window(servers, files, goals):
    against_builtin(goals, "atftpd", servers, files, 4, "server, 1 stream, blksize 512, windowsize 64", "-b", "512", "-w", "64", "-n", "10")


@pytest.mark.parametrize("name", ["atftpd", "builtin"])
def test_system_calls_of_the_client(name, servers, goals):
    target = "builtin:" if name == "builtin" else "tftp://%s:%d/m1" % servers[name][:2]
    document = bench("bench-tftp", "--runs", "4", "-n", "5", "--case", "read", "--size", "1M", "-b", "512", "-w", "64", "--syscalls=self,auto",
                     target)
    metrics = document["benchmarks"][0]["metrics"]
    if "syscalls.total" not in metrics:
        pytest.skip("system calls cannot be counted here")
    calls = metrics["syscalls.total"]["summary"]["median"] / 2049
    goals.note(f"{'met' if calls <= 0.4 else 'MISSED'}: {calls:.3f} system calls of the client per block at blksize 512, windowsize 64, "
               f"{name} (goal 0.4)")
