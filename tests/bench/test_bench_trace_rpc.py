"""What trace-rpc adds to a call of a real application: Debian's RPyC, direct and through the relay, in turn."""
import json
import re
import signal
import subprocess
import time

from peers.device import stop
from ratio import TOP, Goals, pairs

SERVICE = TOP / "tests" / "peers" / "rpyc_service.py"
CLIENT = """
import sys, time, rpyc
root = rpyc.connect("127.0.0.1", int(sys.argv[1])).root
ping = root.ping
for line in sys.stdin:
    n, taken = int(line), []
    for _ in range(n):
        begin = time.perf_counter()
        ping()
        taken.append(time.perf_counter() - begin)
    taken.sort()
    print(taken[n // 2], flush=True)
"""


class Client:
    """A client that stays connected; each call is the median of n pings."""

    def __init__(self, python, port):
        self.process = subprocess.Popen([*python, "-c", CLIENT, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def __call__(self, n=2000):
        self.process.stdin.write(f"{n}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=20)


def wait_for(path, pattern):
    end = time.monotonic() + 30
    while not (path.exists() and (found := re.search(pattern, path.read_text()))):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


def test_trace_rpc(peer_python, tmp_path):
    goals = Goals("trace-rpc")
    python = peer_python("python3-rpyc", "rpyc")
    server = subprocess.Popen([*python, SERVICE, tmp_path / "port"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, start_new_session=True)
    port = wait_for(tmp_path / "port", r"^(\d+)$")[1]
    running = [server]

    def relay(*words):
        err = tmp_path / f"{words[0]}.err"
        with open(err, "wb") as f:
            running.append(subprocess.Popen([TOP / "build" / "mpbench", *words, "--listen", "0", "--to", f"127.0.0.1:{port}"],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=f,
                                            start_new_session=True))
        return wait_for(err, r" on .*:(\d+)\n")[1]

    try:
        direct, traced, plain = (Client(python, p) for p in (port, relay("trace-rpc", "-o", tmp_path / "out.json"),
                                                             relay("relay")))
        for c in (direct, traced, plain):
            c(200)
        a, b = pairs(plain, traced)
        goals.add("a call of Python's RPyC client, method kept", "a relay that does not look", a, "trace-rpc", b, 1.15)
        a, b = pairs(direct, traced)
        goals.add("a call of Python's RPyC client, method kept", "direct", a, "trace-rpc", b, 2)
        added = sorted(y - x for x, y in zip(a, b))
        for c in (direct, traced, plain):
            c.close()
        running[1].send_signal(signal.SIGTERM)
        running[1].wait(timeout=20)
    finally:
        for process in running:
            stop(process)
    seen = json.loads((tmp_path / "out.json").read_text())["extensions"]["trace_rpc"]
    # nothing was left out to be that quick
    assert seen["not_decoded"] == seen["not_seen_whole"] == 0
    goals.note(f"added to a round trip: median {added[len(added) // 2] * 1e6:.1f} us; by the relay's own clock "
               f"{seen['to_server']['added_ns']['p50'] / 1000:.1f} us there, {seen['to_client']['added_ns']['p50'] / 1000:.1f} us back")
    goals.write()
