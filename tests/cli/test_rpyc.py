"""bench-rpc against RPyC servers of Debian, against one that misbehaves; serve rpyc against Python's client and hostile ones."""
import functools
import json
import os
import socket
import struct
import subprocess
import zlib

import pytest

from conftest import TOP
from peers.nginx import make_certificate
from peers.rpyc_fake import Fake, REFERENCE, frame, reply, request, small

KINDS = ["threaded", "forking", "pool", "oneshot"]


@pytest.fixture(scope="session")
def python(peer_python):
    return peer_python("python3-rpyc", "rpyc")


class Server:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        text=True, start_new_session=True)
        line = self.process.stdout.readline()
        assert line.strip().isdigit(), "the server did not come up"
        self.port = int(line)

    def url(self, query="", scheme="rpyc"):
        return f"{scheme}://127.0.0.1:{self.port}{query}"

    def close(self):
        self.process.stdin.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def server(python):
    made = []

    def make(kind="threaded", *more):
        made.append(Server([*python, str(TOP / "tests" / "peers" / "rpyc_server.py"), kind, *map(str, more)]))
        return made[-1]
    yield make
    for s in made:
        s.close()


@pytest.fixture
def threaded(server):
    return server("threaded")


@pytest.fixture
def ours(mpbench):
    """mpbench serve rpyc."""
    r, w = os.pipe()
    process = subprocess.Popen([mpbench.path, "serve", "rpyc", "--port=0", "--max-payload=16M", f"--ready-fd={w}"], pass_fds=[w],
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    os.close(w)
    with os.fdopen(r) as ready:
        process.port = int(ready.readline())
    yield process
    process.terminate()
    assert process.wait(20) == 128 + 15
    process.stderr.close()


@pytest.fixture
def fake():
    made = []

    def make(behave):
        made.append(Fake(behave))
        return made[-1]
    yield make
    for f in made:
        f.close()


@pytest.fixture
def bench(mpbench):
    """bench(url, "--case", ...): (exit status, document), one short run of each case unless told otherwise."""
    def run(*words, runs=1, n=20, timeout=120):
        r = mpbench("bench-rpc", "--json", "--runs", str(runs), "-n", str(n), "--warmup", "0", *map(str, words), timeout=timeout)
        assert r.stdout, r.stderr
        return r.returncode, json.loads(r.stdout)
    return run


def case_of(document, name):
    return next(b for b in document["benchmarks"] if b["name"] == name)


def errors(benchmark):
    counts = {}
    for run in benchmark["runs"]:
        for name, e in run["errors"].items():
            counts[name] = counts.get(name, 0) + (e if isinstance(e, int) else e["count"])
    return counts


def values(benchmark, metric):
    return benchmark["metrics"][metric]["values"]


ALL = "connect,ready,ping,echo,upload,download,transfer,concurrent,reuse"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sequence", ["direct", "python"])
def test_every_case_on_every_server(server, bench, kind, sequence):
    # one connection after the other is all that OneShotServer is for; ThreadPoolServer often looks at its connections only
    # once a second
    few = kind in ("oneshot", "pool")
    cases = "ping,echo,upload,download" if few else ALL
    n = 3 if few else 6
    status, d = bench(server(kind).url(), "--case", cases, "--sequence", sequence, "--size", "1,200K" if few else "0,1,5000,200K",
                      "--chunk", "0,64K", "-c", 1 if few else 3, "--no-floor", n=n)
    assert status == 0, d.get("error")
    identity = d["targets"][0]["identity"]
    assert identity["rpyc_layout"] == "5" and identity["rpyc_version"].startswith("5.")
    assert identity["service"].endswith("Service")
    names = {b["name"].removeprefix("rpc.") for b in d["benchmarks"]}
    assert names == set(cases.split(","))  # all of them survive in the file
    for b in d["benchmarks"]:
        assert errors(b) == {} and all(r["ok"] == n for r in b["runs"]), b["name"]
        kind_of = b["name"].removeprefix("rpc.")
        if kind_of in ("ping", "echo", "upload", "download", "concurrent"):
            # DEL is sent and not waited for
            assert values(b, "wire.requests") == [1 if sequence == "direct" else 3]
            assert values(b, "wire.round_trips") == [1 if sequence == "direct" else 2]
        if kind_of in ("connect", "ready"):
            assert values(b, "connections.opened") == [6]
    if not few:
        fresh, kept = (next(b for b in d["benchmarks"] if b["name"] == "rpc.reuse" and b["params"]["connection"] == c)
                       for c in ("new", "kept"))
        assert values(fresh, "connections.opened") == [6] and "connections.reused" not in fresh["metrics"]
        assert "connections.opened" not in kept["metrics"] and sum(values(kept, "connections.reused")) >= 5


@pytest.fixture(scope="session")
def pem(tmp_path_factory):
    """A file with a key and its certificate, which signs itself."""
    directory = tmp_path_factory.mktemp("tls")
    make_certificate(directory / "key", directory / "cert")
    both = directory / "both.pem"
    both.write_bytes((directory / "key").read_bytes() + (directory / "cert").read_bytes())
    return both


def test_every_case_through_tls(server, bench, pem):
    """ThreadedServer behind RPyC's SSLAuthenticator."""
    s = server("tls", 0, pem)
    status, d = bench(s.url(scheme="rpycs"), "--cacert", pem, "--case", ALL, "--size", "0,1,5000,200K", "--chunk", "0,64K", "-c", 3,
                      "--no-floor", "--in-flight", 2, "--compress", "auto", n=6)
    assert status == 0, d.get("error")
    assert d["targets"][0]["identity"]["rpyc_version"].startswith("5.")
    for b in d["benchmarks"]:
        assert errors(b) == {} and all(r["ok"] == 6 for r in b["runs"]), b["name"]
    ready = case_of(d, "rpc.ready")["metrics"]
    assert 0 < ready["phase.tcp.median"]["values"][0] and 0 < ready["phase.tls.median"]["values"][0]
    assert values(case_of(d, "rpc.connect"), "connections.opened") == [6]
    # who we talk to is checked; and without TLS there is nobody to talk to
    status, d = bench(s.url(scheme="rpycs"), "--case", "ping", "--no-floor")
    assert status == 4 and set(errors(d["benchmarks"][0])) == {"tls"} and "certificate" in d["error"]["message"]
    status, d = bench(s.url(scheme="rpycs"), "--case", "ping", "--no-floor", "--insecure")
    assert status == 0
    status, d = bench(s.url(), "--case", "ping", "--no-floor")
    assert status == 4 and set(errors(d["benchmarks"][0])) <= {"bad-answer", "closed", "reset"}


def test_a_certificate_of_our_own(server, bench, pem):
    s = server("tls", 0, pem, pem)
    status, d = bench(s.url(scheme="rpycs"), "--cacert", pem, "--cert", pem, "--case", "ping,echo", "--no-floor", "--sequence", "python")
    assert status == 0, d.get("error")
    status, d = bench(s.url(scheme="rpycs"), "--cacert", pem, "--case", "ping", "--no-floor")
    assert status == 4 and errors(d["benchmarks"][0])


def test_payloads_come_back_whole_in_every_form(threaded, bench):
    for payload in ("random", "zero", "text"):
        for compress in ("never", "auto"):
            status, d = bench(threaded.url(), "--case", "echo,upload", "--payload", payload, "--compress", compress, "--size",
                              "4,256,3100,1M", "--no-floor", n=2)
            assert status == 0, d.get("error")
            assert len(d["benchmarks"]) == 8
            for b in d["benchmarks"]:
                large = b["params"]["size"] > 3000
                # what the server sends is compressed by its own rule, what is sent by ours
                compressed = (2 if b["name"] == "rpc.echo" and large else 0) + (2 if compress == "auto" and large else 0)
                assert sum(values(b, "wire.compressed")) if compressed else "wire.compressed" not in b["metrics"]
                if compressed:
                    assert values(b, "wire.compressed") == [compressed]


@pytest.mark.parametrize("words, wanted", [
    (["add", "--arg", "2", "--arg", "b=40"], "42"),
    (["echo", "--arg", "(1, 'é', b'\\x00', None, True, 1.5, 2j, frozenset({7}), slice(1, None, 3), ...)"],
     "(1, 'é', b'\\x00', None, True, 1.5, 2j, frozenset({7}), slice(1, None, 3), ...)"),
    (["echo", "--arg", "-123456789012345678901234567890"], "-123456789012345678901234567890"),
    (["echo", "--arg", "hello"], "'hello'"),
    (["compute", "--arg", "1000"], "332833500"),
    (["ask_back"], "True"),
])
@pytest.mark.parametrize("sequence", ["direct", "python"])
def test_a_call_and_what_it_must_return(threaded, bench, words, wanted, sequence):
    status, d = bench(threaded.url(), "--call", *words, "--expect", wanted, "--sequence", sequence, "--no-floor")
    assert status == 0, d.get("error")
    assert d["benchmarks"][0]["params"]["call"] == words[0]
    status, d = bench(threaded.url(), "--call", *words, "--expect", "'something else'", "--sequence", sequence, "--no-floor")
    assert status == 4
    assert set(errors(d["benchmarks"][0])) == {"corrupt"}


@pytest.mark.parametrize("call, word", [("fail", "remote-ValueError"), ("stop", "remote-StopIteration"),
                                        ("nothing", "remote-AttributeError")])
@pytest.mark.parametrize("sequence", ["direct", "python"])
def test_remote_exceptions_are_failures_by_class(threaded, bench, call, word, sequence):
    status, d = bench(threaded.url(), "--case", "call,ping", "--call", call, "--sequence", sequence, "--no-floor")
    assert status == 4
    failing, ping = case_of(d, "rpc.call"), case_of(d, "rpc.ping")
    assert errors(failing) == {word: 20}
    assert values(failing, "error_ratio") == [1.0]
    assert errors(ping) == {} and values(ping, "error_ratio") == [0]
    assert word in d["error"]["message"]


def test_an_echo_that_lies_is_seen(threaded, bench):
    status, d = bench(threaded.url(), "--call", "wrong_echo", "--arg", "b'abc'", "--expect", "b'abc'", "--no-floor")
    assert status == 4 and errors(d["benchmarks"][0]) == {"corrupt": 20}


def test_objects_are_given_back(threaded, bench, python):
    """10,000 calls that return objects, while the connection lasts, leave none alive on the server."""
    for sequence in ("direct", "python"):
        status, d = bench(threaded.url(), "--call", "thing", "--sequence", sequence, "--no-floor", n=5000)
        assert status == 0, d.get("error")
        b = d["benchmarks"][0]
        more = 5000 if sequence == "python" else 0  # the bound methods
        assert values(b, "references.received") == values(b, "references.released") == [5000 + more]
    status, d = bench(threaded.url(), "--call", "things", "--arg", "10", "--no-floor", n=300)
    assert status == 0 and values(d["benchmarks"][0], "references.released") == [3000]
    told = subprocess.run([*python, "-c", f"import rpyc; print(*rpyc.connect('127.0.0.1', {threaded.port}).root.peak())"],
                          capture_output=True, text=True, check=True)
    peak, live = map(int, told.stdout.split())
    # a burst of ten, and what the server had not yet read
    assert 10 <= peak <= 40 and live == 0


def test_floor_baseline_and_own_client(threaded, bench, python):
    client = f"{python[0]} -c 'import sys; sys.exit(0 if sys.argv[1].startswith(\"rpyc://127\") else 1)' {{}}"
    status, d = bench(threaded.url(), "--case", "call,echo,upload", "--call", "compute", "--arg", "10", "--against", "echo", "--size", "1K",
                      "--compare-client", client, "--sequence", "python", n=5)
    assert status == 0, d.get("error")
    assert [(b["name"], b["target"]) for b in d["benchmarks"]] == [
        ("rpc.echo", "t1"), ("rpc.upload", "t1"), ("rpc.call", "t1"), ("rpc.against", "t1"), *3 * [("rpc.floor", "floor-rpyc")],
        ("rpc.client", "t1")]
    floor = [b for b in d["benchmarks"] if b["name"] == "rpc.floor"]
    assert [f["params"]["of"] for f in floor] == ["rpc.ping", "rpc.echo", "rpc.upload"]
    assert floor[1]["params"]["size"] == 1024
    for f in floor:
        assert values(f, "wire.requests") == [3]  # the same sequence
        assert f["metrics"]["client.cpu"]["values"][0] > 0


def test_targets_of_two_kinds_started_by_mpbench(bench, python, port):
    ports = port(), port()
    script = "import sys, rpyc; from rpyc.utils import server as s\n" \
             "class S(rpyc.Service):\n    def exposed_ping(self): return 1\n" \
             "getattr(s, sys.argv[1])(S, hostname='127.0.0.1', port=int(sys.argv[2])).start()"
    starts = []
    for name, p in zip(("ThreadedServer", "ForkingServer"), ports):
        starts += ["--start", f"{python[0]} -c \"{script}\" {name} {p}"]
    status, d = bench("--case", "ping,ready", "--no-floor", *starts, f"threads=rpyc://127.0.0.1:{ports[0]}",
                      f"forks=rpyc://127.0.0.1:{ports[1]}", runs=2, n=5)
    assert status == 0, d.get("error")
    assert [(b["name"], b["target"]) for b in d["benchmarks"]] == [
        ("rpc.ready", "threads"), ("rpc.ready", "forks"), ("rpc.ping", "threads"), ("rpc.ping", "forks")]
    assert {c["name"] for c in d["comparisons"]} >= {"rpc.ping"} if "name" in d["comparisons"][0] else d["comparisons"]


def test_open_loop(bench):
    status, d = bench("builtin:rpyc", "--case", "ping", "--rate", "500", "-c", "4", n=50)
    assert status == 0
    assert "achieved_ratio" in d["benchmarks"][0]["metrics"]


@pytest.mark.parametrize("words", [
    ["--call", "x", "--arg", "[1]"], ["--case", "call"], ["--against", "ping"], ["--case", "nothing"], ["ftp://x"],
    ["builtin:tftp"], ["rpyc://127.0.0.1/?version=7"], ["rpyc://127.0.0.1/?a=b"], ["--size", "2G", "--case", "transfer"],
])
def test_usage(mpbench, words):
    r = mpbench("bench-rpc", *words)
    assert r.returncode == 2 and r.stdout == "" and r.stderr.count("\n") == 1


# --- servers that misbehave ---------------------------------------------------------------------------------------------


def calls(answer, before=b""):
    """A server that is good until the first call, and answers that with what answer(seq) says."""
    def behave(c):
        c.give_root()
        while True:
            got = c.answer_version()
            if got:
                c.send(answer(got[1]))
    return behave


@functools.cache
def zip_bomb(mib):
    squeeze = zlib.compressobj(1)
    return frame(b"".join([*(squeeze.compress(bytes(1 << 20)) for _ in range(mib)), squeeze.flush()]), 1)


def silent(c):
    c.receive()
    c.read(1 << 30)


def floods(c):
    c.give_root()
    while True:
        c.send(request(1, 1) * 1000)


HOSTILE = {
    "length-bomb": (calls(lambda seq: struct.pack("!LB", 0xFFFFFFF0, 0) + b"abc"), "bad-answer"),
    "long-promise": (calls(lambda seq: struct.pack("!LB", 0x03FFFFFF, 0) + b"abc"), "timeout"),
    "zip-bomb": (calls(lambda seq: zip_bomb(100)), "bad-answer"),
    "no-zlib": (calls(lambda seq: frame(b"abc", 1)), "bad-answer"),
    "deep": (calls(lambda seq: reply(seq, b"\x10" * 100000 + b"\x00")), "bad-answer"),
    "no-newline": (calls(lambda seq: frame(b"\x12\x52" + seq + b"\x11\x51\x00", end=b"x")), "bad-answer"),
    "wrong-seq": (calls(lambda seq: reply(small(99))), "wrong-seq"),
    "truncated": (lambda c: (c.give_root(), c.receive(), c.send(frame(b"\x12\x52\x52\x11\x51\x00")[:9]), c.sock.close()), "closed"),
    "stops": (calls(lambda seq: reply(seq)[:7]), "timeout"),
    "silent": (silent, "timeout"),
    "closes": (lambda c: c.receive(), "closed"),
    "says-close": (calls(lambda seq: request(0, 2)), "closed"),
    "http": (lambda c: (c.receive(), c.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")), "bad-answer"),
    "tls": (lambda c: (c.receive(), c.send(b"\x15\x03\x03\x00\x02\x02\x46")), "bad-answer"),
    "no-root": (lambda c: (c.send(reply(c.receive()[1])), c.read(1)), "no-root"),
    "only-asks": (floods, "bad-answer"),
    "odd-exception": (calls(lambda seq: reply(seq, b"\x00", 3)), "remote-other"),
    "long-names": (calls(lambda seq: reply(seq, b"\x13\x11\x08\x0f\0\0\xff\xff" + b"m" * 65535 + b"\x08\x0f\0\0\xff\xff" +
                                           b"N" * 65535 + b"\x02\x02\x08\x01", 3)), "remote-other"),
    "version-change": (calls(lambda seq: reply(seq, layout=6)), "version"),
    "no-value": (calls(lambda seq: reply(seq, b"\x51")), "bad-answer"),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_hostile_server_is_a_counted_failure(fake, mpbench, name):
    behave, word = HOSTILE[name]
    zip_bomb(100)  # made before anybody waits for it
    f = fake(behave)
    command = [mpbench.path, "bench-rpc", "--json", "--runs", "1", "-n", "3", "--warmup", "0", "--timeout", "2s" if word == "timeout" else "60s", "--no-floor", "--call",
               "ping", f.url()]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    out = process.stdout.read()
    process.stdout.close()
    assert process.wait() == 4
    d = json.loads(out)
    seen = errors(d["benchmarks"][0])
    if name == "long-names":
        assert all(w.startswith("remote-NNN") for w in seen)
    else:
        assert set(seen) <= {word, "timeout"} if word == "timeout" else word in seen, seen
    assert d["error"]["message"].isprintable() and len(d["error"]["message"]) < 600
    # the zip bomb is let swell to the bound of an answer, 64 MiB, in a buffer that doubles
    (one,) = d["benchmarks"][0]["runs"]
    peak = one["usage"]["client"]["rss_peak_bytes"]
    assert 0 < peak < (2 << 30 if mpbench.sanitized else 256 << 20 if name == "zip-bomb" else 64 << 20)


def test_a_server_of_rpyc_6_is_found_out(fake, bench):
    """It refuses the layout of 5 in its own, as 6.0 does; then it is spoken to in that."""
    def behave(c):
        layout, seq, handler = c.receive()
        if layout == 5:
            c.send(request(0, 2, layout=6))
            return
        c.send(reply(seq, REFERENCE, layout=6))
        while True:
            layout, seq, handler = c.receive()
            assert layout == 6
            if handler == 2:
                return
            c.send(reply(seq, b"\x11\x51\x08\x0d\x70\x6f\x6e\x67", layout=6))
    f = fake(behave)
    status, d = bench(f.url(), "--case", "ping,ready", "--no-floor")
    assert status == 0, d.get("error")
    assert d["targets"][0]["identity"]["rpyc_layout"] == "6"
    status, d = bench(f.url() + "/?version=5", "--case", "ping", "--no-floor")
    assert status == 4 and "speaks RPyC 6 or later, not 5" in d["error"]["message"]


def test_nobody_there(bench, port):
    status, d = bench(f"rpyc://127.0.0.1:{port()}", "--case", "ping", "--no-floor")
    assert status == 4 and "refused" in errors(d["benchmarks"][0])


# --- our own server -------------------------------------------------------------------------------------------------------

CLIENT = """
import rpyc, sys
conn = rpyc.connect('127.0.0.1', int(sys.argv[1]))
root = conn.root
assert root.ping() == 'pong'
big = bytes(range(256)) * 20000
for value in (None, True, 0, -49, 10**40, 1.5, 2j, '', 'h\\u00e9', b'', big, (1, ('a', None)), frozenset({7})):
    assert root.echo(value) == value, value
assert root.upload(big) == len(big)
assert len(root.download(300000)) == 300000
assert root.add(2, 40) == 42 and root.const == 1234
assert root.compute(1000) == sum(i * i for i in range(1000))
thing = root.thing()
assert thing.x == 41 and thing.hello('bob') == 'hello bob'
assert 'hello' in dir(thing) and 'Thing' in repr(thing)
assert len(root.things(9)) == 9
try:
    root.fail()
    raise SystemExit('no exception')
except ValueError as e:
    assert 'boom' in str(e)
try:
    root.nothing
    raise SystemExit('no exception')
except AttributeError:
    pass
conn.ping(data='x' * 5000)
things = [root.thing() for _ in range(100)]
assert root.live() >= 100
del things
conn.ping()
assert root.live() < 20, root.live()
conn.close()
print('fine')
"""


@pytest.mark.parametrize("compress", [False, True])
def test_python_talks_to_our_server(mpbench, python, compress, port, start):
    p = port()
    start([mpbench.path, "serve", "rpyc", "--port", str(p), *(["--compress"] if compress else [])], ports=[p])
    done = subprocess.run([*python, "-c", CLIENT, str(p)], capture_output=True, text=True, timeout=60)
    assert done.stdout == "fine\n", done.stderr


@pytest.mark.parametrize("bytes_", [
    b"GET / HTTP/1.0\r\n\r\n", struct.pack("!LB", 0xFFFFFFFF, 0), zip_bomb(20), frame(b""),
    frame(b"\x12\x51\x50" + b"\x10" * 1000), frame(b"\x01\x11\x50\x00"), frame(b"\x12\x51\x50\x11\x51\x00", end=b"x"),
], ids=["http", "length", "zip", "empty", "deep", "no-request", "no-newline"])
def test_our_server_ends_hostile_connections_and_lives_on(ours, bench, bytes_):
    with socket.create_connection(("127.0.0.1", ours.port), timeout=60) as s:
        s.sendall(bytes_)
        try:
            assert s.recv(100) == b""
        except ConnectionResetError:
            pass
    status, d = bench(f"rpyc://127.0.0.1:{ours.port}", "--case", "ping", "--no-floor")
    assert status == 0, d.get("error")


def test_our_server_does_not_read_who_takes_no_answers(ours, bench):
    """Requests whose answers nobody reads: they stop being read, and others are served."""
    with socket.create_connection(("127.0.0.1", ours.port)) as s:
        s.sendall(frame(b"\x12\x51\x50\x11\x53\x11\x51\x02"))
        root = s.recv(4096)
        raw = root[root.index(b"\x54") + 1:-1]
        ask = frame(b"\x12\x51\x50\x11\x58\x11\x52\x13\x11\x53" + raw + b"\x11\x51\x08\x0e\x08download" +
                    b"\x11\x51\x10\x16\x071000000" + b"\x11\x51\x02")
        s.setblocking(False)
        sent = 0
        try:
            while sent < 64 << 20:
                sent += s.send(ask * 100)
        except BlockingIOError:
            pass
        assert sent < 64 << 20
        status, d = bench(f"rpyc://127.0.0.1:{ours.port}", "--case", "ping", "--no-floor")
        assert status == 0, d.get("error")
        with open(f"/proc/{ours.pid}/status") as f:
            peak = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
        assert peak < (1 << 20)  # KiB
