"""bench-repl against a hand-written floor, pyserial and the plain raw REPL scheme: the goals of docs/performance.md."""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from peers.device import PtyDevice  # noqa: E402
from peers.ser2net import Ser2net, free_port, wait_listening  # noqa: E402
from ratio import TOP, Goals, mpbench, pairs, values  # noqa: E402

MPBENCH = str(TOP / "build" / "mpbench")
BIN = TOP / "build" / "peers" / "bin"
NODE = ["node", str(TOP / "tests" / "peers" / "micropython.mjs")]
OPEN = """
import sys, time, serial
t = time.perf_counter()
port = serial.serial_for_url(sys.argv[1], baudrate=115200)
print(time.perf_counter() - t)
"""


def floor(command):
    done = subprocess.run([str(TOP / "build" / "bench" / "repl-floor"), "1000", *command], capture_output=True, text=True,
                          check=True)
    return int(done.stdout) / 1e9


def ours(target):
    document = mpbench("bench-repl", target, "--case", "exec", "--mode", "raw", "-n", "1000", "--runs", "1")
    return values(document, "repl.exec", "latency.median")[0] / 1e9


def our_open(url):
    document = mpbench("bench-repl", url, "--case", "session", "-n", "1", "--warmup", "0", "--runs", "1")
    return sum(values(document, "repl.session", f"phase.{p}.mean")[0] for p in ("connect", "negotiate")) / 1e9


def pyserial_open(url):
    done = subprocess.run([str(BIN / "python3"), "-c", OPEN, url + "?ign_set_control"], capture_output=True, text=True,
                          check=True)
    return float(done.stdout)


def upload(target, *options):
    document = mpbench("bench-repl", target, "--case", "upload", "--size", "64K", "-n", "1", "--warmup", "1", "--runs", "1",
                       "--timeout", "60s", *options)
    return values(document, "repl.upload", "latency.mean")[0] / 1e9


def main():
    subprocess.run([str(TOP / "tests" / "peers.sh"), "micropython", "ser2net", "python3-serial"], check=True)
    (TOP / "build" / "bench").mkdir(parents=True, exist_ok=True)
    subprocess.run(["cc", "-O2", "-o", str(TOP / "build" / "bench" / "repl-floor"),
                    str(TOP / "tests" / "bench" / "repl-floor.c"), "-lutil"], check=True)
    goals = Goals("bench-repl")

    device = [MPBENCH, "serve-repl"]
    goals.add("exec of `pass` on a pty, builtin device", "C floor loop", *interleave(lambda: floor(device),
              "bench-repl", lambda: ours("builtin:")), 1.3)
    goals.add("exec of `pass` on a pty, MicroPython (wasm)", "C floor loop", *interleave(lambda: floor(NODE),
              "bench-repl", lambda: ours("exec:" + " ".join(NODE))), 1.3)
    for name, target in (("builtin device", "builtin:"), ("MicroPython (wasm)", "exec:" + " ".join(NODE))):
        goals.add(f"upload of 64 KiB, {name}", "256 bytes and 10 ms", *interleave(
            lambda: upload(target, "--mode", "raw", "--client-style", "mpremote"), "bench-repl", lambda: upload(target)), 0.1)
    open_goal(goals)
    goals.write()


def open_goal(goals):
    """The same two clients on two kinds of server; the goal counts where the server itself answers at once."""
    with tempfile.TemporaryDirectory() as directory:
        port = PtyDevice([MPBENCH, "serve-repl"])
        server = Ser2net(str(BIN / "ser2net"), port.path, directory)
        try:
            goals.add("rfc2217 connect and negotiate, ser2net", "pyserial", *interleave(
                lambda: pyserial_open(server.rfc2217), "bench-repl", lambda: our_open(server.rfc2217)), 0.01)
        finally:
            server.close()
            port.close()
    number = free_port()
    bridge = subprocess.Popen([MPBENCH, "bridge", "--rfc2217", str(number), "--raw", str(free_port()),
                               f"exec:{MPBENCH} serve-repl"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_listening(bridge, [number])
        url = f"rfc2217://127.0.0.1:{number}"
        goals.add("rfc2217 connect and negotiate, mpbench bridge", "pyserial", *interleave(
            lambda: pyserial_open(url), "bench-repl", lambda: our_open(url)), 0.01)
    finally:
        bridge.terminate()
        bridge.wait(timeout=10)


def interleave(base, new_name, new):
    a, b = pairs(base, new)
    return a, new_name, b


def test_bench_repl():
    main()


if __name__ == "__main__":
    main()
