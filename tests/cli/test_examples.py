"""One example document per benchmark in results-schema/examples: valid, and of the shape that is written today.

`MPBENCH_EXAMPLES=write` writes them anew.
"""
import json
import os
import subprocess

import pytest

import schema_check
from conftest import MPBENCH, TOP

EXAMPLES = TOP / "results-schema" / "examples"
COMMANDS = {
    "bench-repl": ["bench-repl", "--case", "exec,upload,session", "--runs", "3", "-n", "30", "--warmup", "2", "builtin:"],
    "bench-tftp": ["bench-tftp", "--case", "read", "--runs", "3", "-n", "5", "--warmup", "1", "builtin:"],
}
# What depends on the machine or the moment: only whether it is there is compared.
FREE = {"environment", "noise", "warnings", "findings", "hist", "percentile_notes", "identity", "syscalls", "labels", "vcs",
        "libraries", "env"}


def shape(value, key=""):
    """Keys all the way down; of a list the shape that its items share; numbers and null are one."""
    if key in FREE:
        return "free"
    if isinstance(value, dict):
        return {k: shape(v, k) for k, v in sorted(value.items())}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "text" if isinstance(value, str) else "bool" if isinstance(value, bool) else "number"


@pytest.mark.native
@pytest.mark.own_documents
@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_example_has_the_shape_of_today(name):
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    done = subprocess.run([MPBENCH, *COMMANDS[name], "--json", "-q"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=120, env=environment)
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
