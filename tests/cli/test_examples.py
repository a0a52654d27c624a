"""One example document per benchmark in results-schema/examples: valid, and of the shape that is written today.

`MPBENCH_EXAMPLES=write` writes them anew.
"""
import json
import os
import re
import subprocess

import jsonschema
import pytest

import results
import schema_check
from conftest import MPBENCH, TOP

EXAMPLES = TOP / "results-schema" / "examples"
COMMANDS = {
    "bench-repl": ["bench-repl", "--case", "exec,upload,session", "--runs", "3", "-n", "30", "--warmup", "2", "builtin:"],
    "iperf": ["iperf", "--runs", "1", "-t", "0.9", "--no-latency", "builtin:"],
    "bench-rpc": ["bench-rpc", "--case", "connect,ready,ping,echo,call", "--size", "1K", "--call", "add", "--arg", "2", "--arg", "40",
                  "--expect", "42", "--runs", "3", "-n", "30", "--warmup", "2", "builtin:rpyc"],
    "bench-tftp": ["bench-tftp", "--case", "read", "--runs", "3", "-n", "5", "--warmup", "1", "builtin:"],
    "trace-syscalls": ["trace-syscalls", "-l", "latency", "--by", "process", "--operations", "1", "--", "true"],
    "trace-rpc": ["trace-rpc", "--read", "tests/fuzz/corpus/rpc-trace/known"],
}
# What depends on the machine or the moment: only whether it is there is compared.
FREE = {"environment", "noise", "warnings", "findings", "hist", "percentile_notes", "identity", "syscalls", "labels", "vcs",
        "libraries", "env", "errno"}
# Maps whose keys are names that depend on the machine's C library.
NAMED = {"calls", "families"}


def shape(value, key=""):
    """Keys all the way down; of a list the shape that its items share; numbers and null are one."""
    if key in FREE:
        return "free"
    if isinstance(value, dict) and key in NAMED:
        return [shape(v) for _, v in sorted(value.items())[:1]]
    if isinstance(value, dict):  # (which percentiles there are depends on how many samples a busy machine took)
        return {k: shape(v, k) for k, v in sorted(value.items())
                if not re.search(r"(^|\.)p\d+$|^syscalls\.(?!total)", k)}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "text" if isinstance(value, str) else "bool" if isinstance(value, bool) else "number"


def closed(name):
    """The validator of a schema that takes no key but those that it describes."""
    return jsonschema.Draft202012Validator(schema_check.close(json.loads((EXAMPLES.parent / f"{name}.json").read_text())))


def test_the_example_of_trend_has_the_shape_of_today(mpbench, tmp_path):
    for i in range(24):
        results.write(tmp_path / f"night-{i:02d}.json", results.latency(
            50000 if i < 16 else 55000, seed=i, run_id=f"{i:032x}", vcs={"commit": f"{i:07x}"},
            started_at=f"2026-01-{i + 1:02d}T02:00:00.000Z"))
    r = subprocess.run([MPBENCH, "trend", ".", "--json"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr
    path = EXAMPLES / "trend.json"
    if os.environ.get("MPBENCH_EXAMPLES") == "write":
        path.write_text(r.stdout)
    example = json.loads(path.read_text())
    schema_check.check(example, closed("trend-1"))
    assert example["rows"][0]["changes"] and shape(example) == shape(json.loads(r.stdout))


def test_the_example_of_watch_has_the_shape_of_today(tmp_path):
    done = subprocess.run([MPBENCH, "watch", "--every", "10ms", "-n", "2", "--json", "--that", "latency.median < 1ns", "--",
                           "bench-repl", "--case", "exec", "-n", "5", "--runs", "1", "builtin:"], cwd=tmp_path,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    line = done.stdout.splitlines()[1]
    path = EXAMPLES / "watch.json"
    if os.environ.get("MPBENCH_EXAMPLES") == "write":
        path.write_text(line + "\n")
    example = json.loads(path.read_text())
    schema_check.check(example, closed("watch-1"))
    schema_check.check(json.loads(line), closed("watch-1"))
    assert shape(example) == shape(json.loads(line))


@pytest.mark.native
@pytest.mark.own_documents
@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_example_has_the_shape_of_today(name):
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    if name == "trace-syscalls":
        able = subprocess.run([MPBENCH, "trace-syscalls", "-q", "--", "true"], capture_output=True, text=True)
        if able.returncode:
            pytest.skip(able.stderr.strip())  # test_trace.py tells whether that may be
    done = subprocess.run([MPBENCH, COMMANDS[name][0], "--json", "-q", *COMMANDS[name][1:]], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=120, env=environment, cwd=TOP)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    schema_check.check(document)
    path = EXAMPLES / f"{name}.json"
    if os.environ.get("MPBENCH_EXAMPLES") == "write":
        document["command"]["argv"][0] = "mpbench"
        path.write_text(json.dumps(document, indent=1) + "\n")
    example = json.loads(path.read_text())
    schema_check.check(example)
    assert shape(example) == shape(document)
