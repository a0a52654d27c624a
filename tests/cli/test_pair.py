"""mpbench pair: two command lines in turn, compared round by round."""
import json
import os
import signal
import subprocess
import time

import pytest

SHORT = "bench-repl --case exec -n 20 builtin:"


def test_rounds_are_interleaved_and_paired(mpbench, tmp_path):
    r = mpbench("pair", "--rounds", "6", "--keep", tmp_path, "--json", SHORT, f"mpbench {SHORT}")
    assert r.returncode in (0, 1), r.stderr
    d = json.loads(r.stdout)
    row = d["rows"][0]
    assert d["paired"] and row["method"] == "signed-rank" and row["n"] == row["n_base"] == 6
    files = sorted(os.listdir(tmp_path))
    assert files == [f"{side}-{i:03}.json" for side in "ab" for i in range(1, 7)]
    kept = [json.loads((tmp_path / f).read_text()) for f in files]
    places = [k["extensions"]["interleaved"]["place"] for k in kept]
    assert places == [0, 1] * 3 + [1, 0] * 3
    assert len({k["extensions"]["interleaved"]["session"] for k in kept}) == 1
    started = sorted(zip([k["started_at"] for k in kept], files))
    assert [f[0] for _, f in started] == list("abbaabbaabba")
    again = mpbench("diff", *[tmp_path / f for f in files[:6]], "--", *[tmp_path / f for f in files[6:]], "--json")
    assert json.loads(again.stdout)["rows"][0]["p"] == row["p"]


def test_the_options_that_differ_are_listed(mpbench):
    r = mpbench("pair", "--rounds", "2", "bench-repl --case upload --chunk 64 -n 2 builtin:",
                "bench-repl --case upload --chunk 256 -n 2 builtin:")
    assert r.returncode == 0, r.stderr
    assert "the two differ in chunk_bytes [64] -> [256]" in r.stdout
    assert "repl.upload throughput" in r.stdout and "2 runs are too few: at least 6" in " ".join(r.stdout.split())


@pytest.mark.parametrize("a, b, status, why", [
    (SHORT, "bench-repl --nonsense builtin:", 2, "--nonsense"),
    (SHORT, "bench-repl 'builtin:", 2, "quote"),
    (SHORT, "diff x y", 2, "no benchmark"),
    (SHORT, "", 2, "b:"),
    (SHORT, "bench-repl --timeout 1s socket://127.0.0.1:1", 4, "b (bench-repl"),
])
def test_a_command_that_fails_is_named(mpbench, tmp_path, a, b, status, why):
    r = mpbench("pair", "--rounds", "1", a, b, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert r.returncode == status and why in r.stderr
    assert os.listdir(tmp_path) == []


def test_a_mistake_in_the_options_costs_no_measurement(mpbench):
    r = mpbench("pair", "--threshold", "x", SHORT, SHORT)
    assert r.returncode == 2 and "--threshold" in r.stderr
    assert mpbench("pair", SHORT).returncode == 2


def test_an_interrupt_ends_it_and_leaves_nothing(mpbench, tmp_path):
    p = subprocess.Popen([mpbench.path, "pair", "--rounds", "1000", SHORT, SHORT], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)})
    deadline = time.monotonic() + 60
    while not any(os.listdir(tmp_path / d) for d in os.listdir(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.01)
    p.send_signal(signal.SIGINT)
    out, _ = p.communicate(timeout=60)
    assert p.returncode == 128 + signal.SIGINT and out == b""
    assert os.listdir(tmp_path) == []
