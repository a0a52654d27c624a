"""What tracing costs a system call: mpbench against strace, perf trace, bpftrace and syscount, in the same run.

Every round runs the bare loop and each tracer once, one after the other. A figure is the difference between the fastest
batches of all rounds: other processes can only make a batch slower. The lines that are printed belong into
docs/performance.md; build/bench/trace-cost.json keeps them.
"""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import pytest

from conftest import MPBENCH, TOP, fetch_peer

COST = pathlib.Path(MPBENCH).parent / "tools" / "syscall-cost"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "8"))
PLENTY, FEW = (40, 5000), (6, 500)

BPFTRACE_COUNT = "tracepoint:raw_syscalls:sys_enter /pid == %d/ { @[args->id] = count(); }"
BPFTRACE_HIST = ("tracepoint:raw_syscalls:sys_enter /pid == %d/ { @s[tid] = nsecs; }"
                 " tracepoint:raw_syscalls:sys_exit /@s[tid]/ { @h[args->id] = hist(nsecs - @s[tid]); delete(@s[tid]); }")


# bpftrace and syscount find their tracepoints in tracefs, which may not be mounted; a mount of our own leaves no trace.
TRACEFS = ["unshare", "-m", "sh", "-c", "mount -t tracefs none /sys/kernel/tracing 2>&-; "
           "mount -t debugfs none /sys/kernel/debug 2>&-; mount -t tracefs none /sys/kernel/debug/tracing 2>&-; "
           'exec "$@"', "sh"]


def program(name, package=None):
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if found or package is None:
        return found
    return fetch_peer(package, name)


def load(workload, size, words=()):
    return [*words, str(COST), *workload, *map(str, size)]


def result(text):
    return float(text.split()[-2])


def plain(words):
    """Under a tracer that starts the program itself."""
    def measure(workload, size):
        with tempfile.TemporaryDirectory() as d:
            out = pathlib.Path(d) / "out"
            subprocess.run(["sh", "-c", 'out=$1; shift; exec "$@" >"$out"', "sh", out,
                            *[w.replace("{}", d) for w in words], *load([workload], size)],
                           check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
            return result(out.read_text())
    return measure


def attached(words, ready):
    """Under a tracer that is pointed at the program; ready(process) returns when it counts."""
    def measure(workload, size):
        with subprocess.Popen(load(["-w", workload], size), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as p:
            assert p.stdout.readline() == "ready\n"
            with subprocess.Popen([*TRACEFS] + [w.replace("{}", str(p.pid)) if "%d" not in w else w % p.pid for w in words],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                  text=True) as t:
                ready(t)
                out, _ = p.communicate("go\n", timeout=120)
                t.terminate()
                t.communicate(timeout=60)
        return result(out)
    return measure


def first_line(process):
    assert process.stdout.readline()


def loaded(process):
    """syscount says nothing: its programs are there, and a moment later attached."""
    deadline = time.monotonic() + 20
    while b"syscount" not in subprocess.run([program("bpftool"), "prog", "list"], capture_output=True).stdout:
        assert process.poll() is None and time.monotonic() < deadline
    time.sleep(0.3)


def ours(level):
    return plain([MPBENCH, "trace-syscalls", "-q", "-l", level, "--"])


def variants():
    bpftrace, syscount = program("bpftrace", "bpftrace"), program("syscount", "libbpf-tools")
    other = ["-p", str(os.getppid())]
    table = {
        "bare": (plain([]), PLENTY),
        "mpbench count": (ours("count"), PLENTY),
        "mpbench errors": (ours("errors"), PLENTY),
        "mpbench latency": (ours("latency"), PLENTY),
        "mpbench offcpu": (ours("offcpu"), PLENTY),
        "unwatched, mpbench count": (beside([MPBENCH, "trace-syscalls", "--json", "-i", "50ms", "-l", "count", *other]), PLENTY),
        "unwatched, mpbench latency": (beside([MPBENCH, "trace-syscalls", "--json", "-i", "50ms", "-l", "latency", *other]), PLENTY),
        "bpftrace count()": (attached([bpftrace, "-e", 'BEGIN { printf("ready\\n"); } ' + BPFTRACE_COUNT], first_line), PLENTY),
        "bpftrace hist()": (attached([bpftrace, "-e", 'BEGIN { printf("ready\\n"); } ' + BPFTRACE_HIST], first_line), PLENTY),
        "syscount -p": (attached([syscount, "-p", "{}"], loaded), PLENTY),
        "syscount -p -L": (attached([syscount, "-p", "{}", "-L"], loaded), PLENTY),
        "strace -f -c": (plain(["strace", "-f", "-c", "-o", "{}/strace"]), FEW),
    }
    if program("perf"):
        table["perf trace -s"] = (plain(["perf", "trace", "-s", "-o", "{}/perf"]), FEW)
    return table


def beside(words):
    """The loop itself is not watched."""
    def measure(workload, size):
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True) as t:
            first_line(t)
            cost = plain([])(workload, size)
            t.terminate()
            t.communicate(timeout=60)
        return cost
    return measure


@pytest.fixture(scope="module")
def costs():
    best = {}
    table = variants()
    for _ in range(ROUNDS):
        for workload in ("getppid", "pipe"):
            for name, (measure, size) in table.items():
                ns = measure(workload, size)
                best[workload, name] = min(ns, best.get((workload, name), ns))
    kept = TOP / "build" / "bench"
    kept.mkdir(parents=True, exist_ok=True)
    added = {w: {n: round(best[w, n] - (0 if n == "bare" else best[w, "bare"]), 1) for n in table}
             for w in ("getppid", "pipe")}
    (kept / "trace-cost.json").write_text(json.dumps({"rounds": ROUNDS, "added_ns_per_call": added}, indent=1) + "\n")
    print(f"\n| ns added to each system call ({ROUNDS} rounds, fastest batch) | getppid | 1-byte pipe |\n|---|---|---|")
    for name in table:
        print(f"| {name} | {added['getppid'][name]:.0f} | {added['pipe'][name]:.0f} |")
    return added


@pytest.mark.parametrize("workload", ["getppid", "pipe"])
@pytest.mark.parametrize("ours_, theirs, most", [
    ("mpbench count", "bpftrace count()", 0.4), ("mpbench count", "syscount -p", 0.6),
    ("mpbench latency", "syscount -p -L", 0.6), ("mpbench latency", "bpftrace hist()", 0.25)])
def test_cost_is_a_fraction_of_theirs(costs, workload, ours_, theirs, most):
    ratio = costs[workload][ours_] / costs[workload][theirs]
    print(f"\n{workload}: {ours_} / {theirs} = {ratio:.2f} (at most {most})")
    assert ratio <= most
