"""iperf in both roles against Debian's iperf3, against itself, against scripted and hostile peers."""
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from peers import iperf as peers

TCP_ROWS = ["", "-R", "--bidir", "-P 4", "-Z", "--zerocopy=sendfile", "--zerocopy=msg", "--skip-rx-copy -R", "-O 1", "-l 1K",
            "-b 20M", "-w 256K -M 1400 -N", "-C cubic --dscp 10", "--cport 0 -B 127.0.0.1", "--get-server-output"]
LIMIT_ROWS = ["--bytes 10M", "-k 100", "--bytes 10M -R", "--bytes 10M -P 3", "-k 64 -l 4K"]
UDP_ROWS = ["", "-R", "-P 2", "--udp-counters-64bit", "--bidir", "--gso off --gro off", "-l 8K"]


class Serving:
    def __init__(self, mpbench, *words):
        read, write = os.pipe()
        self.child = subprocess.Popen([mpbench.path, "iperf", "--server", "--port", "0", "--ready-fd", str(write), "--json",
                                       *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      text=True, pass_fds=[write])
        os.close(write)
        with os.fdopen(read) as f:
            self.port = int(f.readline() or 0)
        assert self.port, self.child.communicate(timeout=30)
        self.url = f"iperf3://127.0.0.1:{self.port}"

    def tests(self, n):
        """The next n tests that it reports."""
        return [json.loads(self.child.stdout.readline()) for _ in range(n)]

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        out, err = self.child.communicate(timeout=60)
        assert "Sanitizer" not in err, err
        return self.child.returncode


@pytest.fixture
def serving(mpbench):
    made = []

    def make(*words):
        made.append(Serving(mpbench, *words))
        return made[-1]
    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope="module")
def iperf3(peer):
    return peer("iperf3")


@contextlib.contextmanager
def debian_server(iperf3, *words):
    for _ in range(10):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        child = subprocess.Popen([iperf3, "-s", "-B", "127.0.0.1", "-p", str(port), *words], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while child.poll() is None:
            if f"0100007F:{port:04X} 00000000:0000 0A" in pathlib.Path("/proc/net/tcp").read_text():
                yield f"iperf3://127.0.0.1:{port}"
                child.kill()
                child.wait()
                return
        child.wait()
    pytest.fail("no port for iperf3")


@pytest.fixture(scope="module")
def iperf3_server(iperf3):
    """Debian's server on a port of its own; it is asked again and again, which is what it is there for."""
    with debian_server(iperf3) as url:
        yield url


@pytest.fixture
def fake():
    made = []

    def make(behave):
        made.append(peers.Server(behave))
        return made[-1]
    yield make
    for one in made:
        one.close()


@pytest.fixture
def measure(mpbench):
    def run(*words, timeout=120):
        r = subprocess.run([mpbench.path, "iperf", "--json", "--runs", "1", *words], stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=timeout)
        assert "Sanitizer" not in r.stderr, r.stderr
        return r
    return run


def flows(r):
    assert r.returncode == 0, r.stderr
    document = json.loads(r.stdout)
    assert document["status"] == "complete"
    run = document["extensions"]["iperf"]["cells"][0]["runs"][0]
    return document, {k: run[k] for k in ("up", "down") if k in run}


def value(document, name):
    return document["benchmarks"][0]["metrics"][name]["values"][0]


# --- client against Debian's server -------------------------------------------------------------------------------------

@pytest.mark.parametrize("row", TCP_ROWS)
def test_tcp_client(measure, iperf3_server, row):
    document, f = flows(measure(*row.split(), "-t", "0.3" if "-O" not in row else "1", "--busy-retry", "60", iperf3_server))
    assert set(f) == ({"up", "down"} if "bidir" in row else {"down"} if "-R" in row else {"up"})
    for one in f.values():
        assert one["sent_bytes"] > 0 and one["received_bytes"] > 0
    if "up" in f and "-O" not in row:
        # what a timed test has sent may be on its way still when it ends, but never more than the buffers hold
        assert 0 <= f["up"]["sent_bytes"] - f["up"]["received_bytes"] < 64 << 20
    assert value(document, "throughput") > 0
    if "server-output" in row:
        assert "receiver" in document["extensions"]["iperf"]["cells"][0]["server_output"]
    if "-C cubic" in row:
        assert document["extensions"]["iperf"]["cells"][0]["congestion"] == "cubic"


@pytest.mark.parametrize("row", LIMIT_ROWS)
def test_limits_are_exact(measure, iperf3_server, row):
    document, f = flows(measure(*row.split(), "--busy-retry", "60", iperf3_server))
    want = 64 * 4096 if "-l 4K" in row else 100 * 131072 if "-k" in row else 10 << 20
    one = f["down" if "-R" in row else "up"]
    assert one["received_bytes"] == want
    if "-R" not in row:  # iperf3 sends on until it is told to stop
        assert one["sent_bytes"] == want


@pytest.mark.parametrize("row", UDP_ROWS)
def test_udp_client(measure, iperf3_server, row):
    document, f = flows(measure("-u", "-b", "5M", *row.split(), "-t", "0.3", "--busy-retry", "60", iperf3_server))
    for name, one in f.items():
        assert one["datagrams"] > 0 and one["lost"] == one["datagrams"] - one["unique"]
        assert one["exact"] == (name == "down")
    assert value(document, "loss_ratio") is not None
    assert value(document, "jitter") is not None


def test_zero_duration(measure, iperf3_server):
    for row in ("", "-R", "--bidir", "-u", "-u -R"):
        document, f = flows(measure("--time", "0", "--busy-retry", "60", *row.split(), iperf3_server))
        for one in f.values():
            assert one["sent_bytes"] == one["received_bytes"] == 0, row
        assert document["benchmarks"][0]["runs"][0]["failed"] == 0


def test_both_sides_say_the_same(measure, iperf3):
    """Debian's server tells its own document of each test: its figures are those of ours."""
    with debian_server(iperf3, "-J") as url:
        for row in ("-t 0.2", "-t 0.2 -P 3", "-t 0.2 -R", "--bytes 5M", "-k 50 -P 2", "-t 0.2 --bidir", "-u -b 10M --bytes 100K",
                    "-u -b 10M -t 0.3 -R", "-u -b 5M -P 2 -t 0.3"):
            document, f = flows(measure(*row.split(), "--get-server-output", "--busy-retry", "60", url))
            end = json.loads(document["extensions"]["iperf"]["cells"][0]["server_output"])["end"]
            for name, one in f.items():
                reverse = "_bidir_reverse" if name == "down" and "bidir" in row else ""
                if "-u" in row:
                    theirs = end["sum"]
                    if name == "up":
                        assert one["unique"] == theirs["packets"] - theirs["lost_packets"], row
                        assert one["datagrams"] >= theirs["packets"], row
                    else:
                        assert one["datagrams"] == theirs["packets"], row
                elif name == "up":
                    assert one["received_bytes"] == end["sum_received"]["bytes"], row
                    seconds = end["sum_received"]["seconds"]
                    assert abs(end["sum_received"]["bits_per_second"] - one["received_bytes"] * 8 / seconds) < 1e5, row
                else:
                    assert one["sent_bytes"] == end[f"sum_sent{reverse}"]["bytes"], row


def shape(ours, theirs, path=""):
    """What stands in iperf3's document and is missing in ours, or of another kind there."""
    if isinstance(theirs, dict):
        for key, value in theirs.items():
            yield from shape(ours[key], value, f"{path}.{key}") if key in ours else [f"{path}.{key}"]
    elif isinstance(theirs, list):
        if theirs and not ours or path.endswith(("streams", "connected")) and len(theirs) != len(ours):
            yield f"{path} ({len(theirs)}, {len(ours)})"
        for i in (0, -1) if theirs and ours else ():
            yield from shape(ours[i], theirs[i], f"{path}[{i}]")
    elif isinstance(theirs, bool):
        if ours is not theirs:
            yield f"{path} is {ours}"
    elif isinstance(theirs, (int, float)):
        if not isinstance(ours, (int, float)):
            yield f"{path} is {ours}"
    elif type(theirs) is not type(ours):
        yield f"{path} is {ours}"


JSON_ROWS = ["-t 1 -O 1", "-n 4M", "-n 4M -R", "-n 4M --bidir", "-n 4M -P 2", "-k 20 -w 128K -S 16", "-u -b 20M -n 200K",
             "-u -b 20M -n 200K -R", "-u -b 20M -n 200K -P 2 -R", "-u -b 20M -n 200K --bidir",
             "-n 1M --get-server-output -T heading --extra-data words"]


@pytest.mark.own_documents
@pytest.mark.parametrize("row", JSON_ROWS)
def test_our_json_as_iperf3s(mpbench, iperf3, serving, row):
    """The same test by both clients: what iperf3 says stands at the same place in ours, with the same type."""
    server = serving()
    said = []
    for client in ([iperf3], [mpbench.path, "iperf3"]):
        r = subprocess.run([*client, "-c", "127.0.0.1", "-p", str(server.port), "-J", *row.split()], stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, r.stderr
        said.append(json.loads(r.stdout))
    assert list(shape(said[1], said[0])) == []


@pytest.mark.own_documents
def test_our_failure_as_iperf3s(mpbench, iperf3):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = str(s.getsockname()[1])
        theirs = subprocess.run([iperf3, "-c", "127.0.0.1", "-p", port, "-J"], stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, timeout=60)
        ours = subprocess.run([mpbench.path, "iperf3", "-c", "127.0.0.1", "-p", port, "-J"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)
    assert ours.returncode == 4  # theirs is 0 with -J, which is what it gets wrong
    assert list(shape(json.loads(ours.stdout), json.loads(theirs.stdout))) == []


@pytest.mark.own_documents
def test_json_stream(mpbench, serving):
    server = serving()
    r = subprocess.run([mpbench.path, "iperf3", "-c", "127.0.0.1", "-p", str(server.port), "-t", "1", "-i", "0.2",
                        "--json-stream"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr
    events = [json.loads(line) for line in r.stdout.splitlines()]
    assert [e["event"] for e in (events[0], events[-1])] == ["start", "end"]
    assert all(e["event"] == "interval" for e in events[1:-1]) and len(events) > 3
    assert events[-1]["data"]["sum_sent"]["bytes"] == sum(e["data"]["sum"]["bytes"] for e in events[1:-1])


# --- Debian's client against our server -----------------------------------------------------------------------------------

CLIENT_ROWS = ["", "-R", "--bidir", "-P 4", "-O 1", "-n 10M", "-k 100", "-Z", "-n 10M -R", "--get-server-output", "-u -b 5M",
               "-u -b 5M -R", "-u -b 5M -P 2", "-u -b 5M --udp-counters-64bit", "-u -b 5M --bidir", "-w 256K -M 1400 -N"]


def test_server(iperf3, serving, tmp_path):
    """All rows against one server, which must be ready for the next one each time."""
    record = tmp_path / "tests.jsonl"
    server = serving("-o", str(record))
    for row in CLIENT_ROWS:
        limit = ([] if "-n" in row or "-k" in row else ["-t", "1"] if row in ("", "-O 1", "-u -b 5M") else
                 ["-n", "100K"] if "-u" in row else ["-n", "20M"])
        r = subprocess.run([iperf3, "-c", "127.0.0.1", "-p", str(server.port), "-J", *row.split(), *limit],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        document = json.loads(r.stdout)
        assert r.returncode == 0 and "error" not in document, (row, document.get("error"))
        [test] = server.tests(1)
        assert test["complete"], (row, test)
        end = document["end"]
        if "-u" in row:
            assert end["sum"]["packets"] > 0, row
        else:
            ours = sum(s["bytes"] for s in test["results"]["streams"])
            if "bidir" not in row:
                assert ours == end["sum_sent" if "-R" in row else "sum_received"]["bytes"], row
        if row == "-n 10M -R":
            assert end["sum_sent"]["bytes"] == end["sum_received"]["bytes"] == 10 << 20
    assert server.stop() in (0, 128 + signal.SIGTERM)
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert len(lines) == len(CLIENT_ROWS) and all(line["complete"] and line["client_results"] for line in lines)


def test_own_client_and_server_agree(measure, serving):
    server = serving()
    for row in ["--bytes 20M", "--bytes 20M -R", "--bytes 20M --bidir -P 2", "-u -b 20M --bytes 300000", "-u -b 20M -k 200 -R"]:
        document, f = flows(measure(*row.split(), server.url))
        for one in f.values():
            assert one["sent_bytes"] == one["received_bytes"], row
            assert one.get("lost", 0) == 0 and one.get("exact", True), row


def test_ipv6(mpbench, measure, serving):
    server = serving("--bind", "::1")
    for row in ["-t 0.2", "-u -t 0.2 -R"]:
        flows(measure(*row.split(), f"iperf3://[::1]:{server.port}"))


def test_sweep(measure):
    r = measure("-t", "0.1", "-l", "1K,64K", "builtin:")
    document = json.loads(r.stdout)
    assert r.returncode == 0
    assert [b["params"]["length"] for b in document["benchmarks"]] == [1024, 65536]


def test_busy(measure, serving, fake):
    def busy(server, s):
        s.sendall(b"\xff")
        s.close()
    r = measure(f"iperf3://127.0.0.1:{fake(busy).port}")
    assert r.returncode == 4 and json.loads(r.stdout)["error"]["code"] == "busy"
    # held by a first client that takes its time, ours waits
    server = serving()
    holder = threading.Thread(target=measure, args=("-t", "2", server.url))
    holder.start()
    document, f = flows(measure("-t", "0.2", "--busy-retry", "60", server.url))
    holder.join()
    both = serving("--max-clients", "2")
    with contextlib.ExitStack() as stack:
        s = stack.enter_context(socket.create_connection(("127.0.0.1", both.port)))
        s.sendall(b"a" * 36 + b"\0")
        assert s.recv(1) == b"\x09"
        flows(measure("-t", "0.1", both.url))
        other = stack.enter_context(socket.create_connection(("127.0.0.1", both.port)))
        other.sendall(b"b" * 36 + b"\0")
        assert other.recv(1) == b"\x09"
        third = stack.enter_context(socket.create_connection(("127.0.0.1", both.port)))
        third.sendall(b"c" * 36 + b"\0")
        assert third.recv(1) == b"\xff"


# --- servers that misbehave -------------------------------------------------------------------------------------------------

TO_THE_END = [b"\x09", None, b"\x0a\x01\x02", "end", b"\x0d", "results"]
BAD = {
    "busy": ([b"\xff", "stop"], "busy"),
    "error 8": ([b"\x09", None, b"\xfe\0\0\0\x07\0\0\0\x09", "stop"], "server-error"),
    "error 4": ([b"\x09", None, b"\xfe\0\0\0\x8e", "stop"], "server-error-short"),
    "error 4 and silence": ([b"\x09", None, b"\xfe\0\0\0\x8e", "hang"], "server-error-short"),
    "error 0": ([b"\x09", None, b"\xfe", "stop"], "server-error-bare"),
    "error 0 in the test, and silence": ([b"\x09", None, b"\x0a\x01\x02\xfe", "hang"], "server-error-bare"),
    "terminated": ([b"\x09", None, b"\x0a\x01\x02\x0b", "hang"], "server-terminated"),
    "terminated in setup": ([b"\x09", None, b"\x0b", "stop"], "server-terminated"),
    "end at once": (["stop"], "closed-at-once"),
    "end after the parameters": ([b"\x09", None, "stop"], "refused-params"),
    "end in setup": ([b"\x09", None, b"\x0a", "stop"], "closed-in-setup"),
    "end before the test": ([b"\x09", None, b"\x0a\x01", "stop"], "closed-before-test"),
    "end in the test": ([b"\x09", None, b"\x0a\x01\x02", "stop"], "closed-in-test"),
    "end after the test": ([b"\x09", None, b"\x0a\x01\x02", "end", "stop"], "closed-after-test"),
    "end before the results": ([*TO_THE_END, "stop"], "closed-before-results"),
    "end after the results": ([*TO_THE_END, peers.frame(peers.RESULTS), "stop"], "closed-after-results"),
    "length bomb": ([*TO_THE_END, b"\x7f\xff\xff\xff", "hang"], "protocol"),
    "no json": ([*TO_THE_END, peers.frame(b"hello"), "hang"], "protocol"),
    "negative": ([*TO_THE_END, peers.frame({**peers.RESULTS, "streams": [{**peers.RESULTS["streams"][0], "bytes": -1}]}), "hang"],
                 "protocol"),
    "another language": ([b"HTTP/1.1 400 Bad Request\r\n", "hang"], "protocol"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_servers(measure, fake, name):
    """Each has a word of its own, and a message; a test that the server is to end runs until it does."""
    steps, code = BAD[name]
    server = fake(peers.says(*steps))
    r = measure("-t", "60" if "in the test" in name or name == "terminated" else "0.2", f"iperf3://127.0.0.1:{server.port}")
    document = json.loads(r.stdout)
    assert r.returncode == 4 and document["error"]["code"] == code, document["error"]
    assert len(document["error"]["message"]) > 20


def test_a_byte_at_a_time_and_absurd_numbers(measure, fake):
    stream = {"id": 1, "bytes": 5, "retransmits": 18446744073709551615, "jitter": 1e300, "errors": -1,
              "packets": 18446744073709551615, "end_time": 1e-300}
    body = json.dumps({**peers.RESULTS, "sender_has_retransmits": 18446744073709551615, "streams": [stream]}).encode()
    server = fake(peers.says(b"\x09", None, b"\x0a\x01\x02", "end", b"\x0d", "results", peers.frame(body), b"\x0e", "hang"))
    document, f = flows(measure("-t", "0.2", f"iperf3://127.0.0.1:{server.port}"))
    assert f["up"]["received_bytes"] == 5


def test_refused(measure):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        r = measure(f"iperf3://127.0.0.1:{s.getsockname()[1]}")
    assert r.returncode == 4 and json.loads(r.stdout)["error"]["code"] == "refused"


def test_a_host_that_never_answers(mpbench, netns):
    """A neighbour that is known and is not there: by default that takes five seconds, and is not done ten times."""
    ns = netns()
    for words in ("ip link add v0 type veth peer name v1", "ip addr add 192.0.2.1/24 dev v0", "ip link set v0 up", "ip link set v1 up",
                  "ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:02 dev v0 nud permanent"):
        done = ns.run(*words.split())
        if done.returncode:
            pytest.skip(f"no such network here: {done.stderr.strip()}")
    before = time.monotonic()
    r = ns.run(mpbench.path, "iperf", "--json", "iperf3://192.0.2.2")
    error = json.loads(r.stdout)["error"]
    assert r.returncode == 4 and error["code"] == "timeout"
    assert "192.0.2.2:5201" in error["message"] and "within 5 s" in error["message"]
    assert 5 <= time.monotonic() - before < 45


# --- paths that lose, and paths that queue ----------------------------------------------------------------------------------

def script(drop, dup, swap, n):
    """Rules for the relay: every so many of n datagrams, the greeting being the first one."""
    rules = {"drop": range(3, n, drop) if drop else (), "dup": range(5, n, dup) if dup else (),
             "swap": range(8, n, swap) if swap else ()}
    return " ".join(f"{verb}:{','.join(map(str, where))}" for verb, where in rules.items() if where)


@pytest.mark.parametrize("drop, dup, swap", [(20, 0, 0), (20, 10, 0), (20, 0, 10), (0, 10, 0), (40, 20, 20)])
def test_losses_are_exact(mpbench, measure, serving, drop, dup, swap):
    """Through a relay that drops, doubles and swaps known datagrams, both ways: what we say is what it did."""
    server = serving()
    for way, flow in (("out", "up"), ("in", "down")):
        relay = subprocess.Popen([mpbench.path, "relay", "--listen=0", f"--to=127.0.0.1:{server.port}", "--json",
                                  f"--script-{way}", script(drop, dup, swap, 200)], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        port = int(relay.stderr.readline().rsplit(":", 1)[1])
        document, f = flows(measure("-u", "-b", "10M", "-k", "220", *(["-R"] if way == "in" else []), f"iperf3://127.0.0.1:{port}"))
        relay.send_signal(signal.SIGINT)
        truth = json.loads(relay.communicate(timeout=60)[0])["extensions"]["relay"]["to_server" if way == "out" else "to_client"]
        assert truth["dropped"] == (len(range(3, 200, drop)) if drop else 0)
        assert truth["overflow"] == truth["unsent"] == 0
        one = f[flow]
        assert one["exact"] and one["datagrams"] == truth["packets"] - 1
        assert (one["lost"], one["duplicates"], one["reordered"]) == (truth["dropped"], truth["repeated"], truth["reordered"])
        if way == "out":
            assert one["datagrams"] == 220


def test_a_path_that_cannot_cut(mpbench, netns):
    """Datagrams beyond the MTU are not cut by the kernel: each is sent alone, all of them arrive, and it is said."""
    ns = netns()
    ns.run("ip", "link", "set", "lo", "mtu", "1500")
    serve = subprocess.Popen(ns.words(mpbench.path, "iperf", "--server", "-1"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             text=True)
    assert "serving" in serve.stdout.readline()
    r = ns.run(mpbench.path, "iperf", "--json", "--runs", "1", "-u", "-b", "0", "-l", "8192", "-k", "20", "--gso", "on",
               "iperf3://127.0.0.1")
    serve.communicate(timeout=60)
    document, f = flows(r)
    assert f["up"]["datagrams"] == f["up"]["unique"] == 20
    assert document["extensions"]["iperf"]["cells"][0]["gso_refused"]
    assert "gso-refused" in [w["code"] for w in document["warnings"]]


def test_placement_and_ports(measure, serving, port):
    """Where streams run and from which ports they come is as asked for, and stands in the document."""
    server, cpu = serving(), max(os.sched_getaffinity(0))
    for _ in range(10):  # the port is free now; somebody may take it before we do
        at = port()
        r = measure("--bytes", "1M", "-A", f"{cpu},{cpu}", "--cport", str(at), "--no-delay", "--window", "256K", "--mss", "1200", server.url)
        if r.returncode == 0:
            break
    document, f = flows(r)
    cell = document["extensions"]["iperf"]["cells"][0]
    [stream] = cell["streams"]
    assert stream["cpu"] == cpu and stream["local"] == f"127.0.0.1:{at}"
    assert 1100 < cell["mss"] <= 1200 and cell["sndbuf"] == 2 * 256 << 10
    [test] = server.tests(1)
    assert test["parameters"]["server_affinity"] == cpu and test["parameters"]["nodelay"]
    assert test["parameters"]["window"] == 256 << 10 and test["parameters"]["MSS"] == 1200


def test_pacing(measure, serving):
    """The error of the rate is in the document: no less than what the numbers say."""
    for row in (["-b", "20M", "-l", "8K"], ["-u", "-b", "20M"], ["-b", "20M/10", "-l", "4K", "-R"]):
        document, f = flows(measure("-t", "0.5", *row, serving().url))
        [one] = f.values()
        rate = one["sent_bytes"] * 8e9 / one["sent_ns"]
        assert abs(value(document, "pacing_error") - abs(rate / 20e6 - 1)) < 1e-3


def test_system_calls_per_gb(measure):
    document, f = flows(measure("--bytes", "8M", "--syscalls=server,auto", "builtin:"))
    metrics = document["benchmarks"][0]["metrics"]
    if "syscalls.total" not in metrics:
        pytest.skip("system calls cannot be counted here")
    assert value(document, "syscalls_per_gb") == pytest.approx(value(document, "syscalls.total") / (8 << 20) * 1e9)


@pytest.mark.quiet
def test_latency_under_load(mpbench, netns):
    """A bottleneck of 100 Mbit/s with a queue of 50 ms between two hosts, all of them namespaces."""
    client, router, server = netns(), netns(), netns()

    def do(ns, *lines):
        for line in lines:
            done = ns.run(*line.split())
            if done.returncode:
                pytest.skip(f"no such network here: {line}: {done.stderr.strip()}")
    do(router, f"ip link add r0 type veth peer name c0 netns {client.holder.pid}",
       f"ip link add r1 type veth peer name s0 netns {server.holder.pid}", "ip addr add 192.0.2.1/25 dev r0",
       "ip addr add 192.0.2.129/25 dev r1", "ip link set r0 up", "ip link set r1 up", "sysctl -qw net.ipv4.ip_forward=1",
       "tc qdisc replace dev r1 root tbf rate 100mbit burst 32kb latency 50ms")
    do(client, "ip addr add 192.0.2.2/25 dev c0", "ip link set c0 up", "ip route add default via 192.0.2.1")
    do(server, "ip addr add 192.0.2.130/25 dev s0", "ip link set s0 up", "ip route add default via 192.0.2.129")
    serve = subprocess.Popen(server.words(mpbench.path, "iperf", "--server", "--bind", "192.0.2.130", "-1"),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert "serving" in serve.stdout.readline()
    r = client.run(mpbench.path, "iperf", "--json", "--runs", "1", "-t", "4", "-C", "cubic", "iperf3://192.0.2.130")
    if json.loads(r.stdout).get("error", {}) and "cubic" in json.loads(r.stdout)["error"]["message"]:
        pytest.skip("no cubic here")
    assert r.returncode == 0, r.stderr
    serve.communicate(timeout=60)
    document = json.loads(r.stdout)
    assert 94e6 < value(document, "throughput") < 97e6
    assert 15e6 < value(document, "rtt.median") < 55e6
    assert value(document, "rtt_idle.median") < 1e6
    assert value(document, "send_to_ack.median") > value(document, "rtt.median")
    assert value(document, "responsiveness") < 4000 < value(document, "responsiveness.idle")


def test_micropython_is_not_bound_yet(measure, fake):
    """Its server asks for the streams before it listens for datagrams: 8 of 8 tests must come through."""
    server = fake(peers.micropython)
    retries = 0
    for _ in range(8):
        document, f = flows(measure("-u", "-b", "2M", "-t", "0.1", f"iperf3://127.0.0.1:{server.port}"))
        assert f["up"]["lost"] == 0 and f["up"]["datagrams"] > 0
        retries += document["extensions"]["iperf"]["cells"][0]["runs"][0]["hello_retries"]
    assert server.refusals == 8


# --- clients that misbehave ------------------------------------------------------------------------------------------------

def test_bad_clients(measure, serving):
    """Garbage, half a cookie, ends in every state: the server serves the next one each time."""
    server = serving("--max-clients", "4")
    params = peers.frame({"tcp": True, "omit": 0, "time": 1, "num": 0, "blockcount": 0, "parallel": 1, "len": 1024})
    udp = peers.frame({"udp": True, "omit": 0, "time": 1, "parallel": 1, "len": 1024, "bandwidth": 1000})
    cookie = b"x" * 36 + b"\0"
    before = len(os.listdir(f"/proc/{server.child.pid}/fd"))
    for said in [b"", b"GET / HTTP/1.0\r\n\r\n", cookie[:20], cookie, cookie + b"\0\0\0\0", cookie + b"\x7f\xff\xff\xff",
                 cookie + peers.frame(b"[]"), cookie + peers.frame(b"{"), cookie + params[:30], cookie + params,
                 cookie + params + b"\x0c", cookie + params + b"\x04", cookie + udp, cookie + udp + b"\xee",
                 cookie + peers.frame({"tcp": True, "parallel": 200}), cookie + peers.frame({"sctp": True})]:
        with socket.create_connection(("127.0.0.1", server.port)) as s:
            s.sendall(said)
            s.shutdown(socket.SHUT_WR)
            s.settimeout(60)
            with contextlib.suppress(ConnectionResetError):
                while s.recv(4096):
                    pass
    flows(measure("-t", "0.1", server.url))
    flows(measure("-u", "-t", "0.1", server.url))
    while len(os.listdir(f"/proc/{server.child.pid}/fd")) > before:
        assert server.child.poll() is None


def test_who_says_nothing(measure, serving):
    """Connections that stay half open keep nobody out, and a test in which no byte moves is ended."""
    server = serving("--idle-timeout", "300ms")
    cookie = b"y" * 36 + b"\0"
    with contextlib.ExitStack() as stack:
        def connect(said=b""):
            s = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            s.sendall(said)
            return s
        connect(), connect(cookie[:5])
        flows(measure("-t", "0.1", server.url))
        assert server.tests(1)[0]["complete"]
        control = connect(cookie)
        assert control.recv(1) == b"\x09"
        control.sendall(peers.frame({"tcp": True, "omit": 0, "time": 60, "parallel": 1, "len": 1024}))
        assert control.recv(1) == b"\x0a"
        connect(cookie)
        assert peers.take(control, 2) == b"\x01\x02"
        assert control.recv(1) == b""
        [test] = server.tests(1)
        assert not test["complete"] and test["code"] == "timeout" and "no byte" in test["message"]
        flows(measure("-t", "0.1", server.url))


def test_server_stops(mpbench, serving):
    """SIGTERM in the middle of a test: the client is told, and says so."""
    server = serving()
    client = subprocess.Popen([mpbench.path, "iperf", "--json", "--runs", "1", "-t", "60", server.url],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wanted = f"0100007F:{server.port:04X}"
    established = 0
    while established < 2:  # control and a stream
        lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()
        established = sum(wanted in line.split()[1] and line.split()[3] == "01" for line in lines[1:])
    server.stop()
    out, err = client.communicate(timeout=60)
    assert client.returncode == 4
    assert json.loads(out)["error"]["code"] == "server-terminated"


def test_one_off(mpbench, measure, serving):
    server = serving("--one-off")
    flows(measure("-t", "0.1", server.url))
    assert server.child.wait(timeout=60) == 0


def test_many_tests_leak_nothing(measure, serving):
    """Tests in a row within one client and one server: descriptors and memory stay where they were."""
    server = serving("-q")
    r = measure("--bytes", "64K", "-n", "100", server.url, timeout=280)
    document, f = flows(r)
    assert document["benchmarks"][0]["runs"][0]["ok"] == 100
    pid = server.child.pid

    def size():
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1])
    base, fds = size(), len(os.listdir(f"/proc/{pid}/fd"))
    for row in (["-R"], ["-u", "-b", "0"], ["-P", "4"]):
        flows(measure("--bytes", "64K", "-n", "12", *row, server.url))
    while len(os.listdir(f"/proc/{pid}/fd")) > fds:
        assert server.child.poll() is None
    assert size() < base + 16384


@pytest.mark.own_documents
def test_known_command_lines(mpbench, tmp_path):
    """A daemon that writes what it gets, its number and its log where it is told; what no row of options can parse."""
    pid, log, out = tmp_path / "pid", tmp_path / "log", tmp_path / "out"
    content = os.urandom(300000)
    (tmp_path / "in").write_bytes(content)

    def iperf3(*words):
        return subprocess.run([mpbench.path, "iperf3", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    for _ in range(10):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = str(s.getsockname()[1])
        assert iperf3("-s", "-D", "-1", "-B", "127.0.0.1", "-p", port, "-I", str(pid), "--logfile", str(log), "-F", str(out),
                      "--rcv-timeout", "60000").returncode == 0
        served = log.read_text() if log.exists() else ""
        while "serving" not in served and pid.exists():
            served = log.read_text()
        if "serving" in log.read_text():
            break
    number = int(pid.read_text())
    r = iperf3("-c", "127.0.0.1", "-p", port, "-F", str(tmp_path / "in"), "-J", "-S", "0x20", "--dscp", "af11", "--snd-timeout", "60000",
               "-i", "0.5", "-l", "4K", "-4", "-N", "-f", "m", "-V", "-d", "--forceflush", "--timestamps")
    assert r.returncode == 0, r.stdout + r.stderr
    document = json.loads(r.stdout)
    assert document["end"]["sum_received"]["bytes"] == 300000
    assert document["start"]["test_start"]["tos"] == 10 << 2
    while pid.exists():
        assert os.path.exists(f"/proc/{number}") or not pid.exists()
    assert out.read_bytes() == content
    assert "complete" in log.read_text()
    for words in (["--username", "x"], ["--sctp"], ["-X", "x"], ["-S", "256"], ["-S", "0x"], ["--dscp", "af44"], ["-L", "0x100000"],
                  ["-u", "-F", "x"], ["-D"]):
        r = iperf3("-c", "127.0.0.1", *words)
        assert r.returncode == 2 and r.stdout == "", words
        assert len(r.stderr) > 20


def test_flow_label(mpbench, serving):
    server = serving("--bind", "::1")
    r = subprocess.run([mpbench.path, "iperf3", "-c", "::1", "-p", str(server.port), "-L", "0x1234", "-n", "10K", "-P", "2"],
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr


def test_usage(measure, mpbench):
    for words in (["-R", "--bidir"], ["--bytes", "1M", "-t", "1"], ["--duration", "1"], ["--rate", "5"], ["-u", "-l", "8"],
                  ["-u", "-Z"], ["--zerocopy=nothing"], ["-A", "x"], ["-b", "x"], ["http://127.0.0.1"], ["-4", "-6"]):
        r = measure(*words)
        assert r.returncode == 2 and r.stdout == "", words
    for words in ([], ["-s", "-c", "x"], ["-s", "--bind-dev", "lo"], ["-c", "127.0.0.1", "-t", "1", "-n", "5"]):
        r = subprocess.run([mpbench.path, "iperf3", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert r.returncode == 2, words
