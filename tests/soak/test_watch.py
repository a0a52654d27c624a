"""mpbench watch for ten minutes over a TFTP server that is killed and started again twice: nothing is lost, nothing grows."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

MINUTES = 10


def entries(path):
    whole = path.read_text().split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in whole]


def until(condition, what, process, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end and process.poll() is None, what
        time.sleep(0.05)


def status_kib(pid, key):
    return int(re.search(rf"{key}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


@pytest.mark.takes(MINUTES * 60 + 300)
def test_ten_minutes_with_two_outages(mpbench, netns, soak, tmp_path):
    host, out = netns(), tmp_path / "w.jsonl"
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "boot.bin").write_bytes(os.urandom(20000))
    errors = open(tmp_path / "errors", "w+")
    server = None

    def serve():
        return subprocess.Popen(host.words(mpbench.path, "serve", "tftp", "-p", "69", tmp_path / "files"),
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = soak(MINUTES * 60)
    every = 1 if seconds > 60 else 0.2
    begun = time.monotonic()
    server = serve()
    watch = subprocess.Popen(host.words(mpbench.path, "watch", "--every", f"{every}s", "--max-wait", "4s", "-o", out,
                                        "--rotate", "1M", "--prom", tmp_path / "w.prom", "--that", "latency.median < 5s", "--",
                                        "bench-tftp", "--case", "read", "-n", "3", "--runs", "1", "--warmup", "0", "--timeout",
                                        "1s", "tftp://127.0.0.1/boot.bin"),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        until(lambda: [e for e in entries(out) if e["status"] == "ok"], "the first result", watch)
        before = (status_kib(watch.pid, "VmRSS"), len(os.listdir(f"/proc/{watch.pid}/fd")))
        for number in (1, 2):
            while time.monotonic() < begun + seconds * number / 3:
                time.sleep(0.05)
            server.kill()
            server.wait()
            until(lambda: [e for e in entries(out) if e["status"] == "down"][-1:] and entries(out)[-1]["outage"]
                  and entries(out)[-1]["outage"]["number"] == number, f"outage {number}", watch)
            server = serve()
            until(lambda: entries(out)[-1]["status"] == "ok", f"the end of outage {number}", watch)
        while time.monotonic() < begun + seconds:
            assert watch.poll() is None
            time.sleep(0.05)
        after = (status_kib(watch.pid, "VmRSS"), len(os.listdir(f"/proc/{watch.pid}/fd")))
        watch.send_signal(signal.SIGINT)
        summary = watch.communicate(timeout=60)[0]
    finally:
        for p in (watch, server):
            if p.poll() is None:
                p.kill()
            p.wait()
    errors.seek(0)
    told = errors.read()
    assert watch.returncode == 130, told
    every_entry = [e for i in range(9, 0, -1) for e in entries(tmp_path / f"w.jsonl.{i}")] + entries(out)
    assert [e["seq"] for e in every_entry] == list(range(1, len(every_entry) + 1))
    assert len({e["run_id"] for e in every_entry if e["run_id"]}) == sum(e["run_id"] is not None for e in every_entry)
    over = [e["outage"]["number"] for e in every_entry if e["outage"] and e["outage"]["over"]]
    assert over == [1, 2] and told.count("recovered: outage") == 2
    assert "2 outages" in summary and "mpbench_watch_outages_total 2\n" in (tmp_path / "w.prom").read_text()
    assert after[1] <= before[1] + 1
    # the history of the screen is bounded: what grows is at most that
    assert after[0] <= before[0] + 4096, (before, after)
    print(f"\n{len(every_entry)} runs in {seconds} s, 2 outages; {before[0]} KiB at first, {after[0]} KiB at the end")
