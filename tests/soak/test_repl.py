"""bench-repl for a long time: what it takes does not grow with what it did."""
import json
import os
import resource
import subprocess



def peak_kib(program, *args):
    """Peak resident memory of a run, as the kernel's accounting says."""
    process = subprocess.Popen([program, *args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
    told = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, told
    return usage.ru_maxrss


def test_memory_does_not_grow_with_operations(mpbench, soak, tmp_path):
    """Raw samples are bounded (65,536 a run), so ten times the operations beyond that take the same memory."""
    few, many = soak(100_000), soak(1_000_000)
    peaks = []
    for n in (few, many):
        out = tmp_path / f"{n}.json"
        peaks.append(peak_kib(mpbench.path, "bench-repl", "--case", "exec", "--runs", "1", "--iterations", str(n), "-q",
                              "-o", str(out), "builtin:"))
        (benchmark,) = json.loads(out.read_text())["benchmarks"]
        assert sum(run["ok"] for run in benchmark["runs"]) == n
    if not mpbench.sanitized:
        assert peaks[1] < 1.5 * peaks[0] + 8192


def test_many_sessions_leak_no_descriptor(mpbench, soak, tmp_path):
    """Each iteration of the case session opens and closes a device; under a limit of 128 descriptors all succeed."""
    n = soak(40_000)
    out = tmp_path / "sessions.json"
    done = mpbench("bench-repl", "--case", "session", "--runs", "1", "--iterations", str(n), "-q", "-o", out, "builtin:",
                   timeout=3600, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128)))
    assert done.returncode == 0, done.stderr
    (benchmark,) = json.loads(out.read_text())["benchmarks"]
    assert sum(run["ok"] for run in benchmark["runs"]) == n
