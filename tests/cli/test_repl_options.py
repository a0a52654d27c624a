"""bench-repl: whose waits, the user's own client, servers that it starts, and what ends a run."""
import fcntl
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import threading

import pytest

from peers import fake as fakes
from peers.ser2net import listening

TESTS = pathlib.Path(__file__).resolve().parents[1]

CLIENT = """\
import sys
import serial

port = serial.serial_for_url(sys.argv[1], timeout=10)
port.write(b"\\r\\x03\\x03\\r\\x01")
assert b"raw REPL" in port.read_until(b"exit\\r\\n>")
port.write(b"print(6*7)\\x04")
assert port.read_until(b"\\x04>").split(b"\\x04")[0].strip() == b"OK42"
port.write(b"\\x02")
port.close()
"""

SERVER = """\
import sys
sys.path.insert(0, sys.argv[1])
from peers import fake
import threading
one = fake.Fake(fake.device(sys.argv[2]), port=int(sys.argv[3]))
threading.Event().wait()
"""


@pytest.fixture
def bench(mpbench):
    def run(*args, status=0):
        done = mpbench("bench-repl", "--json", *args)
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout)
    return run


def lowest(document, name, target, distribution="latency"):
    b, = [b for b in document["benchmarks"] if (b["name"], b["target"]) == (f"repl.{name}", target)]
    return min(r["distributions"][distribution]["min"] for r in b["runs"]) / 1e6


@pytest.mark.quiet
def test_waits_of_other_clients(bench, device, ser2net):
    """Lower bounds of times; what the diagnosis makes of them needs a machine that is not busy."""
    server = ser2net(device().path)
    document = bench(f"lab={server.rfc2217}?ign_set_control", "--client-style", "native,pyserial,mpremote", "--case", "session,exec",
                     "--runs", "1", "-n", "6", "--warmup", "0")
    assert [t["identity"]["client_style"] for t in document["targets"]] == ["native", "pyserial", "mpremote"]
    for style in ("pyserial", "mpremote"):
        opened = sum(lowest(document, "session", f"lab@{style}", f"phase.{p}") for p in ("connect", "negotiate"))
        assert opened >= 350 and lowest(document, "session", f"lab@{style}", "phase.close") >= 300
    # mpremote looks every 10 ms; pyserial alone reads with a blocking call.
    assert lowest(document, "exec", "lab@mpremote") >= 10
    ratios = {c["new"]: c["ratio"] for c in document["comparisons"]
              if c["benchmark"] == "repl.session" and c["metric"] == "latency.median"}
    assert set(ratios) == {"lab@pyserial", "lab@mpremote"} and all(r > 1 for r in ratios.values())
    assert {f["code"] for f in document["findings"]} == {"imitated"}
    assert "lab@native" not in {f["target"] for f in document["findings"]}


def test_the_users_own_client(bench, device, ser2net, peer_python, tmp_path):
    script = tmp_path / "client.py"
    script.write_text(CLIENT)
    python, = peer_python("python3-serial", "serial")
    server = ser2net(device().path)
    command = f"{python} {script} {{}}"
    document = bench(server.socket, "--case", "session", "--compare-client", command, "--runs", "1", "-n", "1",
                     "--warmup", "0", "--settle", "300ms")
    client, = [b for b in document["benchmarks"] if b["name"] == "repl.client"]
    assert client["params"]["client"] == command and client["runs"][0]["ok"] == 1
    assert client["metrics"]["client_cpu.median"]["values"][0] > 0
    # The program's start, pyserial's 300 ms on close and ours are in one table.
    assert lowest(document, "client", "t1") > max(300, lowest(document, "session", "t1"))
    failed = bench(server.socket, "--case", "session", "--compare-client", "false {}", "--runs", "1", "-n", "1",
                   status=4)
    assert failed["error"]["code"] == "exit-status"


def test_server_is_started_and_stopped(bench, mpbench, port, tmp_path):
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    ports = port(), port()
    starts = [f"{sys.executable} {script} {TESTS} {mpbench.path} {p}" for p in ports]
    document = bench(*(f"socket://127.0.0.1:{p}" for p in ports), *(w for s in starts for w in ("--start", s)),
                     "--case", "exec", "--runs", "2", "-n", "2")
    assert document["status"] == "complete" and document["config"]["what"]["start"] == starts
    assert not any(listening(p) for p in ports)


def test_servers_that_do_not_start(mpbench, port, fake):
    url = f"socket://127.0.0.1:{port()}"
    busy = fake(fakes.silent)
    for args, status, says in [(["--start", "false", url], 4, "ended at once"),
                               (["--start", "/does/not/exist", url], 2, "/does/not/exist"),
                               (["--start", "true", "--start", "true", url], 2, "one per target"),
                               (["--start", "sleep 60", busy.url()], 2, "in use already")]:
        done = mpbench("bench-repl", "--case", "exec", *args)
        assert done.returncode == status and says in done.stderr, done.stderr
        assert done.stdout == "" and len(done.stderr.splitlines()) == 1


def test_pin_samples_and_labels(bench, mpbench, tmp_path):
    cpu = min(os.sched_getaffinity(0))
    path = tmp_path / "r.json"
    document = bench("builtin:", "--case", "exec", "--runs", "2", "-n", "5", "--pin", str(cpu), "--samples", "--label",
                     "branch=main", "--label", "board=none", "--commit", "0123abcd", "-o", path)
    assert json.loads(path.read_text()) == document
    assert document["config"]["how"]["pin"] == str(cpu) and document["labels"] == {"branch": "main", "board": "none"}
    assert document["vcs"]["commit"] == "0123abcd"
    b, = document["benchmarks"]
    for run in b["runs"]:
        latency = run["distributions"]["latency"]
        assert len(latency["samples"]) == 5 and min(latency["samples"]) == latency["min"]
    assert mpbench("bench-repl", "--pin", "4095", "--case", "exec").returncode in (2, 3)


class Counter:
    """A device that lets somebody know when the nth byte sequence that ends an execution went by."""

    def __init__(self, program, after):
        self.reached = threading.Event()
        self.left = after
        self.serve = fakes.device(program, relay=self.relay)

    def relay(self, conn, other):
        sides = {conn: other, other: conn}
        while True:
            for ready in select.select(list(sides), [], [])[0]:
                data = ready.recv(65536)
                if not data:
                    return
                if ready is conn:
                    self.left -= data.count(b"\x04")
                    if self.left <= 0:
                        self.reached.set()
                sides[ready].sendall(data)


def test_interrupted_run_is_written_whole(mpbench, fake, tmp_path):
    path = tmp_path / "r.json"
    counter = Counter(mpbench.path, after=50)
    server = fake(counter.serve)
    process = subprocess.Popen([mpbench.path, "bench-repl", "--case", "exec,print", "--runs", "3", "--duration", "60s",
                                "-q", "-o", path, server.url()], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert counter.reached.wait(30)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    document = json.loads(path.read_text())
    assert document["status"] == "interrupted"
    run = document["benchmarks"][0]["runs"][0]
    assert run["ok"] > 10 and run["distributions"]["latency"]["n"] == run["ok"]
    assert mpbench("validate", path).returncode == 0


def test_second_interrupt_kills(mpbench):
    """Nobody reads the document, so the first interrupt leaves mpbench writing; the second does not wait for that."""
    read_end, write_end = os.pipe()
    os.write(write_end, b"x" * fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096))
    process = subprocess.Popen([mpbench.path, "bench-repl", "--case", "exec", "--timeout", "60s", "-q", "--json",
                                "builtin:?fault=silent"], stdin=subprocess.DEVNULL, stdout=write_end)
    os.close(write_end)
    wait_for_child(process.pid)
    process.send_signal(signal.SIGINT)
    while catches_interrupts(process.pid):
        select.select([], [], [], 0.01)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == -signal.SIGINT
    os.close(read_end)


def catches_interrupts(pid):
    caught, = [line for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt")]
    return int(caught.split()[1], 16) >> (signal.SIGINT - 1) & 1


def wait_for_child(pid):
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    while not children.read_text().strip():
        select.select([], [], [], 0.01)
