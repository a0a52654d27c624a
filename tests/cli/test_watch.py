"""mpbench watch: a benchmark again and again, with a history that survives, alerts and outages."""
import datetime
import json
import os
import pathlib
import pty
import re
import select
import shlex
import signal
import subprocess
import time

import pytest

BENCH = ["--", "bench-repl", "--case", "exec", "-n", "5", "--runs", "1"]


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def until(condition, what, process=None, seconds=100):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        assert process is None or process.poll() is None, what
        time.sleep(0.02)


def begun(entry):
    return datetime.datetime.fromisoformat(entry["started_at"].replace("Z", "+00:00")).timestamp()


@pytest.fixture
def device(mpbench, tmp_path):
    """A REPL that is there while the file `up` is; .url is its target."""
    class Device:
        up = tmp_path / "up"
        script = tmp_path / "device.sh"
        url = f"exec:{script}"

        def there(self, yes):
            self.up.touch() if yes else self.up.unlink(missing_ok=True)
    d = Device()
    d.script.write_text(f"#!/bin/sh\ntest -e {shlex.quote(str(d.up))} || exit 1\n"
                        f"exec {shlex.quote(mpbench.path)} serve-repl\n")
    d.script.chmod(0o755)
    d.there(True)
    return d


@pytest.fixture
def watch(mpbench, tmp_path):
    """watch(words...): mpbench watch as a process, ended with the test."""
    running = []

    def run(*words, **kw):
        out = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "stdin": subprocess.DEVNULL, **kw}
        running.append(subprocess.Popen([mpbench.path, "watch", *map(os.fspath, words)], **out))
        return running[-1]
    yield run
    for p in running:
        if p.poll() is None:
            p.kill()
        p.communicate()


def test_runs_are_counted_kept_and_summed_up(mpbench, tmp_path):
    out, prom = tmp_path / "w.jsonl", tmp_path / "w.prom"
    r = mpbench("watch", "--every", "50ms", "-n", "3", "-o", out, "--prom", prom, "--that", "errors == 0", *BENCH, "builtin:")
    assert r.returncode == 0 and r.stderr == ""
    entries = lines(out)
    assert [e["seq"] for e in entries] == [1, 2, 3] and {e["status"] for e in entries} == {"ok"}
    assert entries[0]["benchmarks"][0]["metrics"]["latency.median"]["value"] > 0
    assert len({e["config"] for e in entries}) == 1 and len({e["run_id"] for e in entries}) == 3
    printed = r.stdout.splitlines()
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}Z ok +repl\.exec latency\.median \S+ \S+", x) for x in printed[:3])
    assert printed[3].startswith("3 runs: 3 ok, 0 bad, 0 failed, 0 down")
    assert "errors == 0: broken in 0 of 3 runs" in r.stdout
    text = prom.read_text()
    assert "mpbench_watch_up 1\n" in text and "mpbench_watch_runs_total 3\n" in text
    assert 'mpbench_latency_seconds{benchmark="repl.exec"' in text
    assert [p.name for p in tmp_path.glob("w.prom*")] == ["w.prom"]


def test_no_two_runs_at_once_and_missed_starts_are_counted(mpbench, tmp_path):
    out = tmp_path / "w.jsonl"
    # each run takes longer than a period
    r = mpbench("watch", "--every", "20ms", "-n", "3", "-o", out, "-q", "--", "bench-repl", "--case", "exec", "--duration",
                "50ms", "--runs", "2", "builtin:")
    assert r.returncode == 0, r.stderr
    entries = lines(out)
    for a, b in zip(entries, entries[1:]):
        # wall-clock times are cut to milliseconds
        assert begun(b) >= begun(a) + a["duration_ns"] / 1e9 - 0.002
        assert b["skipped"] >= 4


def test_a_broken_limit_is_an_alert(mpbench, tmp_path):
    out, heard = tmp_path / "w.jsonl", tmp_path / "heard"
    hook = f"sh -c 'echo \"$MPBENCH_EVENT $1\" >>{shlex.quote(str(heard))}' hook {{}}"
    words = ["--every", "20ms", "-o", out, "--that", "latency.median < 1ns", "--on-alert", hook]
    r = mpbench("watch", *words, "-n", "3", *BENCH, "builtin:")
    assert r.returncode == 1
    assert len(re.findall(r"alert: latency\.median < 1ns: \S+ \S+ \(repl\.exec t1\)", r.stderr)) == 3
    # told once: it is the same alert all the time
    assert len(heard.read_text().splitlines()) == 1 and heard.read_text().startswith("alert latency.median < 1ns: ")
    entries = lines(out)
    assert {e["status"] for e in entries} == {"bad"}
    assert entries[0]["alerts"][0]["limit"] == 1 and entries[0]["alerts"][0]["status"] == "fail"
    r = mpbench("watch", "--every", "20ms", "--once-bad", "--that", "latency.median < 1ns", *BENCH, "builtin:")
    assert r.returncode == 1 and r.stdout.count(" bad ") == 1


def test_the_hook_is_waited_for(mpbench, tmp_path):
    heard = tmp_path / "heard"
    hook = f"sh -c 'sleep 0.5; echo \"$MPBENCH_TEXT\" >>{shlex.quote(str(heard))}'"
    r = mpbench("watch", "--once-bad", "--that", "latency.median<1ns", "--on-alert", hook, *BENCH, "builtin:")
    assert r.returncode == 1 and heard.read_text().startswith("latency.median<1ns: ")


def test_the_hook_is_no_shell(mpbench, tmp_path):
    r = mpbench("watch", "--once-bad", "--that", "latency.median<1ns", "--on-alert", "/nonexistent/hook; touch x", *BENCH,
                "builtin:", cwd=tmp_path)
    assert r.returncode == 1 and "--on-alert: " in r.stderr and not (tmp_path / "x").exists()


def test_changes_against_a_baseline(mpbench, tmp_path):
    base = tmp_path / "base.json"
    assert mpbench("bench-repl", "--case", "exec", "-n", "5", "--runs", "1", "-q", "-o", base, "builtin:").returncode == 0
    words = ["watch", "--every", "20ms", "-n", "1", "--that", "latency.median > -99.99%"]
    assert mpbench(*words, "--baseline", base, *BENCH, "builtin:").returncode == 0
    r = mpbench(*words, *BENCH, "builtin:")
    assert r.returncode == 2 and "--baseline" in r.stderr


def test_an_outage_is_counted_backed_off_and_ends(watch, device, tmp_path):
    out = tmp_path / "w.jsonl"
    p = watch("--every", "20ms", "--max-wait", "100ms", "-o", out, "--prom", tmp_path / "w.prom", *BENCH, device.url)
    until(lambda: len(lines(out)) >= 2, "two runs", p)
    for number in (1, 2):
        device.there(False)
        until(lambda: sum(e["status"] == "down" and e["outage"]["number"] == number for e in lines(out)) >= 3, "down", p)
        assert "mpbench_watch_up 0\n" in (tmp_path / "w.prom").read_text()
        device.there(True)
        until(lambda: lines(out)[-1]["status"] == "ok", "up again", p)
    p.send_signal(signal.SIGINT)
    stdout, stderr = p.communicate(timeout=60)
    assert p.returncode == 130
    entries = lines(out)
    over = [e["outage"] for e in entries if e["outage"] and e["outage"]["over"]]
    assert [o["number"] for o in over] == [1, 2] and all(o["runs"] >= 3 for o in over)
    # while it is down starts are left out, 1 after the second failure and up to 4
    down = [e for e in entries if e["status"] == "down" and e["outage"]["runs"] == 3]
    assert len(down) == 2 and all(e["skipped"] >= 1 for e in down)
    assert stderr.count(" recovered: outage ") == 2 and "2 outages" in stdout
    assert [e["seq"] for e in entries] == list(range(1, len(entries) + 1))


def test_it_starts_while_the_target_is_down(mpbench, device, tmp_path):
    device.there(False)
    out = tmp_path / "w.jsonl"
    r = mpbench("watch", "--every", "20ms", "-n", "2", "-o", out, *BENCH, device.url)
    assert r.returncode == 4 and [e["status"] for e in lines(out)] == ["down", "down"]
    assert mpbench("watch", "--once-bad", *BENCH, device.url).returncode == 4


def test_a_restart_goes_on_with_the_file(watch, mpbench, device, tmp_path):
    out = tmp_path / "w.jsonl"
    device.there(False)
    p = watch("--every", "20ms", "-o", out, *BENCH, device.url)
    until(lambda: len(lines(out)) >= 2, "two runs", p)
    r = mpbench("watch", "-n", "1", "-o", out, *BENCH, device.url)
    assert r.returncode == 2 and "another mpbench watch" in r.stderr
    p.kill()
    p.communicate()
    n = len(lines(out))
    with open(out, "a") as f:
        f.write('{"schema":"mpbench.watch","sch')
    device.there(True)
    r = mpbench("watch", "--every", "20ms", "-n", "2", "-o", out, *BENCH, device.url)
    assert r.returncode == 0 and "recovered: outage 1 is over" in r.stderr
    text = out.read_text().splitlines()
    assert len(text) == n + 3
    after = [json.loads(x) for x in text[n + 1:]]
    assert [e["seq"] for e in after] == [n + 1, n + 2] and after[0]["outage"]["over"]
    text.pop(n)
    out.write_text("\n".join(text) + "\n")


def test_the_file_is_put_aside_when_large(mpbench, tmp_path):
    out = tmp_path / "w.jsonl"
    words = ["watch", "--every", "10ms", "-o", out, "--rotate", "1", "--keep", "2", "-q", *BENCH, "builtin:"]
    assert mpbench(*words[:3], "-n", "4", *words[3:]).returncode == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["w.jsonl", "w.jsonl.1", "w.jsonl.2"]
    assert [lines(tmp_path / f"w.jsonl{x}")[0]["seq"] for x in ("", ".1", ".2")] == [4, 3, 2]


@pytest.mark.parametrize("words, status, why", [
    (["--", "diff", "a", "b"], 2, "no benchmark"), ([], 2, "no benchmark"), (["--every", "0s", *BENCH], 2, "--every"),
    (["--that", "latency.median", *BENCH, "builtin:"], 2, "METRIC OP VALUE"),
    (["--that", "latency.medain < 1s", *BENCH, "builtin:"], 2, "did you mean latency.median"),
    ([*BENCH, "--no-such-option"], 2, "--no-such-option"), ([*BENCH, "-o", "x.json", "builtin:"], 2, "-o of its own"),
    (["-o", "/dev/null", *BENCH, "builtin:"], 2, "not a regular file"),
    (["-o", "/nonexistent/w.jsonl", *BENCH, "builtin:"], 2, "/nonexistent/w.jsonl"),
])
def test_mistakes_end_it_at_once(mpbench, tmp_path, words, status, why):
    r = mpbench("watch", *words, cwd=tmp_path, timeout=60)
    assert r.returncode == status and why in r.stderr


def test_a_run_that_takes_too_long_is_ended(mpbench, tmp_path):
    out = tmp_path / "w.jsonl"
    r = mpbench("watch", "-n", "1", "--timeout", "100ms", "-o", out, "-q", "--", "bench-repl", "--timeout", "100s", "--runs",
                "1", "builtin:?fault=silent")
    assert r.returncode == 4
    entry = lines(out)[0]
    assert entry["status"] == "down" and "took longer" in entry["error"]


def test_a_history_is_what_trend_reads(mpbench, tmp_path):
    out = tmp_path / "w.jsonl"
    assert mpbench("watch", "--every", "10ms", "-n", "3", "-o", out, "-q", *BENCH, "builtin:").returncode == 0
    r = mpbench("trend", out)
    assert r.returncode == 0 and "3 results, median" in r.stdout
    assert mpbench("trend", tmp_path, "--metric", "latency.max").returncode == 0


def read_screen(fd, process, wanted, seconds=60):
    text, end = b"", time.monotonic() + seconds
    while not re.search(wanted, text):
        assert time.monotonic() < end, text[-2000:]
        if select.select([fd], [], [], 0.1)[0]:
            text += os.read(fd, 65536)
        assert process.poll() is None, text[-2000:]
    return text


def test_a_terminal_has_a_screen_and_gets_it_back(watch, tmp_path):
    import fcntl
    import struct
    import termios
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 90, 0, 0))
    p = watch("--every", "50ms", "--that", "latency.median < 1ns", *BENCH, "builtin:", stdout=slave, stderr=slave,
              env={**os.environ, "TERM": "xterm", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"})
    os.close(slave)
    text = read_screen(master, p, rb"[3-9]\d* runs: 0 ok, [3-9]\d* bad")
    p.send_signal(signal.SIGINT)
    try:
        while True:
            more = os.read(master, 65536)
            if not more:
                break
            text += more
    except OSError:
        pass
    assert p.wait(timeout=60) == 130
    os.close(master)
    text = text.decode()
    assert text.startswith("\x1b[?1049h") and "BROKEN latency.median < 1ns" in text and "alert: " in text
    screen, summary = text.split("\x1b[?1049l")
    summary = re.sub(r"\x1b\[\d*m", "", summary)
    assert "\x1b" not in summary and "latency.median < 1ns: broken in" in summary
    for page in re.sub(r"\x1b\[\d*m", "", screen).split("\x1b[H")[1:]:
        rows = page.split("\x1b[J")[0].split("\x1b[K\r\n")
        assert len(rows) <= 20 and all(len(row) <= 90 for row in rows)


def test_json_goes_to_standard_output(mpbench):
    r = mpbench("watch", "--every", "10ms", "-n", "1", "--json", *BENCH, "builtin:")
    assert r.returncode == 0 and json.loads(r.stdout)["schema"] == "mpbench.watch"
