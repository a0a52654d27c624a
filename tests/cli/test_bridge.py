"""mpbench bridge with real clients."""
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import time

import pytest

RAW = b"raw REPL; CTRL-B to exit\r\n>"


class Bridge:
    """A running bridge; .raw and .rfc2217 are its ports, .log() everything it said so far."""

    def __init__(self, path, tmp_path, link, *options, **kw):
        self.err = open(tmp_path / f"bridge-{time.monotonic_ns()}.log", "w+")
        self.process = subprocess.Popen([path, "bridge", "--rfc2217", "0", "--raw", "0", *map(os.fspath, options), link],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.err,
                                        start_new_session=True, **kw)
        self.wait_for(r"serving socket://")
        self.raw = int(re.search(r"serving socket://.*:(\d+)", self.log())[1])
        self.rfc2217 = int(re.search(r"serving rfc2217://.*:(\d+)", self.log())[1])

    def log(self):
        with open(self.err.name) as f:
            return f.read()

    def wait_for(self, pattern, count=1, seconds=20):
        end = time.monotonic() + seconds
        while len(re.findall(pattern, self.log())) < count:
            assert self.process.poll() is None and time.monotonic() < end, f"no {pattern!r} in:\n{self.log()}"
            time.sleep(0.005)

    def connect(self, port=None):
        s = socket.create_connection(("127.0.0.1", port or self.raw), timeout=20)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def stop(self, sign=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sign)
        status = self.process.wait(timeout=20)
        self.err.close()
        return status


@pytest.fixture
def bridge(mpbench, tmp_path):
    made = []

    def make(link, *options, **kw):
        made.append(Bridge(mpbench.path, tmp_path, link, *options, **kw))
        return made[-1]
    yield make
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


@pytest.fixture
def board(mpbench):
    """The builtin device, which ends on a soft reset as the unix port does."""
    return f"exec:{shlex.quote(mpbench.path)} serve-repl --fault=exit-on-reset"


def until(s, end):
    got = b""
    while not got.endswith(end):
        piece = s.recv(65536)
        assert piece, f"closed after {got!r}"
        got += piece
    return got


def test_soft_reset_gives_the_bytes_of_a_board(bridge, board):
    b = bridge(board, "-v")
    s = b.connect()
    s.sendall(b"\r\x03\r\x01")
    until(s, RAW)
    for _ in range(5):
        s.sendall(b"\x04")
        assert until(s, RAW) == b"OK\r\nMPY: soft reboot\r\n" + RAW
        s.sendall(b"print(1)\x04")
        assert until(s, b"\x04>") == b"OK1\r\n\x04\x04>"
    s.sendall(b"\x02")
    until(s, b">>> ")
    s.sendall(b"\x04")
    assert until(s, b">>> ").startswith(b"\r\nMPY: soft reboot\r\n")
    s.close()
    assert b.stop() == 143
    assert b.log().count("(soft reset)") == 6


def test_a_second_client_is_told_and_reconnects_are_instant(bridge, board):
    b = bridge(board, "-v")
    first = b.connect()
    first.sendall(b"\r")
    until(first, b">>> ")
    for port in (b.raw, b.rfc2217):
        with b.connect(port) as second:
            assert re.match(rb"mpbench bridge: in use by raw 127\.0\.0\.1:\d+ for \d+ s\r\n$", until(second, b"\n"))
            assert second.recv(1) == b""
    for _ in range(300):
        first.close()
        first = b.connect()
        first.sendall(b"\r")
        until(first, b">>> ")
    first.close()
    b.stop()
    assert b.log().count("refused") == 2


def test_document_and_stats(bridge, board, mpbench, tmp_path):
    out = tmp_path / "bridge.json"
    b = bridge(board, "-o", out, "--stats", "--trace", tmp_path / "trace")
    with b.connect() as s:
        s.sendall(b"\x01")
        until(s, RAW)
        s.sendall(b"print(1)\x04")
        until(s, b"\x04>")
    assert b.stop() == 143
    assert mpbench("validate", out).returncode == 0
    counts = json.loads(out.read_text())["extensions"]["bridge"]
    assert counts["sessions"] == 1
    assert counts["to_device"]["bytes"] == 10
    assert counts["to_client"]["added_latency_ns"]["p50"] > 0
    assert "1 sessions" in b.log()
    assert re.search(r"^\d+\.\d{9} > 70 72 69 6e 74 28 31 29 04 +\|print\(1\)\.\|$", (tmp_path / "trace").read_text(), re.M)
