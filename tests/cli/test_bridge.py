"""mpbench bridge: sessions, soft resets, records."""
import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import termios
import time

import pytest

from peers.bridge import RAW, board, bridge, until  # noqa: F401 (fixtures)


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
    assert 0 < counts["wakeups"] and 3 <= counts["reads"]
    assert counts["reads_per_wakeup"] == pytest.approx(counts["reads"] / counts["wakeups"])
    assert re.search(r"added: median [\d.]+ [mun]s, .*\n +[\d.]+ [mun]s \[.{40}\] [\d.]+ [mun]s\n", b.log())
    assert re.search(r"wake-ups +\d+, with \d+ reads: \d\.\d\d each", b.log())
    assert "1 sessions" in b.log()
    assert re.search(r"^\d+\.\d{9} > 70 72 69 6e 74 28 31 29 04 +\|print\(1\)\.\|$", (tmp_path / "trace").read_text(), re.M)


def test_chardelay_makes_packets_of_pieces(bridge, tmp_path):
    """What a device says byte by byte is held for more of it."""
    device, out = tmp_path / "device.py", tmp_path / "bridge.json"
    device.write_text("import os, tty; tty.setraw(0); os.write(1, b'!')\nwhile os.read(0, 1): os.write(1, b'x')\n")
    b = bridge(f"exec:/usr/bin/python3 {device}", "-o", out, "--chardelay", "300ms")
    with b.connect() as s:
        s.sendall(b"a" * 100)
        until(s, b"x" * 100)
    assert b.stop() == 143
    counts = json.loads(out.read_text())["extensions"]["bridge"]["to_client"]
    assert counts["bytes"] in (100, 101)
    assert counts["added_latency_ns"]["min"] >= 300e6
    assert sum(counts["added_latency_ns"]["hist"]["count"]) == counts["pieces"]


TCGETS2 = 0x802C542A
BUSY = """
import os, signal, time
signal.signal(signal.SIGINT, lambda *_: os.write(1, b"stopped"))
while True:
    os.write(1, b".")
    time.sleep(0.05)
"""


def hear(read, words):
    got = b""
    while words not in got:
        piece = read(1000)
        assert piece, got
        got += piece


@pytest.mark.parametrize("port", ["raw", "rfc2217", "pty"])
def test_ctrl_c_reaches_running_code(bridge, tmp_path, port):
    program = tmp_path / "busy.py"
    program.write_text(BUSY)
    b = bridge(f"exec:/usr/bin/python3 {program}", "--pty", tmp_path / "port", "--break", "interrupt")
    if port == "pty":
        fd = os.open(tmp_path / "port", os.O_RDWR | os.O_NOCTTY)
        hear(lambda n: os.read(fd, n), b".")
        os.write(fd, b"\x03")
        hear(lambda n: os.read(fd, n), b"stopped")
        os.close(fd)
        return
    with b.connect(getattr(b, port)) as s:
        hear(s.recv, b".")
        s.sendall(b"\x03")
        hear(s.recv, b"stopped")
        if port == "rfc2217":
            s.sendall(b"\xff\xfb\x2c" + b"\xff\xfa\x2c\x05\x05\xff\xf0")
            hear(s.recv, b"stopped")


def test_a_pty_as_the_link(bridge, tmp_path, peer_python):
    """What another program holds the other end of: settings reach it, bytes go both ways, unchanged."""
    master, slave = pty.openpty()
    link = tmp_path / "link"
    link.symlink_to(os.ttyname(slave))
    b = bridge(os.fspath(link), "-v")
    code = ("import serial, sys; s = serial.serial_for_url(sys.argv[1], baudrate=9600, stopbits=2, timeout=60);"
            "s.write(bytes(range(256)));"
            "assert s.read(256) == bytes(range(255, -1, -1)); s.close()")
    client = subprocess.Popen([*peer_python("python3-serial", "serial"), "-c", code, f"rfc2217://127.0.0.1:{b.rfc2217}"])
    got = b""
    while len(got) < 256:
        got += os.read(master, 1000)
    assert got == bytes(range(256))
    # struct termios2: four words of flags, the line's discipline, 19 characters, the two rates
    told = struct.unpack("4I20x2I", fcntl.ioctl(slave, TCGETS2, bytes(44)))
    assert told[4:] == (9600, 9600) and told[2] & termios.CSTOPB
    os.write(master, bytes(range(255, -1, -1)))
    assert client.wait(timeout=60) == 0
    for words in ("baud 9600", "stop bits 2"):
        b.wait_for(words)
    assert b.stop() == 143
    os.close(master)
    os.close(slave)


def test_a_trace_is_a_device(bridge, mpbench, tmp_path):
    """What bench-repl did through the bridge is done again with the trace as the device; other input is noticed."""
    trace = tmp_path / "a trace"
    b = bridge("builtin:", "--trace", trace)
    args = ["bench-repl", "--case", "exec", "--mode", "raw", "--iterations", "20", "--runs", "1", "--warmup", "0"]
    assert mpbench(*args, f"socket://127.0.0.1:{b.raw}").returncode == 0
    b.stop()
    url = f"builtin:repl?replay={str(trace).replace(' ', '%20')}"
    for option in ("", "&replay-paced"):
        done = mpbench(*args, url + option)
        assert done.returncode == 0, done.stdout + done.stderr
    assert mpbench(*args, "--case", "print", url).returncode == 4
    again = bridge(url)
    assert mpbench(*args, f"socket://127.0.0.1:{again.raw}").returncode == 0
