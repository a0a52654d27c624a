"""doctor: every line has a verdict, what cannot be done has a remedy, and the exit status says whether there is any."""
import json
import os
import shutil
import subprocess

import pytest

from conftest import MPBENCH


def test_text_and_json_agree(mpbench):
    r = mpbench("doctor")
    assert r.returncode in (0, 3) and r.stderr == ""
    names = [c["name"] for c in json.loads(mpbench("doctor", "--json").stdout)["checks"]]
    for name in names:
        assert f" {name} " in r.stdout
    assert max(map(len, r.stdout.splitlines())) <= 80 or os.environ.get("COLUMNS")
    for wanted in ("kernel", "kernel types (BTF)", "mpbench-bpf", "RLIMIT_MEMLOCK", "clock", "governor", "SMT",
                   "noise in half a second", "programs found", "capabilities"):
        assert wanted in names


def test_status_is_3_exactly_when_something_cannot_be_done(mpbench):
    r = mpbench("doctor", "--json")
    told = json.loads(r.stdout)
    cannot = [c for c in told["checks"] if c["verdict"] == "cannot"]
    assert r.returncode == (3 if cannot else 0)
    assert told["able"] == (not cannot)
    assert all(c["remedy"] for c in cannot)
    assert {c["verdict"] for c in told["checks"]} <= {"ok", "note", "poor", "cannot"}


@pytest.mark.native
def test_without_privilege_it_names_the_command():
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("setpriv as root is needed to give up privileges")
    r = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", MPBENCH, "doctor", "--json"],
                       capture_output=True, text=True, timeout=60)
    if r.returncode == 126 or r.returncode == 127 or "ermission" in r.stderr:
        pytest.skip("this checkout cannot be entered by others")
    check = {c["name"]: c for c in json.loads(r.stdout)["checks"]}
    assert r.returncode == 3
    if "counting system calls" in check:
        assert "setcap cap_bpf,cap_perfmon+ep" in check["counting system calls"]["remedy"]
