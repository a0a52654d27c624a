"""What the bridge adds to one exec, beside a hand-written relay (the floor) and ser2net."""
import subprocess

from peers.bridge import bridge  # noqa: F401 (fixture)
from peers.device import stop
from peers.ser2net import free_port, wait_listening
from ratio import PAIRS, TOP, Goals, mpbench, values

METRIC = "latency.median"


def test_bridge(bridge, device, ser2net, tmp_path):
    goals = Goals("bridge")
    program = str(TOP / "build" / "mpbench") + " serve-repl"
    floor = tmp_path / "relay-floor"
    subprocess.run(["cc", "-O2", "-o", floor, TOP / "tests" / "bench" / "relay-floor.c", "-lutil"], check=True)
    port = free_port()
    relay = subprocess.Popen([floor, str(port), *program.split()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_listening(relay, [port])
        ours = bridge(f"exec:{program}")
        # a port each: ser2net closes a client that comes while it still closes the last one's device
        theirs = [ser2net(device(program).path, tuned=t) for t in (True, True, False)]
        run(goals, port, ours, theirs[0].socket, theirs[1].rfc2217, theirs[2].socket)
    finally:
        stop(relay)
        goals.write()


def run(goals, port, ours, tuned, tuned2217, default):
    raw, rfc2217 = f"socket://127.0.0.1:{ours.raw}", f"rfc2217://127.0.0.1:{ours.rfc2217}"
    common = ["bench-repl", "--mode", "raw", "--runs", str(PAIRS), "--warmup", "20", "--settle", "200ms"]
    d = mpbench(*common, "--case", "exec", "--iterations", "1000", "direct=builtin:", f"relay=socket://127.0.0.1:{port}",
                f"raw={raw}", f"rfc2217={rfc2217}", f"tuned={tuned}", f"tuned2217={tuned2217}",
                f"default={default}")
    median = {t: values(d, "repl.exec", METRIC, t) for t in
              ("direct", "relay", "raw", "rfc2217", "tuned", "tuned2217", "default")}
    for name, v in median.items():
        middle = sorted(v)[len(v) // 2]
        goals.note(f"exec over {name}: median {middle / 1000:.1f} us")
    added = {t: [max(1, x - y) for x, y in zip(v, median["direct"])] for t, v in median.items() if t != "direct"}
    for way in ("raw", "rfc2217"):
        goals.add(f"added latency of an exec, {way}", "relay", added["relay"], way, added[way], 1.3, unit="ns")
    goals.add("added latency of an exec, raw", "ser2net tuned", added["tuned"], "raw", added["raw"], 1, unit="ns")
    goals.add("added latency of an exec, RFC 2217", "ser2net tuned", added["tuned2217"], "rfc2217", added["rfc2217"], 1,
              unit="ns")
    for way in ("raw", "rfc2217"):
        goals.add(f"added latency of an exec, {way}", "ser2net default", added["default"], way, added[way], 1 / 20,
                  unit="ns")
    d = mpbench("bench-repl", "--runs", str(PAIRS), "--warmup", "2", "--iterations", "20", "--case", "negotiate", rfc2217)
    opened = values(d, "repl.negotiate", METRIC)
    goals.add("RFC 2217 open within 1 ms", "1 ms", [1e6] * len(opened), "open", opened, 1, unit="ns")
    d = mpbench("bench-repl", "--runs", str(PAIRS), "--iterations", "20", "--case", "reconnect", "--gaps", "0s", raw)
    for b in d["benchmarks"]:
        if b["name"].startswith("repl.reconnect"):
            again = b["metrics"][METRIC]["values"]
            goals.add(f"{b['name']} after no gap within 2 ms", "2 ms", [2e6] * len(again), "reconnect", again, 1, unit="ns")
