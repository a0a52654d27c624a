"""mpbench bridge and what programs that cannot run here are documented to send.

Windows COM port redirectors (hub4com's plugins/telnet, RFC 2217 section 3 for the rest), esptool (reset.py over pyserial)
and labgrid (serialdriver.py: pyserial's rfc2217:// with ign_set_control). Each goes out in one piece and byte by byte.
"""
import re
import struct
import subprocess

import pytest

from peers.bridge import RAW, board, bridge, until  # noqa: F401 (fixtures)

IAC, SB, SE = b"\xff", b"\xff\xfa\x2c", b"\xff\xf0"
DO, DONT, WILL, WONT = 253, 254, 251, 252


def sub(command, *data):
    return SB + bytes((command, *data)).replace(IAC, IAC + IAC) + SE


def baud(n):
    return sub(1, *struct.pack(">I", n))


def option(*pairs):
    return b"".join(bytes((255, command, what)) for command, what in pairs)


def answers(got):
    """The subnegotiations of a server's bytes, 0xFF single."""
    return [m.replace(IAC + IAC, IAC) for m in re.findall(rb"\xff\xfa\x2c((?:[^\xff]|\xff\xff)*)\xff\xf0", got, re.S)]


# name: what is sent, what is answered (without the notifications of the lines)
SEQUENCES = {
    "hub4com": (option((WILL, 44), (WILL, 0), (DO, 0), (WILL, 3), (DO, 3), (DO, 1)) + baud(19200) + sub(2, 7) + sub(3, 3) +
                sub(4, 2) + sub(5, 8) + sub(5, 11) + sub(5, 6) + sub(11, 0xf0) + sub(10, 0x1e),
                [b"\x65\0\0\x4b\0", b"\x66\x07", b"\x67\x03", b"\x68\x02", b"\x69\x08", b"\x69\x0b", b"\x69\x06", b"\x6f\xf0",
                 b"\x6e\x1e"]),
    "queries first": (option((DO, 44), (WILL, 44)) + sub(0) + baud(0) + sub(2, 0) + sub(3, 0) + sub(4, 0) + sub(5, 0) + sub(5, 4) +
                      sub(5, 7) + sub(5, 10) + sub(5, 13),
                      [b"\x64mpbench", b"\x65\0\x01\xc2\0", b"\x66\x08", b"\x67\x01", b"\x68\x01", b"\x69\x01", b"\x69\x06", b"\x69\x08",
                       b"\x69\x0b", b"\x69\x0e"]),
    "signature of the client, flow, masks, polls": (
        option((WILL, 24), (WILL, 44), (WILL, 31), (DO, 5)) + sub(0, *b"redirector 1.0") + sub(5, 3) + sub(5, 16) + sub(5, 1) +
        sub(5, 14) + sub(11, 255) + sub(10, 255) + sub(7) + sub(6) + sub(12, 3) + sub(8) + sub(9),
        [b"\x69\x03", b"\x69\x10", b"\x69\x01", b"\x69\x0e", b"\x6f\xff", b"\x6e\xff", b"\x6b\xb0", b"\x6a\x00", b"\x70\x03"]),
    "baud of one byte": (option((WILL, 44)) + sub(1, 0) + sub(1, 7) + sub(1, 0) + baud(0) + sub(1, 12) + baud(115200),
                         [b"\x65\x0e", b"\x65\x07", b"\x65\x07", b"\x65\0\0\x12\xc0", b"\x65\x0c", b"\x65\0\x01\xc2\0"]),
    "baud with 0xFF in it": (option((WILL, 44)) + baud(0xFF00FF) + baud(0), [b"\x65\0\xff\0\xff", b"\x65\0\xff\0\xff"]),
    "nonsense between": (option((WILL, 44)) + sub(99, 1, 2, 3) + sub(2, 9) + sub(1, 1, 2) + IAC + b"\xf1" + SB + SE + sub(2, 6),
                         [b"\x66\x08", b"\x66\x06"]),
}


def is_right(told, wanted):
    return all(t.startswith(w) if w.startswith(b"\x64") else t == w for t, w in zip(told, wanted))


@pytest.mark.parametrize("step", [10_000, 1], ids=["at once", "byte by byte"])
def test_sequences_are_answered(bridge, board, step):
    b = bridge(board)
    for name, (sent, wanted) in SEQUENCES.items():
        got = b""
        with b.connect(b.rfc2217) as s:
            for at in range(0, len(sent), step):
                s.sendall(sent[at:at + step])
            # then the port is of use: what was asked for does not stay in the way of data
            s.sendall(b"\r\x03\r\x01")
            got = until(s, RAW)
            s.sendall(b"print(1)\x04")
            assert until(s, b"\x04>").endswith(b"OK1\r\n\x04\x04>"), name
            # as the next one would find it
            s.sendall(baud(115200) + sub(2, 8) + sub(3, 1) + sub(4, 1) + sub(5, 1) + sub(5, 8) + sub(5, 11) + b"\x02")
            until(s, b">>> ")
        told = [a for a in answers(got) if a != b"\x6b\xb0" or a in wanted]
        if b"\x6b\xb0" in wanted:
            told.remove(b"\x6b\xb0")  # the notification that opens each session
        assert len(told) == len(wanted) and is_right(told, wanted), (name, told)


class Listener:
    """All that came, in whatever order the device and the port spoke."""

    def __init__(self, s):
        self.s, self.got = s, b""

    def heard(self, words, count=1):
        while self.got.count(words) < count:
            piece = self.s.recv(65536)
            assert piece, self.got
            self.got += piece

    def lines(self, *values):
        """Changes of DTR and RTS, each answered before the next is sent, as pyserial does."""
        for value in values:
            answer = sub(105, value)
            before = self.got.count(answer)
            self.s.sendall(sub(5, value))
            self.heard(answer, before + 1)


def test_esptools_resets(bridge, board):
    """ClassicReset and HardReset with the dummy change of DTR that setRTS makes; the chip is held, then starts afresh."""
    dtr_on, dtr_off, rts_on, rts_off = 8, 9, 11, 12
    b = bridge(board, "-v", "--lines", "esp")
    with b.connect(b.rfc2217) as s:
        client = Listener(s)
        s.sendall(option((WILL, 44)) + b"\r")
        client.heard(b">>> ")
        prompts = client.got.count(b">>> ")
        client.lines(dtr_off, rts_on, dtr_off)
        b.wait_for("killed by SIG", 1)
        client.lines(dtr_on, rts_off, dtr_on, dtr_off)
        b.wait_for("is up", 1)
        client.heard(b">>> ", prompts + 1)
        # the other one: RTS alone
        client.lines(rts_on)
        b.wait_for("killed by SIG", 2)
        client.lines(rts_off)
        b.wait_for("is up", 2)
        client.heard(b">>> ", prompts + 2)
        s.sendall(b"\x01")
        client.heard(RAW)


LABGRID = r"""
import sys, serial, serial.rfc2217
s = serial.rfc2217.Serial()
s.port, s.baudrate, s.timeout = sys.argv[1] + "?ign_set_control&timeout=5.0", 115200, 0.1
s.open()
s.write(b"\r\x03\r\x01")
got = b""
while not got.endswith(b"raw REPL; CTRL-B to exit\r\n>"):
    got += s.read(max(1, s.in_waiting))
s.close()
"""


def test_labgrids_url(bridge, board, peer_python):
    b = bridge(board)
    done = subprocess.run([*peer_python("python3-serial", "serial"), "-c", LABGRID, f"rfc2217://127.0.0.1:{b.rfc2217}"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
