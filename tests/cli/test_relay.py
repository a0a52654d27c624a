"""The relay as a program: datagrams by script and connections untouched, on one port at once; its result document."""
import json
import signal
import socket
import subprocess
import threading

import pytest


@pytest.fixture
def echo():
    """One port number that sends every datagram back, and what comes on a connection when its end was reached."""
    for _ in range(50):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        tcp = socket.socket()
        try:
            tcp.bind(udp.getsockname())
            break
        except OSError:
            udp.close()
            tcp.close()
    tcp.listen()

    def datagrams():
        while True:
            bytes_, who = udp.recvfrom(65535)
            if who == over:
                return
            udp.sendto(bytes_, who)

    def connections():
        while True:
            conn, who = tcp.accept()
            if who == over_tcp:
                return
            with conn, conn.makefile("rb") as f:
                conn.sendall(f.read())

    last = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    last.bind(("127.0.0.1", 0))
    over = last.getsockname()
    last_tcp = socket.socket()
    last_tcp.bind(("127.0.0.1", 0))
    over_tcp = last_tcp.getsockname()
    threads = [threading.Thread(target=datagrams), threading.Thread(target=connections)]
    for t in threads:
        t.start()
    yield udp.getsockname()[1]
    last.sendto(b"", udp.getsockname())
    last_tcp.connect(tcp.getsockname())
    for t in threads:
        t.join()
    for s in (last, last_tcp, udp, tcp):
        s.close()


@pytest.fixture
def relay(mpbench):
    running = []

    def make(port, *words):
        p = subprocess.Popen([mpbench.path, "relay", "--listen=0", f"--to=127.0.0.1:{port}", *words], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        running.append(p)
        at = int(p.stderr.readline().rsplit(":", 1)[1])

        def stop():
            p.send_signal(signal.SIGINT)
            out, err = p.communicate(timeout=60)
            assert p.returncode == 128 + signal.SIGINT, err
            return out
        return at, stop
    yield make
    for p in running:
        if p.poll() is None:
            p.kill()
            p.communicate()


def test_scripted_datagrams_beside_a_connection(echo, relay, tmp_path):
    out = tmp_path / "relay.json"
    at, stop = relay(echo, "--script-out", "drop:2 dup:3 swap:5", "--script-in", "drop:1", "-o", str(out), "-q")
    big = bytes(range(256)) * 4096
    with socket.create_connection(("127.0.0.1", at)) as c, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
        c.sendall(b"before ")
        u.settimeout(60)
        for k in b"1234567":
            u.sendto(bytes([k]), ("127.0.0.1", at))
        came = b"".join(u.recv(10) for _ in range(6))
        sender = threading.Thread(target=lambda: (c.sendall(big), c.shutdown(socket.SHUT_WR)))
        sender.start()
        with c.makefile("rb") as f:
            back = f.read()
        sender.join()
    assert came == b"334657"
    assert back == b"before " + big
    assert stop() == ""
    doc = json.loads(out.read_text())
    assert doc["status"] == "complete" and doc["config"]["what"]["script_out"] == "drop:2 dup:3 swap:5"
    counts = doc["extensions"]["relay"]
    assert counts["address"] == f"127.0.0.1:{at}"
    assert (counts["sessions"], counts["foreign"]) == (1, 0)
    none = dict.fromkeys(("corrupted", "held", "overflow", "overrun", "unsent"), 0)
    assert counts["to_server"] == {"packets": 7, "bytes": 7, "passed": 7, "passed_bytes": 7, "dropped": 1, "repeated": 1,
                                   "reordered": 1, **none}
    assert counts["to_client"] == {"packets": 7, "bytes": 7, "passed": 6, "passed_bytes": 6, "dropped": 1, "repeated": 0,
                                   "reordered": 0, **none}
    assert counts["tcp"] == {"connections": 1, "active": 0, "failed": 0, "refused": 0, "bytes_to_server": 7 + len(big),
                             "bytes_to_client": 7 + len(big)}


def test_text_and_json(echo, relay):
    at, stop = relay(echo)
    with socket.create_connection(("127.0.0.1", at)) as c:
        c.shutdown(socket.SHUT_WR)
        assert c.recv(1) == b""
    assert "TCP: 1 connections, 0 failed, 0 refused, 0 bytes to the server" in stop()
    _, stop = relay(echo, "--json", "--tftp")
    counts = json.loads(stop())["extensions"]["relay"]
    assert counts["sessions"] == 0 and "tcp" not in counts


def test_nobody_behind_it(relay):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        at, stop = relay(s.getsockname()[1], "--json")
        with pytest.raises(OSError), socket.create_connection(("127.0.0.1", at)) as c:
            c.recv(1)
        tcp = json.loads(stop())["extensions"]["relay"]["tcp"]
        assert tcp["connections"] == tcp["failed"] == 1
