"""mpbench bridge and clients that mean no good, or that are broken."""
import os
import pathlib
import random
import re
import shlex
import signal
import socket
import struct
import sys
import threading
import time

import pytest

from peers.bridge import RAW, board, bridge, until  # noqa: F401 (fixtures)


def resident_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def cpu_ticks(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def works(b):
    with b.connect() as s:
        s.sendall(b"\r\x03\r\x01")
        until(s, RAW)
        s.sendall(b"print(1)\x04")
        assert until(s, b"\x04>").endswith(b"OK1\r\n\x04\x04>")


BOMBS = [b"\xff\xfa\x2c\x00\xff\xf0", b"\xff\xfd\x01\xff\xfe\x01", b"\xff\xfb\x2c\xff\xfc\x2c", b"\xff\xfa\x2c" + b"x" * 60000,
         b"\xff\xf6", b"\xff\xfa\x2c\x07\xff\xf0" * 1000, bytes(range(256))]


@pytest.mark.parametrize("bomb", BOMBS, ids=range(len(BOMBS)))
def test_telnet_bombs_without_reading(bridge, board, bomb):
    """The answers fill the client's own window; then it is not read any more, and nothing grows."""
    b = bridge(board)
    with b.connect(b.rfc2217) as s:
        s.sendall(b"\xff\xfb\x2c\xff\xfd\x2c")
        s.setblocking(False)
        before, sent, end = resident_kib(b.process.pid), 0, time.monotonic() + 1
        block = bomb * max(1, 60000 // len(bomb))
        while time.monotonic() < end and sent < 64 << 20:
            try:
                sent += s.send(block)
            except BlockingIOError:
                time.sleep(0.01)
        assert resident_kib(b.process.pid) < before + 4096
    works(b)


def test_flood_of_connections(bridge, board):
    b = bridge(board)
    owner = b.connect()
    owner.sendall(b"\r\x03\r\x01")
    until(owner, RAW)
    crowd = []
    for _ in range(300):
        s = socket.create_connection(("127.0.0.1", random.choice((b.raw, b.rfc2217))), timeout=60)
        crowd.append(s)
    owner.sendall(b"print(1)\x04")
    assert until(owner, b"\x04>") == b"OK1\r\n\x04\x04>"
    fds = len(os.listdir(f"/proc/{b.process.pid}/fd"))
    assert fds < 100
    for s in crowd:
        s.close()
    owner.close()
    works(b)


def test_clients_that_do_not_read_lose_nothing(bridge, mpbench):
    """The device writes 8 MiB; the client reads nothing for a while: the device waits, every byte arrives."""
    code = "import sys; w=sys.stdout.buffer; [w.write(bytes([i%251])*4096) for i in range(2048)]; w.flush()"
    b = bridge(f"exec:{shlex.join(['/usr/bin/python3', '-c', 'input();' + code])}", "--restart", "always")
    for port in (b.raw, b.rfc2217):
        with b.connect(port) as s:
            if port == b.rfc2217:
                s.sendall(b"\xff\xfb\x00\xff\xfd\x00")
            s.sendall(b"go\n")
            time.sleep(0.5)
            assert resident_kib(b.process.pid) < (65536 if mpbench.sanitized else 16384)
            got, need = bytearray(), 2048 * 4096
            while len(got) < need + 200:
                piece = s.recv(1 << 20)
                got += piece
                if len(got) >= need:
                    break
            # telnet's opening is at the front
            data = bytes(got)[-need:]
            for i in range(0, 2048, 97):
                assert data[i * 4096:(i + 1) * 4096] == bytes([i % 251]) * 4096
        b.wait_for("ended: exit status 0", 1 if port == b.raw else 2)


def test_reset_connections_and_half_open_ones(bridge, board):
    b = bridge(board, "-v")
    for i in range(50):
        s = b.connect(random.choice((b.raw, b.rfc2217)))
        s.sendall(b"\r" * random.randrange(1, 100))
        if i % 2:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            s.shutdown(socket.SHUT_WR)
        s.close()
    half = b.connect()
    half.shutdown(socket.SHUT_WR)
    works(b)
    assert b.log().count("refused") == 0


def test_a_stuck_device_does_not_hold_the_next_client(bridge):
    """A process that never reads: the first client fills everything and is killed; the next one gets the link."""
    b = bridge("exec:/usr/bin/sleep 1000", "-v")
    s = b.connect()
    s.setblocking(False)
    end = time.monotonic() + 2
    while time.monotonic() < end:
        try:
            s.send(b"x" * 65536)
        except BlockingIOError:
            if time.monotonic() > end - 1:
                break
            time.sleep(0.01)
    s.close()  # its end lies behind bytes that nobody reads
    # when the device has taken nothing for a while
    end = time.monotonic() + 60
    while "session 2" not in b.log():
        assert time.monotonic() < end
        with b.connect() as s:
            s.settimeout(0.5)
            try:
                s.recv(1)
            except TimeoutError:
                pass
    b.wait_for("is dropped")


def test_a_program_that_left_the_pty_has_no_claim(bridge, tmp_path):
    """It goes while its bytes wait for a device that reads nothing: its end is seen all the same."""
    b = bridge("exec:/usr/bin/sleep 1000", "-v", "--pty", tmp_path / "port")
    fd = os.open(tmp_path / "port", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    b.wait_for("session 1: pty")
    full = time.monotonic() + 1
    while time.monotonic() < full:
        try:
            os.write(fd, b"x" * 4096)
        except BlockingIOError:
            time.sleep(0.01)
    os.close(fd)
    with b.connect():
        b.wait_for("session 2: raw")
    assert "refused" not in b.log()


def test_idle_bridge_takes_no_cpu(bridge, board):
    b = bridge(board)
    s = b.connect(b.rfc2217)
    s.sendall(b"\xff\xfb\x2c")
    time.sleep(0.3)
    before = cpu_ticks(b.process.pid)
    time.sleep(1)
    assert cpu_ticks(b.process.pid) - before <= 2
    s.close()


def test_allow(bridge, board):
    b = bridge(board, "-v", "--allow", "10.0.0.0/8,127.0.0.2/32")
    with b.connect() as s:
        try:
            assert s.recv(1) == b""
        except ConnectionResetError:
            pass
    with socket.socket() as s:
        s.bind(("127.0.0.2", 0))
        s.connect(("127.0.0.1", b.raw))
        s.sendall(b"\x01")
        assert until(s, RAW)
    assert "not allowed" in b.log()


def test_shared_watchers(bridge, board):
    b = bridge(board, "--shared")
    with b.connect() as owner, b.connect() as watcher, b.connect(b.rfc2217) as telnet:
        telnet.sendall(b"\xff\xfb\x2c\xff\xfa\x2c\x01\x00\x00\x25\x80\xff\xf0")
        until(telnet, b"\xff\xfa\x2c\x65\x00\x01\xc2\x00\xff\xf0")  # 115200 stays
        watcher.sendall(b"\x01\x01\x01")
        owner.sendall(b"\x01print(1)\x04")
        assert until(owner, b"OK1\r\n\x04\x04>").count(RAW) == 1
        assert until(watcher, b"OK1\r\n\x04\x04>").count(RAW) == 1
        until(telnet, b"OK1\r\n\x04\x04>")


def test_lines_and_break(bridge, board, peer_python):
    b = bridge(board, "-v", "--lines", "esp", "--break", "restart")
    s = b.connect(b.rfc2217)
    s.sendall(b"\xff\xfb\x2c")
    until(s, b"\xff\xfa\x2c\x6b" + b"\xb0\xff\xf0")
    # esptool's hard reset: RTS on with DTR off holds the chip, RTS off lets it start
    s.sendall(b"\xff\xfa\x2c\x05\x09\xff\xf0\xff\xfa\x2c\x05\x0b\xff\xf0")
    b.wait_for("killed by SIG")
    s.sendall(b"\xff\xfa\x2c\x05\x0c\xff\xf0")
    b.wait_for("is up")
    until(s, b">>> ")
    s.sendall(b"\xff\xfa\x2c\x05\x05\xff\xf0\xff\xfa\x2c\x05\x06\xff\xf0")
    b.wait_for("is up", 2)
    s.sendall(b"\xff\xfa\x2c\x01\x00\x00\x25\x80\xff\xf0\xff\xfa\x2c\x01\x00\x00\x25\x80\xff\xf0")
    b.wait_for(": baud 9600\n")
    s.close()
    assert re.findall(r"bridge: (DTR|RTS|break) (on|off)\n", b.log()) == [
        ("DTR", "off"), ("RTS", "off"), ("break", "on"), ("break", "off")]
    assert "as before" not in b.log()


class Manager:
    """systemd's part of socket activation and of readiness."""

    def __init__(self, tmp_path):
        self.path = str(tmp_path / "notify")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(self.path)
        self.notify.settimeout(60)
        self.sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]

    LAUNCH = ("import fcntl, os, sys; a = list(map(int, sys.argv[1].split(','))); high = [fcntl.fcntl(f, fcntl.F_DUPFD, 50) for f in a];"
              "[os.dup2(f, 3 + i) for i, f in enumerate(high)];"
              "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='2', LISTEN_FDNAMES='raw:rfc2217',"
              "NOTIFY_SOCKET=sys.argv[2]); os.execv(sys.argv[3], sys.argv[3:])")


def test_socket_activation_and_readiness(mpbench, board, tmp_path, start):
    m = Manager(tmp_path)
    fds = [s.fileno() for s in m.sockets]
    process = start([sys.executable, "-c", m.LAUNCH, ",".join(map(str, fds)), m.path, mpbench.path, "bridge", board],
                    pass_fds=fds)
    assert m.notify.recv(1000) == b"READY=1"
    with socket.create_connection(m.sockets[0].getsockname(), timeout=60) as s:
        s.sendall(b"\x01")
        until(s, RAW)
    with socket.create_connection(m.sockets[1].getsockname(), timeout=60) as s:
        assert s.recv(1) == b"\xff"
    process.send_signal(signal.SIGTERM)
    assert m.notify.recv(1000) == b"STOPPING=1"
    assert process.wait(timeout=60) == 143


@pytest.mark.parametrize("restart, command, status", [("never", "/usr/bin/true", 0), ("never", "/usr/bin/false", 4),
                                                      ("reboot", "/usr/bin/false", 4)])
def test_the_end_of_the_process_is_the_end(mpbench, restart, command, status):
    done = mpbench("bridge", "--raw", "0", "--rfc2217", "0", "--restart", restart, f"exec:{command}")
    assert done.returncode == status
    if status:
        assert "exit status 1" in done.stderr


@pytest.mark.parametrize("args, words", [
    (["--raw", "x", "builtin:"], "no port"),
    (["--allow", "1.2.3.4/33", "builtin:"], "range of addresses"),
    (["exec:/nowhere/at/all"], "/nowhere/at/all"),
    (["/dev/no-such-port"], "/dev/no-such-port"),
    (["http://x/"], "http"),
    ([], "a link to what"),
    (["--trace", "/nowhere/x", "builtin:"], "/nowhere/x"),
])
def test_usage(mpbench, args, words):
    done = mpbench("bridge", "--raw", "0", "--rfc2217", "0", *args)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") <= 3


def test_a_document_that_cannot_be_written_is_told_at_once(mpbench):
    done = mpbench("bridge", "--raw", "0", "--rfc2217", "0", "-o", "/nowhere/x.json", "builtin:")
    assert done.returncode == 5
    assert "/nowhere/x.json" in done.stderr
