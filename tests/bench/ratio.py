"""Ratios for `make bench`: ABBA pairs of two ways to do the same, Hodges-Lehmann ratio with its exact interval.

A goal is met when at least 10 pairs put the ratio at or beyond it; a miss is reported as a miss.
"""
import atexit
import itertools
import json
import math
import os
import pathlib
import platform
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
PAIRS = 10


def signed_rank_k(n, alpha=0.05):
    """Largest k with P(W <= k - 1) <= alpha / 2 under the exact null distribution of n pairs."""
    counts = [1]
    for i in range(1, n + 1):
        grown = counts + [0] * i
        for j, c in enumerate(counts):
            grown[j + i] += c
        counts = grown
    total, k = 0, 0
    for c in counts:
        total += c
        if total / 2 ** n > alpha / 2:
            break
        k += 1
    return k


def ratio(base, new):
    """Pseudomedian of the paired log ratios new/base and its signed-rank interval, as factors."""
    d = [math.log(y / x) for x, y in zip(base, new)]
    walsh = sorted((a + b) / 2 for a, b in itertools.combinations_with_replacement(d, 2))
    m = len(walsh)
    middle = (walsh[(m - 1) // 2] + walsh[m // 2]) / 2
    k = signed_rank_k(len(d))
    low, high = (walsh[k - 1], walsh[m - k]) if k > 0 else (-math.inf, math.inf)
    return math.exp(middle), math.exp(low), math.exp(high)


def pairs(base, new, n=PAIRS):
    """Runs the two functions n times each in ABBA order; each returns one value."""
    a, b = [], []
    for i in range(n):
        for side in ((a, b) if i % 2 == 0 else (b, a)):
            side.append(base() if side is a else new())
    return a, b


def go_first():
    """Asks the scheduler to let this session, servers and clients alike, run before whatever else the machine does; True when it will.

    Where sessions are scheduled in groups (autogroup) a nice value counts only inside its own group, so the group's is set."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -20)
        group("-20")
    except OSError:
        return False
    # the session is the caller's, and goes on
    atexit.register(group, "0")
    return True


def group(nice):
    with open("/proc/self/autogroup", "w") as f:
        f.write(nice)


class Goals:
    """Collects rows {name, base, new, ratio, low, high, goal, met} and writes them as JSON and as a table."""

    def __init__(self, area):
        self.area, self.rows = area, []

    def add(self, name, base_name, base, new_name, new, goal, better="lower", unit="s"):
        """goal: the ratio new/base that must not be exceeded (better lower) or fallen short of (higher)."""
        r, low, high = ratio(base, new)
        met = r <= goal if better == "lower" else r >= goal
        middle = lambda v: (sorted(v)[(len(v) - 1) // 2] + sorted(v)[len(v) // 2]) / 2
        self.rows.append(dict(name=name, base=base_name, new=new_name, pairs=len(base), base_median=middle(base),
                              new_median=middle(new), unit=unit, ratio=r, low=low, high=high, goal=goal, better=better,
                              met=met, base_values=base, new_values=new))
        sign = "<=" if better == "lower" else ">="
        print(f"{'met   ' if met else 'MISSED'} {name}: {new_name} / {base_name} = {r:.4g} [{low:.4g}, {high:.4g}] "
              f"over {len(base)} pairs, goal {sign} {goal:g} (medians {middle(new):.4g} and {middle(base):.4g} {unit})",
              flush=True)

    def note(self, text):
        print(f"note   {text}", flush=True)
        self.rows.append(dict(name=text, note=True))

    def write(self):
        out = TOP / "build" / "bench"
        out.mkdir(parents=True, exist_ok=True)
        cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
        commit = subprocess.run(["git", "-C", str(TOP), "describe", "--always", "--dirty"], capture_output=True,
                                text=True).stdout.strip()
        document = dict(area=self.area, commit=commit, kernel=platform.release(), cpu=cpu, rows=self.rows)
        (out / f"{self.area}.json").write_text(json.dumps(document, indent=1))


def mpbench(*arguments):
    """Runs mpbench with --json and returns the document; its error is ours."""
    done = subprocess.run([str(TOP / "build" / "mpbench"), *arguments, "--json", "-q"], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit(f"mpbench {' '.join(arguments)}: status {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def values(document, benchmark, metric, target=None):
    """The per-run values of a metric."""
    for b in document["benchmarks"]:
        if b["name"] == benchmark and (target is None or b["target"] == target):
            return b["metrics"][metric]["values"]
    sys.exit(f"no {benchmark} {metric} in the document")
