"""mpbench bridge for a long time: nothing is lost, nothing grows, nothing wedges."""
import hashlib
import os
import pathlib
import random
import shlex
import signal
import socket
import threading
import time

from peers.bridge import RAW, board, bridge, until  # noqa: F401 (fixtures)

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


def test_bytes_both_ways(bridge, soak, tmp_path):
    """1 GiB to an echoing device and back through each port: hashes equal, memory flat."""
    size = soak(1 << 30)
    program = tmp_path / "echo.py"
    program.write_text(ECHO)
    b = bridge(f"exec:{shlex.join(['/usr/bin/python3', str(program)])}")
    for port in (b.raw, b.rfc2217):
        telnet = port == b.rfc2217
        block = bytes(range(1, 255)) * 256 if telnet else random.Random(1).randbytes(65024)
        s = b.connect(port)
        before = resident_kib(b.process.pid)
        sent, got = hashlib.sha256(), hashlib.sha256()

        def feed():
            left = size
            while left:
                piece = block[:left]
                s.sendall(piece)
                sent.update(piece)
                left -= len(piece)

        if telnet:
            # the opening of telnet ends with DO COM-PORT, and nothing else is said by itself
            until(s, b"\xff\xfd\x2c")
        else:
            # the device says this once, when it is there, or had said it before we came
            s.sendall(b"x")
            until(s, b"x")
        feeder = threading.Thread(target=feed)
        feeder.start()
        left = size
        while left:
            piece = s.recv(min(left, 1 << 20))
            assert piece
            got.update(piece)
            left -= len(piece)
        feeder.join()
        s.close()
        assert got.digest() == sent.digest()
        assert resident_kib(b.process.pid) < before + 2048


def test_many_sessions(bridge, board, soak):
    b = bridge(board)
    n, files, memory = soak(10_000), None, None
    for i in range(n):
        with b.connect(b.raw if i % 2 else b.rfc2217) as s:
            s.sendall(b"\r")
            until(s, b">>> ")
        if i == n // 10:
            files, memory = open_files(b.process.pid), resident_kib(b.process.pid)
    assert open_files(b.process.pid) <= files + 1
    assert resident_kib(b.process.pid) < memory + 1024


def test_many_soft_resets(bridge, board, soak):
    b = bridge(board)
    with b.connect() as s:
        s.sendall(b"\r\x03\r\x01")
        until(s, RAW)
        files = open_files(b.process.pid)
        for _ in range(soak(1000)):
            s.sendall(b"\x04")
            assert until(s, RAW) == b"OK\r\nMPY: soft reboot\r\n" + RAW
        assert open_files(b.process.pid) <= files + 1
    assert zombies_of(b.process.pid) == 0


def children(pid):
    return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_kills_at_random_moments(bridge, board, soak):
    """Clients that vanish, devices that are killed: the next session works, no zombie stays."""
    rng = random.Random(7)
    b = bridge(board)
    end = time.monotonic() + soak(600)
    while time.monotonic() < end:
        s = b.connect(rng.choice((b.raw, b.rfc2217)))
        s.sendall(b"\r\x01" * rng.randrange(1, 2000))
        if rng.random() < 0.5:
            for child in children(b.process.pid):
                os.kill(child, signal.SIGKILL)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0" if rng.random() < 0.5 else b"\0" * 8)
        s.close()
        with b.connect() as again:
            again.sendall(b"\r\x03\r\x02")
            until(again, b">>> ")
        assert zombies_of(b.process.pid) <= 1
    device = children(b.process.pid)
    b.process.kill()
    b.process.wait()
    for pid in device:
        for _ in range(200):
            if not pathlib.Path(f"/proc/{pid}").exists():
                break
            time.sleep(0.01)
        assert not pathlib.Path(f"/proc/{pid}").exists()
