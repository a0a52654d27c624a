"""mpbench bridge for a long time: nothing is lost, nothing grows, nothing wedges."""
import hashlib
import os
import pathlib
import random
import shlex
import signal
import socket
import subprocess
import threading
import time

import pytest

from peers.bridge import RAW, Bridge, board, bridge, until  # noqa: F401 (fixtures)

ECHO = "import os, tty; tty.setraw(0); os.write(1, b'ready')\nwhile True:\n d = os.read(0, 65536)\n while d: d = d[os.write(1, d):]"


def resident_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0])


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def zombies_of(pid):
    found = 0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        found += fields[0] == "Z" and int(fields[1]) == pid
    return found


def soon(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.005)


class Undoubled:
    """Telnet data as it comes: each 0xFF doubled, wherever the pieces are cut."""

    def __init__(self):
        self.half = b""

    def take(self, piece):
        piece = self.half + piece
        odd = (len(piece) - len(piece.rstrip(b"\xff"))) % 2
        self.half = piece[len(piece) - odd:]
        return piece[:len(piece) - odd].replace(b"\xff\xff", b"\xff")


class Way:
    """One port of the bridge as a stream of plain bytes."""

    def __init__(self, b, kind, path):
        self.kind, self.decoder = kind, Undoubled()
        if kind == "pty":
            self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
            return
        self.s = b.connect(b.raw if kind == "raw" else b.rfc2217)
        self.s.settimeout(120)
        if kind == "rfc2217":
            # both directions binary and the port agreed; the last thing that telnet says is the state of the lines
            self.s.sendall(b"\xff\xfb\x00\xff\xfd\x00\xff\xfb\x2c")
            until(self.s, b"\xff\xfa\x2c\x6b\xb0\xff\xf0")

    def wire(self, data):
        return data.replace(b"\xff", b"\xff\xff") if self.kind == "rfc2217" else data

    def send(self, wire):
        if self.kind != "pty":
            self.s.sendall(wire)
            return
        while wire:
            wire = wire[os.write(self.fd, wire):]

    def receive(self):
        piece = os.read(self.fd, 1 << 20) if self.kind == "pty" else self.s.recv(1 << 20)
        assert piece
        return self.decoder.take(piece) if self.kind == "rfc2217" else piece

    def close(self):
        os.close(self.fd) if self.kind == "pty" else self.s.close()


@pytest.mark.takes(3600)
def test_bytes_both_ways(bridge, soak, tmp_path):
    """1 GiB to an echoing device and back through each port: hashes equal, memory flat."""
    size = soak(1 << 30)
    program = tmp_path / "echo.py"
    program.write_text(ECHO)
    b = bridge(f"exec:{shlex.join(['/usr/bin/python3', str(program)])}", "--pty", tmp_path / "port")
    block = random.Random(1).randbytes(65521)
    for kind in ("raw", "rfc2217", "pty"):
        way = Way(b, kind, tmp_path / "port")
        # the device says "ready" once, when it is there, or had said it before we came
        way.send(b"x")
        got = b""
        while not got.endswith(b"x"):
            got += way.receive()
        before = resident_kib(b.process.pid)
        sent, received = hashlib.sha256(), hashlib.sha256()

        def feed():
            left, whole = size, way.wire(block)
            while left:
                piece = block[:left]
                sent.update(piece)
                way.send(whole if len(piece) == len(block) else way.wire(piece))
                left -= len(piece)

        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        left, largest = size, before
        while left:
            piece = way.receive()
            assert len(piece) <= left
            received.update(piece)
            left -= len(piece)
            if left % 16 == 0:
                largest = max(largest, resident_kib(b.process.pid))
        feeder.join()
        way.close()
        assert received.digest() == sent.digest()
        assert max(largest, resident_kib(b.process.pid)) < before + 2048


@pytest.mark.takes(1800)
def test_many_sessions(bridge, board, soak):
    b = bridge(board)
    n, files, memory = soak(10_000), None, None
    for i in range(n):
        with b.connect(b.raw if i % 2 else b.rfc2217) as s:
            s.sendall(b"\r")
            until(s, b">>> ")
        if i == n // 10:
            files, memory = open_files(b.process.pid), resident_kib(b.process.pid)
    soon(lambda: open_files(b.process.pid) <= files + 1, "descriptors stay open")
    assert resident_kib(b.process.pid) < memory + 1024


@pytest.mark.takes(1800)
def test_many_soft_resets(bridge, board, soak):
    b = bridge(board)
    with b.connect() as s:
        s.sendall(b"\r\x03\r\x01")
        until(s, RAW)
        files, memory = open_files(b.process.pid), resident_kib(b.process.pid)
        for _ in range(soak(1000)):
            s.sendall(b"\x04")
            assert until(s, RAW) == b"OK\r\nMPY: soft reboot\r\n" + RAW
        soon(lambda: open_files(b.process.pid) <= files + 1, "descriptors stay open")
        assert resident_kib(b.process.pid) < memory + 1024
    assert zombies_of(b.process.pid) == 0


def children(pid):
    return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Kills:
    """A bridge that is killed with its device and its clients at random moments, and started again on the same ports."""

    def __init__(self, path, tmp_path, link, rng):
        self.path, self.tmp_path, self.link, self.rng = path, tmp_path, link, rng
        self.bridge = Bridge(path, tmp_path, link, "-v", "--pty", tmp_path / "port")
        self.done = {"client": 0, "device": 0, "bridge": 0}

    def a_client(self):
        """mpbench itself as a client that is in the midst of something: opening, executing, closing."""
        url = self.rng.choice((f"socket://127.0.0.1:{self.bridge.raw}", f"rfc2217://127.0.0.1:{self.bridge.rfc2217}",
                               str(self.tmp_path / "port")))
        return subprocess.Popen([self.path, "bench-repl", "-q", "--case", "session,exec", "--runs", "1000", url],
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill_device(self):
        for pid in children(self.bridge.process.pid):
            os.kill(pid, signal.SIGKILL)
        self.done["device"] += 1

    def kill_bridge(self):
        orphans = children(self.bridge.process.pid)
        self.bridge.process.kill()
        self.bridge.process.wait()
        self.bridge.err.close()
        for pid in orphans:
            soon(lambda: not pathlib.Path(f"/proc/{pid}").exists(), f"device {pid} outlives its bridge")
        # the ports that the dead one had are free at once
        self.bridge = Bridge(self.path, self.tmp_path, self.link, "-v", "--pty", self.tmp_path / "port", "--raw",
                             str(self.bridge.raw), "--rfc2217", str(self.bridge.rfc2217))
        self.done["bridge"] += 1

    def once(self):
        client = self.a_client()
        self.unnoticed = False
        # the moments are what is random here
        time.sleep(self.rng.random() ** 3 * 0.3)
        victim = self.rng.choice(("client", "client", "device", "bridge", "both"))
        if victim in ("device", "both"):
            self.kill_device()
            self.unnoticed = True
        if victim == "bridge":
            self.kill_bridge()
        client.kill()
        client.wait()
        self.done["client"] += 1

    def works(self):
        """The next session: on any port, with a reset connection or a proper end before it."""
        with self.bridge.connect(self.rng.choice((self.bridge.raw, self.bridge.rfc2217))) as s:
            if self.rng.random() < 0.3:
                s.sendall(b"\r\x01" * self.rng.randrange(1, 2000))
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        with self.bridge.connect(self.rng.choice((self.bridge.raw, self.bridge.rfc2217))) as s:
            self.enter(s)
            s.sendall(b"print(1)\x04")
            assert until(s, b"\x04>").endswith(b"OK1\r\n\x04\x04>")
            s.sendall(b"\x02")
            until(s, b">>> ")

    def enter(self, s):
        """What was sent to a device in the moment of its death is lost with it: only then the client asks again."""
        got = b""
        s.settimeout(2 if self.unnoticed else 20)
        s.sendall(b"\r\x03\r\x01")
        while not got.endswith(RAW):
            try:
                piece = s.recv(65536)
            except TimeoutError:
                assert s.gettimeout() == 2, f"no raw REPL at the end of {got!r}"
                s.settimeout(20)
                s.sendall(b"\r\x03\r\x01")
                continue
            assert piece, f"closed after {got!r}"
            got += piece
        s.settimeout(20)


@pytest.mark.takes(1500)
def test_kills_at_random_moments(mpbench, board, soak, tmp_path):
    """kill -9 of client, device and bridge for 10 minutes: no wedge, no zombie, the next session works."""
    rng = random.Random(7)
    kills = Kills(mpbench.path, tmp_path, board, rng)
    files = open_files(kills.bridge.process.pid)
    try:
        end = time.monotonic() + soak(600)
        while time.monotonic() < end:
            kills.once()
            kills.works()
            pid = kills.bridge.process.pid
            soon(lambda: zombies_of(pid) == 0, "a zombie stays")
            soon(lambda: open_files(pid) <= files + 1, "descriptors stay open")
            assert len(children(pid)) <= 1
        print(f"killed {kills.done}")
    except AssertionError as problem:
        raise AssertionError(f"{kills.done}\n{kills.bridge.log()[-4000:]}") from problem
    finally:
        kills.bridge.process.kill()
        kills.bridge.process.wait()
