"""mpbench trace-rpc between Debian's RPyC client and server, whose every call is known."""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

import pytest

from peers.device import stop

SERVICE = pathlib.Path(__file__).resolve().parents[1] / "peers" / "rpyc_service.py"

CLIENT = r"""
import sys, rpyc
c = rpyc.connect(sys.argv[1], int(sys.argv[2]))
root = c.root
for _ in range(3):
    assert root.ping() == "pong"
assert root.answer == 42
for i in range(20):
    assert root.item(i) == i * i
things = [root.thing(i) for i in range(4)]
assert [t.value() for t in things] == [0, 1, 2, 3]
del things[2:]
for _ in range(2):
    try:
        root.fail("no")
    except ValueError as e:
        assert e.args == ("no",)
        e.__traceback__ = None
root.sleep(0.25)
assert root.call_back(lambda i: root.item(i), 3) == 5
assert len(root.blob(100000)) == 100000
root.ping()
c.close()
"""

# what this does on the wire: conn.root is one GETROOT and the INSPECT of its class; f() of it is a GETATTR, which brings a
# method, its CALL and, when the method is collected, its DEL; each Thing is inspected when it comes
CALLS = {
    ("client", "getroot"): 1, ("client", "getattr Known.ping"): 4, ("client", "call Known.ping"): 4,
    ("client", "getattr Known.answer"): 1, ("client", "getattr Known.item"): 23, ("client", "call Known.item"): 23,
    ("client", "getattr Known.thing"): 4, ("client", "call Known.thing"): 4, ("client", "getattr Thing.value"): 4,
    ("client", "call Thing.value"): 4, ("client", "getattr Known.fail"): 2, ("client", "call Known.fail"): 2,
    ("client", "getattr Known.sleep"): 1, ("client", "call Known.sleep"): 1, ("client", "getattr Known.call_back"): 1,
    ("client", "call Known.call_back"): 1, ("server", "call function"): 3, ("client", "getattr Known.blob"): 1,
    ("client", "call Known.blob"): 1, ("client", "inspect"): 5,
}


@pytest.fixture(scope="module")
def python(peer_python):
    return peer_python("python3-rpyc", "rpyc")


@pytest.fixture(scope="module")
def service(python, tmp_path_factory):
    """The port of a running service."""
    port = tmp_path_factory.mktemp("service") / "port"
    process = subprocess.Popen([*python, SERVICE, port], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True)
    end = time.monotonic() + 60
    while not port.exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    yield int(port.read_text())
    stop(process)


def trace(mpbench, tmp_path, *args, **kw):
    out = tmp_path / "trace-rpc.json"
    done = mpbench("trace-rpc", "-o", out, *args, **kw)
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text())["extensions"]["trace_rpc"], done


@pytest.fixture(scope="module")
def known(mpbench, python, service, tmp_path_factory):
    """The script above, traced: what was seen, what was printed, the files."""
    tmp_path = tmp_path_factory.mktemp("known")
    seen, done = trace(mpbench, tmp_path, "--to", f"127.0.0.1:{service}", "--slow", "250ms", "--tree", "--lines", "500",
                       "--timeline", "--record", tmp_path / "capture", "--trace", tmp_path / "chrome.json", "--",
                       *python, "-c", CLIENT, "{host}", "{port}")
    return seen, done, tmp_path


def calls_of(seen):
    return {(c["from"], c["name"]): c["calls"] for c in seen["calls"] if c["name"] not in ("del", "close")}


def test_a_known_script_is_seen_exactly(known):
    seen, done, tmp_path = known
    assert calls_of(seen) == CALLS
    assert seen["round_trips"] == sum(CALLS.values()) == 90
    assert (seen["connections"], seen["unanswered"], seen["layout"]) == (1, 0, 5)
    # callbacks: 3 of them, in each the client asks for item and calls it
    assert (seen["max_depth"], seen["nested"]) == (3, 9)
    assert {c["name"]: c["errors"] for c in seen["calls"] if c["errors"]} == {"call Known.fail": 2}
    assert [(x["type"], x["from"], x["count"], x["last"]) for x in seen["exceptions"]] == [
        ("ValueError", "server", 2, "ValueError: no")]
    # a busy machine makes others slow too
    chrome = json.loads((tmp_path / "chrome.json").read_text())["traceEvents"]
    slow = sorted(e["name"] for e in chrome if e["ph"] == "X" and e["dur"] >= 250000)
    assert "call Known.sleep" in slow
    assert sorted(s["name"] for s in seen["slow_calls"]) == slow and seen["slow"] == len(slow)
    assert all(s["ns"] >= 250e6 for s in seen["slow_calls"])
    assert seen["not_decoded"] == seen["not_seen_whole"] == seen["answers_without_request"] == seen["overlapping"] == 0
    assert "call Known.sleep" in done.stderr


def test_references_are_followed_to_their_end(known):
    seen, _, _ = known
    kinds = {(k["class"], k["creator"]): k for k in seen["netrefs"]["classes"]}
    root = kinds["__main__.Known", "getroot"]
    assert root["root"] and (root["created"], root["released"], root["left"]) == (1, 0, 0)
    things = kinds["__main__.Thing", "call Known.thing"]
    assert (things["created"], things["released"], things["left"], things["uses"]) == (4, 2, 2, 4)
    # the two were held over the sleep, the others were not
    assert things["lifetime_max_ns"] < things["left_max_ns"]
    assert 250e6 < things["left_max_ns"] <= things["left_total_ns"]
    items = kinds["builtins.method", "getattr Known.item"]
    assert (items["created"], items["released"], items["uses"]) == (23, 23, 23)
    assert 0 < items["lifetime_max_ns"] <= items["lifetime_total_ns"]
    callback = kinds["builtins.function", "call Known.call_back"]
    assert (callback["lives_at"], callback["created"], callback["uses"]) == ("client", 1, 3)
    # one method each time, one root, four things, one function of the client
    methods = sum(n for (_, name), n in CALLS.items() if name.startswith("getattr") and "answer" not in name)
    assert seen["netrefs"]["created"] == methods + 1 + 4 + 1
    # DELs are answered too, but nobody waits for them
    dels = sum(way["handlers"].get("del", 0) for way in (seen["to_server"], seen["to_client"]))
    assert seen["netrefs"]["released"] <= dels


def test_loops_of_round_trips_are_found(known):
    seen, _, _ = known
    (loop,) = [x for x in seen["loops"] if x["calls"] == ["getattr Known.item", "call Known.item"]]
    assert (loop["loops"], loop["repeats"], loop["round_trips"]) == (1, 20, 40)
    assert 0 < loop["batch_would_save_ns"] < loop["total_ns"]


def test_compression_and_bytes(known):
    seen, _, tmp_path = known
    down = seen["to_client"]
    assert down["compressed_frames"] >= 1
    assert down["uncompressed_bytes"] > 100000 > 10000 > down["compressed_bytes"]
    assert down["payload_bytes"] > down["bytes"] > down["frames"] * 6
    assert seen["to_server"]["added_ns"]["n"] > 0


def as_perfetto_reads(chrome):
    """Names with depths, by nesting alone: slices of a track lie in each other or apart; every track has a name."""
    tracks, found = {}, set()
    named = {(e["pid"], e["tid"]) for e in chrome["traceEvents"] if e["ph"] == "M" and e["name"] == "thread_name"}
    for e in chrome["traceEvents"]:
        assert e["ph"] in "XiM" and isinstance(e["pid"], int) and 0 <= e["tid"] < 2 ** 31
        if e["ph"] == "X":
            assert e["ts"] >= 0 and e["dur"] >= 0
            tracks.setdefault((e["pid"], e["tid"]), []).append(e)
        elif e["ph"] == "i":
            assert e["s"] == "t" and e["ts"] >= 0
    assert tracks.keys() <= named
    for slices in tracks.values():
        ends = []
        for e in sorted(slices, key=lambda e: (e["ts"], -e["dur"])):
            while ends and ends[-1] <= e["ts"] + 0.0005:
                ends.pop()
            assert not ends or e["ts"] + e["dur"] <= ends[-1] + 0.0005
            ends.append(e["ts"] + e["dur"])
            found.add((e["name"], len(ends)))
    return found


def test_tree_timeline_and_chrome_trace(known):
    seen, done, tmp_path = known
    tree = re.search(r"Call tree\n(.*?)\n\n", done.stderr, re.S)[1].splitlines()
    at = next(i for i, line in enumerate(tree) if "call Known.call_back" in line)
    names = [re.sub(r"^ *[\d.]+ (ns|us|ms|s)  ", "", line) for line in tree[at:at + 10]]
    inside = [n for n in names if n.startswith("   ")]
    assert [n.strip() for n in inside if "inspect" not in n][:3] == ["< call function", "getattr Known.item", "call Known.item"]
    assert inside[0].index("<") < names[[n.strip() for n in names].index("getattr Known.item")].index("getattr")
    timeline = done.stderr.split("\nTimeline\n")[1]
    assert re.search(r"^\+.* [.=]{24} .*call Known.sleep$", timeline, re.M)
    chrome = json.loads((tmp_path / "chrome.json").read_text())
    slices = [e for e in chrome["traceEvents"] if e["ph"] == "X"]
    assert len(slices) == seen["round_trips"]
    assert as_perfetto_reads(chrome) == {(e["name"], e["args"]["depth"]): 0 for e in slices}.keys()
    assert max(e["args"]["depth"] for e in slices) == 3


def test_a_capture_shows_the_same_again(known, mpbench):
    seen, _, tmp_path = known
    again, done = trace(mpbench, tmp_path, "--read", tmp_path / "capture", "--slow", "250ms")
    assert again == seen
    assert "References" in done.stdout
    whole = (tmp_path / "capture").read_bytes()
    (tmp_path / "cut").write_bytes(whole[:-7])
    done = mpbench("trace-rpc", "--read", tmp_path / "cut")
    assert done.returncode == 0
    assert "in the middle of a record" in done.stderr
    (tmp_path / "bad").write_bytes(whole[:16] + b"\x09" + whole[17:])
    done = mpbench("trace-rpc", "--read", tmp_path / "bad")
    assert done.returncode == 2
    assert "damaged" in done.stderr
    done = mpbench("trace-rpc", "--read", __file__)
    assert done.returncode == 2
    assert "no capture" in done.stderr


def echo_server():
    """Sends back what it gets, one connection after the other."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            with s:
                while piece := s.recv(65536):
                    s.sendall(piece)
    threading.Thread(target=serve, daemon=True).start()
    return listener


class Tracer:
    """A running trace-rpc."""

    def __init__(self, start, mpbench, tmp_path, *args):
        self.out, self.text = tmp_path / "live.json", tmp_path / "live.txt"
        self.err = tmp_path / "live.err"
        with open(self.text, "wb") as o, open(self.err, "wb") as e:
            self.process = start([mpbench.path, "trace-rpc", "--listen", "0", "-o", self.out, *args], stdout=o, stderr=e)
        self.port = int(self.wait_for(self.err, r"trace-rpc on .*:(\d+)\n")[1])

    def wait_for(self, path, pattern):
        end = time.monotonic() + 30
        while not (found := re.search(pattern, path.read_text())):
            assert self.process.poll() is None and time.monotonic() < end, path.read_text()
            time.sleep(0.01)
        return found

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0
        return json.loads(self.out.read_text())["extensions"]["trace_rpc"]


def test_what_is_no_rpyc_is_passed_on_untouched(start, mpbench, tmp_path):
    server = echo_server()
    t = Tracer(start, mpbench, tmp_path, "--to", f"127.0.0.1:{server.getsockname()[1]}")
    data = os.urandom(3 << 20)
    for opening in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\x00\x00\x00\x02\x00zz\x0a", b"\x00\x00\x00\x09\x01notzlib..\x0a"):
        with socket.create_connection(("127.0.0.1", t.port), timeout=60) as s:
            sender = threading.Thread(target=lambda: (s.sendall(opening + data), s.shutdown(socket.SHUT_WR)))
            sender.start()
            got = b""
            while piece := s.recv(1 << 20):
                got += piece
            sender.join()
        assert got == opening + data
    server.close()
    seen = t.stop()
    assert (seen["connections"], seen["not_decoded"], seen["round_trips"]) == (4, 4, 0)
    assert seen["not_decoded_why"]
    assert "without being understood" in t.err.read_text()


def test_usr1_shows_what_there_is_so_far(start, mpbench, python, service, tmp_path):
    t = Tracer(start, mpbench, tmp_path, "--to", f"127.0.0.1:{service}")
    code = "import sys, rpyc; c = rpyc.connect('127.0.0.1', int(sys.argv[1])); c.root.ping(); print(1, flush=True); input()"
    with subprocess.Popen([*python, "-c", code, str(t.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        assert client.stdout.readline() == b"1\n"
        # what the relay has passed on is decoded a moment later
        end = time.monotonic() + 30
        while "call Known.ping" not in t.text.read_text():
            assert time.monotonic() < end
            t.process.send_signal(signal.SIGUSR1)
            time.sleep(0.05)
        assert "(1 open)" in t.text.read_text()
        client.communicate(b"\n", timeout=60)
    seen = t.stop()
    assert seen["connections"] == 1


def test_passing_on_does_not_wait_for_the_decoder(start, mpbench, tmp_path):
    """Nobody reads what it prints: its thread is stuck, and more passes than the queue to it holds."""
    server, out, err = echo_server(), tmp_path / "stuck.json", tmp_path / "stuck.err"
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with pytest.raises(BlockingIOError):
        while os.write(writer, bytes(4096)):
            pass
    os.set_blocking(writer, True)
    with open(err, "wb") as e:
        process = start([mpbench.path, "trace-rpc", "--listen", "0", "-o", out, "--to", f"127.0.0.1:{server.getsockname()[1]}"],
                        stdout=writer, stderr=e)
    end = time.monotonic() + 30
    while not (told := re.search(r"trace-rpc on .*:(\d+)\n", err.read_text())):
        assert time.monotonic() < end
        time.sleep(0.01)
    # a PING of 5.x with 1 MiB in it; to its sender that is a PING too
    data = os.urandom(1 << 20)
    payload = b"\x12\x51\x50\x11\x51\x11\x51\x10\x0f" + struct.pack(">I", len(data)) + data
    frame = struct.pack(">IB", len(payload), 0) + payload + b"\n"
    with socket.create_connection(("127.0.0.1", int(told[1])), timeout=60) as s:
        process.send_signal(signal.SIGUSR1)
        for _ in range(40):
            sender = threading.Thread(target=s.sendall, args=(frame,))
            sender.start()
            assert receive(s, len(frame)) == frame
            sender.join()
    os.close(writer)
    process.send_signal(signal.SIGTERM)
    while os.read(reader, 65536):
        pass
    os.close(reader)
    server.close()
    assert process.wait(timeout=60) == 0
    seen = json.loads(out.read_text())["extensions"]["trace_rpc"]
    assert (seen["not_seen_whole"], seen["not_decoded"]) == (1, 0)


def receive(s, n):
    got = bytearray()
    while len(got) < n:
        piece = s.recv(n - len(got))
        assert piece
        got += piece
    return bytes(got)


def test_several_connections_and_a_server_that_is_not_there(start, mpbench, python, service, port, tmp_path):
    t = Tracer(start, mpbench, tmp_path, "--to", f"127.0.0.1:{service}")
    code = ("import sys, rpyc\ncs = [rpyc.connect('127.0.0.1', int(sys.argv[1])) for _ in range(20)]\n"
            "for c in cs:\n for i in range(5): assert c.root.item(i) == i * i\nfor c in cs: c.close()")
    subprocess.run([*python, "-c", code, str(t.port)], check=True, timeout=120)
    seen = t.stop()
    assert seen["connections"] == 20
    assert calls_of(seen)["client", "call Known.item"] == 100
    done = mpbench("trace-rpc", "--to", f"127.0.0.1:{port()}", "--", *python, "-c", code, "{port}")
    assert done.returncode == 1
    assert "did not reach" in done.stderr


def test_status_and_words_of_the_command(mpbench, service):
    done = mpbench("trace-rpc", "-q", "--to", f"127.0.0.1:{service}", "--", "sh", "-c", 'echo "$1|$2"; exit 7', "x", "{}", "a{host}b{port}")
    assert done.returncode == 7
    assert re.fullmatch(r"127\.0\.0\.1:(\d+)\|a127\.0\.0\.1b\1\n", done.stdout)


@pytest.mark.parametrize("words, status", [(["/nowhere/x"], 127), ([__file__], 126)])
def test_a_command_that_cannot_run(mpbench, service, words, status):
    done = mpbench("trace-rpc", "--to", f"127.0.0.1:{service}", "--", *words)
    assert done.returncode == status
    assert "cannot run" in done.stderr
    done = mpbench("trace-rpc", "--to", "nonsense", "--", "true")
    assert done.returncode == 125
    done = mpbench("trace-rpc", "--to", f"127.0.0.1:{service}", "--trace", "/nowhere/x", "--", "echo", "was run")
    assert done.returncode == 125 and "/nowhere/x" in done.stderr and not done.stdout
    done = mpbench("trace-rpc", "--to", f"127.0.0.1:{service}", "--", "true")
    assert "made no connection" in done.stderr


ASYNC = r"""
import sys, rpyc
root = rpyc.connect(sys.argv[1], int(sys.argv[2])).root
sleep = rpyc.async_(root.sleep)
for pending in [sleep(s) for s in (0.8, 0.01, 0.01)]:
    pending.wait()
assert root.call_back(lambda i: root.call_back(lambda k: root.item(k), 2), 2) == 2
"""


def test_calls_at_the_same_time_have_tracks_of_their_own(mpbench, python, service, tmp_path):
    seen, done = trace(mpbench, tmp_path, "--to", f"127.0.0.1:{service}", "--trace", tmp_path / "chrome.json", "--tree", "--lines", "3",
                       "--", *python, "-c", ASYNC, "{host}", "{port}")
    assert (seen["overlapping"], seen["max_depth"]) == (2, 5)
    assert re.search(r"^and \d+ more lines \(--lines\)$", done.stderr, re.M)
    chrome = json.loads((tmp_path / "chrome.json").read_text())
    slices = [e for e in chrome["traceEvents"] if e["ph"] == "X"]
    assert as_perfetto_reads(chrome) == {(e["name"], e["args"]["depth"]) for e in slices}
    assert len({e["tid"] for e in slices if e["name"] == "call Known.sleep"}) == 3


LONG = r"""
import os, sys, rpyc
fail = rpyc.connect(sys.argv[1], int(sys.argv[2])).root.fail
for i in range(5):
    try:
        fail(os.urandom(100000))
    except ValueError:
        pass
"""


def test_long_frames_are_told(mpbench, python, service, tmp_path):
    """RPyC's last byte of such a frame can wait 40 ms without this relay: it must not hide that."""
    seen, done = trace(mpbench, tmp_path, "--to", f"127.0.0.1:{service}", "--", *python, "-c", LONG, "{host}", "{port}")
    assert seen["to_server"]["split_frames"] == 5
    assert "--delayed-acks" in done.stderr


@pytest.mark.quiet
def test_stalls_of_the_application_are_seen_with_delayed_acks(mpbench, python, service, tmp_path):
    seen, done = trace(mpbench, tmp_path, "--delayed-acks", "--to", f"127.0.0.1:{service}", "--", *python, "-c", LONG, "{host}",
                       "{port}")
    assert seen["stuck_frames"] >= 1
    assert "delayed acknowledgements" in re.sub(r"\s+", " ", done.stderr)


def columns(text):
    return max(len(line) for line in re.sub(r"\x1b\[[0-9;]*[a-zA-Z]", "", text).replace("\r", "").split("\n"))


def test_text_fits_80_columns(known, mpbench):
    _, done, tmp_path = known
    assert columns(done.stderr) <= 80
    assert columns(mpbench("trace-rpc", "--read", tmp_path / "capture", "--tree", "--timeline").stdout) <= 80


class Terminal:
    """A terminal of 80 columns and 24 lines with a program in it, and everything that it wrote."""

    def __init__(self, words):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(words[0], list(map(os.fspath, words)))
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.text, self.status = "", None

    def wait_for(self, pattern):
        end = time.monotonic() + 60
        while not (found := re.search(pattern, self.text, re.S)):
            assert time.monotonic() < end, self.text
            if select.select([self.fd], [], [], 1)[0]:
                self.text += os.read(self.fd, 65536).decode()
        return found

    def finish(self):
        while True:
            try:
                piece = os.read(self.fd, 65536)
            except OSError:
                break
            if not piece:
                break
            self.text += piece.decode()
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_live_view_in_a_terminal(mpbench, python, service):
    t = Terminal([mpbench.path, "trace-rpc", "--listen", "0", "--to", f"127.0.0.1:{service}"])
    port = t.wait_for(r"trace-rpc on .*?:(\d+)\r\n")[1]
    subprocess.run([*python, "-c", CLIENT, "127.0.0.1", port], check=True, timeout=60)
    t.wait_for(r"90(\x1b\[[0-9;]*m| )+round.*References.*\x1b\[J.*\x1b\[H")
    os.kill(t.pid, signal.SIGINT)
    assert t.finish() == 0
    views = t.text.split("\x1b[H")[1:-1]
    assert len(views) >= 2
    assert all(v.count("\n") <= 23 and columns(v) <= 80 for v in views)
    # the whole of it at the end
    assert "call Known.answer" in t.text or "getattr Known.answer" in t.text


def test_a_command_has_the_terminal(mpbench, service):
    """It can read, and ^C is its own."""
    t = Terminal([mpbench.path, "trace-rpc", "--to", f"127.0.0.1:{service}", "--", sys.executable, "-c",
                  "print('got', input(), flush=True)\nwhile True: input()"])
    t.wait_for("trace-rpc on")
    os.write(t.fd, b"words\n")
    t.wait_for("got words")
    os.write(t.fd, b"\x03")
    assert t.finish() == 130
    assert "KeyboardInterrupt" in t.text and "round" in t.text


@pytest.mark.parametrize("args, words", [
    ([], "which server"),
    (["--to", "127.0.0.1:1"], "where shall the client"),
    (["--to", "nonsense", "--listen", "0"], "HOST:PORT"),
    (["--read", "/nowhere/x"], "/nowhere/x"),
    (["--read", "x", "--to", "127.0.0.1:1"], "--read takes"),
    (["--to", "127.0.0.1:1", "--listen", "0", "--record", "/nowhere/x"], "/nowhere/x"),
])
def test_usage(mpbench, args, words):
    done = mpbench("trace-rpc", *args)
    assert done.returncode == 2
    assert words in done.stderr
