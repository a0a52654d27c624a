"""What tracing costs a system call: mpbench against strace, perf trace, bpftrace and syscount, in the same run.

A round runs the bare loop, each tracer once and the bare loop again; every second round goes backwards. What a tracer adds
is the fastest batch under it less the faster of the round's bare ones. The table belongs into docs/performance.md;
build/bench/trace.json keeps all values.
"""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import pytest

from conftest import MPBENCH, fetch_peer
from ratio import PAIRS, Goals

COST = pathlib.Path(MPBENCH).parent / "tools" / "syscall-cost"
# short batches: most of them meet nobody else on the CPU
PLENTY, FEW = {"getppid": (200, 1000), "pingpong": (200, 1000)}, {"getppid": (20, 200), "pingpong": (20, 200)}

# BEGIN runs before the other probes are attached, an interval after all of them
BPFTRACE_READY = 'interval:ms:50 /!@said/ { printf("ready\\n"); @said = 1; } '
BPFTRACE_COUNT = "tracepoint:raw_syscalls:sys_enter /pid == %d/ { @[args->id] = count(); }"
BPFTRACE_HIST = ("tracepoint:raw_syscalls:sys_enter /pid == %d/ { @s[tid] = nsecs; }"
                 " tracepoint:raw_syscalls:sys_exit /@s[tid]/ { @h[args->id] = hist(nsecs - @s[tid]); delete(@s[tid]); }")


GOALS = [("mpbench count", "bpftrace count()", 0.4), ("mpbench count", "syscount -p", 0.6),
         ("mpbench latency", "syscount -p -L", 0.6), ("mpbench latency", "bpftrace hist()", 0.25)]

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
    return float(text.split()[0])


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


def said(word):
    """The word is printed by what runs only when all programs are attached."""
    def ready(process):
        for line in process.stdout:
            if line == word + "\n":
                return
        raise AssertionError("the tracer ended")
    return ready


def said_something(process):
    assert process.stdout.readline()


def linked(process):
    """syscount says nothing: its program for the return of calls is there and attached."""
    def listed(what):
        return json.loads(subprocess.run([program("bpftool"), "-j", what, "list"], capture_output=True, check=True).stdout)
    deadline = time.monotonic() + 30
    while True:
        exits = {p["id"] for p in listed("prog") if p.get("name") == "sys_exit" and p["type"] == "tracepoint"}
        if any(link.get("prog_id") in exits for link in listed("link")):
            return
        assert process.poll() is None and time.monotonic() < deadline


def ours(level):
    return plain([MPBENCH, "trace-syscalls", "-q", "-l", level, "--"])


def variants():
    bpftrace, syscount = program("bpftrace", "bpftrace"), program("syscount", "libbpf-tools")
    other = ["-p", str(os.getppid())]
    table = {
        "mpbench count": (ours("count"), PLENTY),
        "mpbench errors": (ours("errors"), PLENTY),
        "mpbench latency": (ours("latency"), PLENTY),
        "mpbench offcpu": (ours("offcpu"), PLENTY),
        "unwatched, mpbench count": (beside([MPBENCH, "trace-syscalls", "--json", "-i", "50ms", "-l", "count", *other]), PLENTY),
        "unwatched, mpbench latency": (beside([MPBENCH, "trace-syscalls", "--json", "-i", "50ms", "-l", "latency", *other]), PLENTY),
        "bpftrace count()": (attached([bpftrace, "-e", BPFTRACE_READY + BPFTRACE_COUNT], said("ready")), PLENTY),
        "bpftrace hist()": (attached([bpftrace, "-e", BPFTRACE_READY + BPFTRACE_HIST], said("ready")), PLENTY),
        "syscount -p": (attached([syscount, "-p", "{}"], linked), PLENTY),
        "syscount -p -L": (attached([syscount, "-p", "{}", "-L"], linked), PLENTY),
        "strace -f -c": (plain(["strace", "-f", "-c", "-o", "{}/strace"]), FEW),
    }
    perf = program("perf", "linux-perf")
    table["perf trace -s"] = (plain([perf, "trace", "-s", "-o", "{}/perf"]), FEW)
    return table


def beside(words):
    """The loop itself is not watched."""
    def measure(workload, size):
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True) as t:
            said_something(t)
            cost = plain([])(workload, size)
            t.terminate()
            t.communicate(timeout=60)
        return cost
    return measure


def round_of(table, workload, backwards):
    """Nanoseconds that each of the table's ways adds to a call, and the bare call's."""
    names = sorted(table, reverse=True) if backwards else sorted(table)
    bare = plain([])
    first = bare(workload, PLENTY[workload])
    took = {name: table[name][0](workload, table[name][1][workload]) for name in names}
    least = min(first, bare(workload, PLENTY[workload]))
    return least, {name: max(1, ns - least) for name, ns in took.items()}


@pytest.mark.parametrize("workload", ["getppid", "pingpong"])
def test_cost(workload):
    table = variants()
    goals = Goals(f"trace-{workload}")
    rounds = [round_of(table, workload, i % 2 == 1) for i in range(PAIRS)]
    added = {name: [r[1][name] for r in rounds] for name in table}
    bare = sorted(r[0] for r in rounds)[PAIRS // 2]
    print(f"\n| {workload}: ns added to each call (bare {bare:.0f} ns) | median of {PAIRS} | least | most |\n|---|---|---|---|")
    for name, ns in added.items():
        print(f"| {name} | {sorted(ns)[PAIRS // 2]:.0f} | {min(ns):.0f} | {max(ns):.0f} |")
    for ours_, theirs, most in GOALS:
        goals.add(f"{workload}, added to a call", theirs, added[theirs], ours_, added[ours_], most, unit="ns")
    for name, ns in added.items():
        goals.note(f"{name}: {sorted(ns)[PAIRS // 2]:.0f} ns")
    goals.write()
