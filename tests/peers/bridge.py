"""A running `mpbench bridge`, as fixtures that tests import by name."""
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

    def wait_for(self, pattern, count=1, seconds=60):
        end = time.monotonic() + seconds
        while len(re.findall(pattern, self.log())) < count:
            assert self.process.poll() is None and time.monotonic() < end, f"no {pattern!r} in:\n{self.log()}"
            time.sleep(0.005)

    def connect(self, port=None):
        s = socket.create_connection(("127.0.0.1", port or self.raw), timeout=60)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def stop(self, sign=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sign)
        status = self.process.wait(timeout=60)
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
        try:
            piece = s.recv(65536)
        except TimeoutError:
            raise AssertionError(f"no {end!r} at the end of {got!r}") from None
        assert piece, f"closed after {got!r}"
        got += piece
    return got
