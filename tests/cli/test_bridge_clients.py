"""mpbench bridge with the programs that people use: pyserial, ser2net, socat, and what mpremote sends."""
import json
import os
import pathlib
import subprocess

import pytest

from peers.bridge import RAW, board, bridge, until  # noqa: F401 (fixtures)
from peers.ser2net import free_port, wait_listening

SETTINGS = r"""
import json, sys, time, serial
s = serial.serial_for_url(sys.argv[1], baudrate=115200, timeout=5)
told = {}
rfc2217 = sys.argv[1].startswith("rfc2217")
if rfc2217:
    for name, values in (("baudrate", (300, 9600, 123456, 4000000, 115200)), ("bytesize", (5, 6, 7, 8)),
                         ("parity", "NOEMSN"), ("stopbits", (2, 1)), ("xonxoff", (True, False)),
                         ("rtscts", (True, False)), ("dtr", (False, True)), ("rts", (False, True)),
                         ("break_condition", (True, False))):
        for value in values:
            setattr(s, name, value)
            assert getattr(s, name) == value, name
    s.bytesize, s.stopbits = 5, 1.5
    s.bytesize, s.stopbits = 8, 1
    told["lines"] = [s.cts, s.dsr, s.ri, s.cd]
    s.reset_output_buffer()
    s.reset_input_buffer()
s.write(b"\r\x03\r\x01")
told["raw"] = s.read_until(b"raw REPL; CTRL-B to exit\r\n>").decode()
s.write(b"print(1)\x04")
told["answer"] = s.read_until(b"\x04>").decode()
s.timeout = 0.2
begin = time.monotonic()
told["nothing"] = s.read(1).decode()
told["waited"] = time.monotonic() - begin
s.timeout = 0
told["at once"] = s.read(1).decode()
s.close()
print(json.dumps(told))
"""


@pytest.mark.parametrize("scheme", ["rfc2217", "socket"])
def test_pyserial(bridge, board, peer_python, scheme):
    b = bridge(board)
    port = b.rfc2217 if scheme == "rfc2217" else b.raw
    done = subprocess.run([*peer_python("python3-serial", "serial"), "-c", SETTINGS, f"{scheme}://127.0.0.1:{port}"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["raw"].endswith(RAW.decode())
    assert told["answer"] == "OK1\r\n\x04\x04>"
    assert told["nothing"] == told["at once"] == ""
    assert 0.15 < told["waited"] < 5
    if scheme == "rfc2217":
        assert told["lines"] == [True, True, False, True]


def test_pyserial_on_the_pty(bridge, board, peer_python, tmp_path):
    b = bridge(board, "--pty", tmp_path / "board")
    done = subprocess.run([*peer_python("python3-serial", "serial"), "-c", SETTINGS, tmp_path / "board"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["answer"] == "OK1\r\n\x04\x04>"
    b.stop()
    assert not os.path.lexists(tmp_path / "board")


def test_pty_waits_for_its_turn(bridge, board, tmp_path):
    b = bridge(board, "-v", "--pty", tmp_path / "board")
    with b.connect() as s:
        s.sendall(b"\r\x01")
        until(s, RAW)
        fd = os.open(tmp_path / "board", os.O_RDWR | os.O_NOCTTY)
        b.wait_for("waits for its turn")
        os.write(fd, b"\x02")
        s.sendall(b"print(1)\x04")
        assert until(s, b"\x04>") == b"OK1\r\n\x04\x04>"
    got = b""
    while not got.endswith(b">>> "):
        got += os.read(fd, 1000)
    os.close(fd)
    b.wait_for("pty /dev/pts/[0-9]+ closed")
    for _ in range(50):
        fd = os.open(tmp_path / "board", os.O_RDWR | os.O_NOCTTY)
        os.write(fd, b"\x01print(1)\x04")
        got = b""
        while not got.endswith(b"OK1\r\n\x04\x04>"):
            got += os.read(fd, 1000)
        os.close(fd)


@pytest.fixture(scope="session")
def gensio_environment(peer):
    """gensio loads its kinds of connection from a directory that its packages name absolutely."""
    peer("gensio-bin", "gensiot")
    found = list((pathlib.Path(__file__).resolve().parents[2] / "build" / "peers" / "root").rglob("libgensio_net.so"))
    return {**os.environ, "GENSIO_LIBRARY_PATH": str(found[0].parent)} if found else dict(os.environ)


def test_ser2net_as_a_client(bridge, board, peer, gensio_environment, tmp_path):
    """gensio's RFC 2217 client: a ser2net whose port is our bridge."""
    b = bridge(board, "-vv")
    port = free_port()
    config = tmp_path / "client.yaml"
    config.write_text(f"connection: &c\n  accepter: tcp(nodelay),127.0.0.1,{port}\n"
                      f"  connector: telnet(rfc2217),tcp(nodelay),127.0.0.1,{b.rfc2217}\n"
                      "  options:\n    chardelay: false\n")
    with open(tmp_path / "client.log", "wb") as log:
        process = subprocess.Popen([peer("ser2net"), "-d", "-u", "-c", config], stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=log, start_new_session=True, env=gensio_environment)
    try:
        wait_listening(process, [port])
        with b.connect(port) as s:
            s.sendall(b"\r\x03\r\x01")
            until(s, RAW)
            s.sendall(b"print(1)\x04")
            assert until(s, b"\x04>") == b"OK1\r\n\x04\x04>"
    finally:
        process.kill()
        process.wait()
    b.wait_for("rfc2217 .* (closed|lost)")


def test_gensiot_as_a_client(bridge, board, peer, gensio_environment):
    b = bridge(board, "-v")
    process = subprocess.Popen([peer("gensio-bin", "gensiot"), "-i", "stdio(self)",
                                f"telnet(rfc2217),tcp,127.0.0.1,{b.rfc2217}"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=gensio_environment)
    try:
        process.stdin.write(b"\r\x01print(1)\x04")
        process.stdin.flush()
        got = b""
        while not got.endswith(b"OK1\r\n\x04\x04>"):
            piece = os.read(process.stdout.fileno(), 1000)
            assert piece, (got, process.stderr.read())
            got += piece
    finally:
        process.kill()
        process.wait()


def test_socat(bridge, board, peer):
    b = bridge(board)
    done = subprocess.run([peer("socat"), "-t5", "-", f"TCP:127.0.0.1:{b.raw}"], input=b"\x01print(1)\x04",
                          capture_output=True, timeout=60)
    assert done.stdout.endswith(b"OK1\r\n\x04\x04>"), done


class Mpremote:
    """The byte sequences of mpremote's SerialTransport (tools/mpremote/mpremote/transport_serial.py), replayed."""

    def __init__(self, s):
        self.s, self.raw_paste = s, True

    def read_until(self, end):
        got = b""
        while not got.endswith(end):
            got += self.exactly(1)
        return got

    def enter_raw_repl(self, soft_reset=True):
        self.s.sendall(b"\r\x03")
        self.s.sendall(b"\r\x01")
        if soft_reset:
            self.read_until(b"raw REPL; CTRL-B to exit\r\n>")
            self.s.sendall(b"\x04")
            self.read_until(b"soft reboot\r\n")
        self.read_until(b"raw REPL; CTRL-B to exit\r\n")

    def exec_raw(self, code):
        self.read_until(b">")
        self.s.sendall(b"\x05A\x01")
        assert self.exactly(2) == b"R\x01"
        window = int.from_bytes(self.exactly(2), "little")
        credit, at = window, 0
        self.s.setblocking(True)
        while at < len(code):
            while credit == 0:
                byte = self.exactly(1)
                assert byte == b"\x01", byte
                credit += window
            n = min(credit, len(code) - at)
            self.s.sendall(code[at:at + n])
            at, credit = at + n, credit - n
        self.s.sendall(b"\x04")
        got = b""
        while not got.endswith(b"\x04"):
            got += self.exactly(1)
        assert set(got) <= {1, 4}
        out, error = b"", b""
        while not out.endswith(b"\x04"):
            out += self.exactly(1)
        while not error.endswith(b"\x04"):
            error += self.exactly(1)
        assert error == b"\x04", error
        return out[:-1]

    def exactly(self, n):
        got = b""
        while len(got) < n:
            piece = self.s.recv(n - len(got))
            assert piece
            got += piece
        return got

    def eval(self, text):
        return self.exec_raw(b"print(repr(" + text + b"))").strip()

    def write_file(self, path, data):
        self.exec_raw(b"f=open(" + repr(path).encode() + b",'wb')\nw=f.write")
        for at in range(0, len(data), 256):
            self.exec_raw(b"w(" + repr(data[at:at + 256]).encode() + b")")
        self.exec_raw(b"f.close()")

    def read_file(self, path):
        self.exec_raw(b"f=open(" + repr(path).encode() + b",'rb')\nr=f.read")
        data = b""
        while True:
            piece = self.exec_raw(b"print(r(256))").strip()
            piece = eval(piece)  # a bytes literal of our own device
            if not piece:
                break
            data += piece
        self.exec_raw(b"f.close()")
        return data

    def close(self):
        self.s.sendall(b"\r\x02")
        self.s.close()


def replay_mpremote(connect):
    for soft_reset in (True, True, False):
        m = Mpremote(connect())
        m.enter_raw_repl(soft_reset)
        assert m.eval(b"1+1") == b"2"
        m.close()
    m = Mpremote(connect())
    m.enter_raw_repl(True)
    data = bytes(range(256)) * 8 + os.urandom(1000)
    m.write_file("/tmp/mpbench-bridge", data)
    assert m.read_file("/tmp/mpbench-bridge") == data
    m.close()


def test_mpremote_sequences_with_the_unix_ports_habits(bridge, board):
    """The builtin device evaluates only statements that it knows: connecting and soft resets are what counts here."""
    b = bridge(board, "-v")
    for soft_reset in (True, False, True):
        m = Mpremote(b.connect())
        m.enter_raw_repl(soft_reset)
        assert m.exec_raw(b"print(1)") == b"1\r\n"
        m.close()
    b.wait_for("soft reset", 2)


def test_mpremote_sequences_with_micropython(bridge, micropython):
    b = bridge(f"exec:{micropython}", "-v")
    replay_mpremote(b.connect)
