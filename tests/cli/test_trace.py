"""trace-syscalls against programs that make a known number of calls, against strace, and without privilege."""
import ctypes
import datetime
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import time

import pytest

from conftest import MPBENCH, lacking

pytestmark = pytest.mark.native
BUILD = pathlib.Path(MPBENCH).parent
CALLS = BUILD / "tools" / "calls"
ECHO = BUILD / "tools" / "udp-echo"
HELPER = BUILD / "mpbench-bpf"
NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
RUNS = 20


@pytest.fixture(scope="module", autouse=True)
def can_trace():
    if not HELPER.exists():
        lacking("built with BPF=0")
    r = subprocess.run([MPBENCH, "trace-syscalls", "-q", "--", "true"], capture_output=True, text=True)
    if any(told in r.stderr for told in ("needs CAP_BPF", "the kernel refuses eBPF", "does not describe its types")):
        pytest.skip(r.stderr.strip())  # in CI too: what runs the tests may be a container without the right to
    if r.returncode:
        lacking(r.stderr.strip())


def trace(*args, check=0, command=(), program=MPBENCH, prefix=()):
    """extensions.trace of one run."""
    words = [*prefix, program, "trace-syscalls", "--json", *map(str, args)]
    r = subprocess.run(words + (["--", *map(str, command)] if command else []), capture_output=True, text=True,
                       timeout=60, stdin=subprocess.DEVNULL)
    assert r.returncode == check, r.stderr
    return json.loads(r.stdout)["extensions"]["trace"]


def calls_of(document, target=0):
    return {name: c["calls"] for name, c in document["targets"][target]["calls"].items()}


# mode and numbers -> what must be counted, to the last call
EXACT = {
    "getppid 10000": {"getppid": 10000},
    "threads 1 20000": {"getppid": 20000},
    "threads 4 25000": {"getppid": 100000},
    "fork 8 5000": {"getppid": 40000, "execve": 5, "clone": 8},
    "vfork 6 1000": {"getppid": 6000, "execve": 7, "vfork": 6},
    "tree 6 1000": {"getppid": 6000, "clone": 5},
    "fail 300": {"fchdir": 300, "getppid": None},  # None: not at all
    "batch 50": {"sendmmsg": 400, "recvmmsg": 800},
    "exit 4 5000": {"getppid": 5000},
}


@pytest.mark.parametrize("mode", EXACT)
@pytest.mark.parametrize("level", ["count", "latency"])
def test_counted_to_the_last_call_in_every_run(mode, level):
    for _ in range(RUNS // 2):
        document = trace("-l", level, command=[CALLS, *mode.split()])
        assert document["exact"] and document["why_not_exact"] is None
        seen = calls_of(document)
        for name, calls in EXACT[mode].items():
            assert seen.get(name) == calls, (mode, name)


def test_thread_that_is_made_after_attaching_is_counted():
    for _ in range(RUNS):
        with Attached("-w", "threads", "3", "1000") as a:
            a.begin()
            a.end()
        assert calls_of(a.summary())["getppid"] == 3000


def four_waiting_threads():
    script = ("import threading,os,sys\n"
              "r,w=os.pipe()\n"
              "def f():\n os.read(r,1)\n for _ in range(100): os.getppid()\n"
              "t=[threading.Thread(target=f) for _ in range(4)]\n"
              "[x.start() for x in t]\n"
              "print('ready',flush=True); sys.stdin.readline(); os.write(w,b'xxxx')\n"
              "[x.join() for x in t]; print('over',flush=True); sys.stdin.readline()\n")
    return ["/usr/bin/python3", "-c", script]


def no_thread_pidfds():
    """pidfd_open as before Linux 6.9: EINVAL for any flag."""
    code = [(0x20, 0, 0, 0), (0x15, 0, 3, 434), (0x20, 0, 0, 24), (0x15, 1, 0, 0), (0x06, 0, 0, 0x50000 | 22),
            (0x06, 0, 0, 0x7fff0000)]
    filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *c) for c in code))
    program = struct.pack("HxxxxxxP", len(code), ctypes.addressof(filters))
    if ctypes.CDLL(None, use_errno=True).prctl(22, 2, ctypes.c_char_p(program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def test_threads_that_were_there_before_are_counted_on_older_kernels():
    """Where no pidfd names a thread, each is found through its process at its next call."""
    with Attached(words=four_waiting_threads(), preexec_fn=no_thread_pidfds) as a:
        a.begin()
        a.end()
    assert calls_of(a.summary())["getppid"] == 400
    assert json.loads(a.lines[0])["targets"][0]["gauges"]["threads_now"] == 1


def test_threads_that_were_there_before_are_counted():
    """Attached while four threads wait in a read; each is found, and what they were in is not counted."""
    with Attached(words=four_waiting_threads()) as a:
        a.begin()
        a.end()
    summary = a.summary()
    assert calls_of(summary)["getppid"] == 400
    assert summary["targets"][0]["gauges"]["found_under_way"] == 5
    assert json.loads(a.lines[0])["targets"][0]["gauges"]["threads_now"] == 5


class Attached:
    """A program of ours under trace-syscalls -p, which is known to have begun."""

    def __init__(self, *mode, words=None, **kw):
        self.words = words or [CALLS, *mode]
        self.kw = kw
        self.lines = []

    def __enter__(self):
        self.program = subprocess.Popen(self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.program.stdout.readline() == "ready\n"
        self.tracer = subprocess.Popen([MPBENCH, "trace-syscalls", "--json", "-i", "20ms",
                                        "-p", str(self.program.pid)], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True, **self.kw)
        self.lines.append(self.tracer.stdout.readline())  # the first interval: it counts
        return self

    def begin(self):
        self.program.stdin.write("go\n")
        self.program.stdin.flush()

    def end(self):
        assert self.program.stdout.readline() == "over\n"
        self.program.stdin.write("end\n")
        self.program.stdin.flush()
        self.program.wait(30)

    def __exit__(self, *exc):
        for p in (self.program, self.tracer):
            if exc[0] is not None:
                p.kill()
        out, self.err = self.tracer.communicate(timeout=30)
        self.lines += out.splitlines()
        self.program.stdin.close()
        self.program.stdout.close()
        self.program.wait(30)

    def summary(self):
        last = json.loads(self.lines[-1])
        assert last["type"] == "summary"
        return last


def test_intervals_add_up_and_the_end_of_the_target_ends_it():
    with Attached("-w", "threads", "2", "50000") as a:
        a.begin()
        a.end()
    assert a.tracer.returncode == 0
    steps = [json.loads(line) for line in a.lines]
    assert {s["type"] for s in steps[:-1]} == {"interval"}
    seen = sum(calls_of(s).get("getppid", 0) for s in steps[:-1])
    assert seen <= 100000 == calls_of(a.summary())["getppid"]


def test_calls_in_flight_are_told():
    with Attached("-w", "getppid", "10") as a:
        a.begin()
        assert a.program.stdout.readline() == "over\n"
        wait_state(a.program.pid, "S")
        a.tracer.send_signal(signal.SIGINT)
        a.tracer.wait(30)
        a.program.stdin.write("end\n")
    read = a.summary()["targets"][0]["calls"]["read"]
    assert (read["calls"], read["returned"]) == (1, 0)  # the one it was found in is not ours, the last has not returned
    assert a.summary()["targets"][0]["gauges"]["found_under_way"] == 1
    assert a.tracer.returncode == 0  # without a duration, ^C is how it ends


def wait_state(pid, state):
    deadline = time.monotonic() + 20
    while pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != state:
        assert time.monotonic() < deadline


def strace_counts(command, tmp_path):
    out = tmp_path / "strace"
    subprocess.run(["strace", "-f", "-c", "-o", out, *map(str, command)], check=True, capture_output=True, timeout=60)
    counts = {}
    for line in out.read_text().splitlines():
        m = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(\d+)?\s+(\w+)$", line)
        if m and m[3] != "total":
            counts[m[3]] = (int(m[1]), int(m[2] or 0))
    return counts


@pytest.mark.parametrize("mode", ["getppid 500", "fork 4 200", "vfork 3 100", "tree 4 100", "fail 50", "batch 20"])
def test_strace_says_the_same(mode, tmp_path):
    """All calls and errors; strace -c leaves out those that never return, and sees restarts as errors."""
    command = [CALLS, *mode.split()]
    theirs = strace_counts(command, tmp_path)
    ours = trace(command=command)["targets"][0]["calls"]
    seen = {name: (c["calls"], c["errors"] + c["interrupted"]) for name, c in ours.items()
            if name not in ("exit", "exit_group")}
    for counts in theirs, seen:
        # whether the parent waits for each child or finds it ended is chance
        counts.pop("wait4", None)
        # under ptrace a SIGCHLD that is ignored still makes a fork begin again (ERESTARTNOINTR)
        for name in {"clone", "clone3", "vfork"} & counts.keys():
            counts[name] = (counts[name][0] - counts[name][1], 0)
    assert seen == theirs


def test_errors_by_errno_and_batches():
    calls = trace(command=[CALLS, "fail", "200"])["targets"][0]["calls"]
    assert calls["read"]["errno"] == {"EAGAIN": 200}
    assert calls["pread64"]["errno"] == {"ESPIPE": 200}
    assert calls["fchdir"]["errno"] == {"EBADF": 200}
    assert calls["access"]["errno"]["ENOENT"] >= 200
    target = trace(command=[CALLS, "batch", "30"])["targets"][0]
    assert target["batches"]["sendmmsg"] == [{"messages": k, "calls": 30} for k in range(1, 9)]
    assert target["batches"]["recvmmsg"] == [{"messages": k, "calls": 30} for k in range(1, 9)]
    assert target["calls"]["recvmmsg"]["errno"] == {"EAGAIN": 240}
    assert target["calls"]["recvmmsg"]["messages"] == target["calls"]["sendmmsg"]["messages"] == 30 * 36


def test_interrupted_calls_are_no_errors():
    calls = trace(command=[CALLS, "restart", "25"])["targets"][0]["calls"]
    assert calls["read"]["interrupted"] == 25
    assert calls["read"]["errno"] == {"ERESTARTSYS": 25}
    assert calls["read"]["errors"] == 0
    assert calls["pread64"]["errors"] == 1


def test_32_bit_calls_are_of_their_own_table():
    r = subprocess.run([CALLS, "compat", "1"])
    if r.returncode:
        pytest.skip("this machine makes no 32-bit calls")
    document = trace(command=[CALLS, "compat", "3000"])
    seen = calls_of(document)
    assert seen["i386.getppid"] == 3000 and "getppid" not in seen and "semget" not in seen
    assert document["targets"][0]["gauges"]["calls_32_bit"] == 3000


@pytest.mark.parametrize("mode", ["uring", "sqpoll"])
def test_io_uring_operations_are_seen(mode):
    r = subprocess.run([CALLS, mode, "1"])
    if r.returncode:
        pytest.skip("this machine has no io_uring")
    target = trace(command=[CALLS, mode, "400"])["targets"][0]
    assert target["io_uring"] == {"read": 400, "write": 400}
    if mode == "sqpoll":
        assert target["calls"].get("io_uring_enter", {"calls": 0})["calls"] < 400
    else:
        assert target["calls"]["io_uring_enter"]["calls"] == 800


def test_inside_a_pid_namespace_and_around_one():
    # (a changed root need not be a mount point, so the propagation of /proc alone is changed)
    mount = 'mount --make-rprivate /proc && mount -t proc proc /proc && exec "$@"'
    unshare = ["unshare", "--pid", "--fork", "--mount", "--propagation", "unchanged", "sh", "-c", mount, "sh"]
    assert calls_of(trace(command=[CALLS, "fork", "4", "1000"], prefix=unshare))["getppid"] == 4000
    of_the_shell = calls_of(trace(command=[*unshare, "true"])).get("getppid", 0)
    assert calls_of(trace(command=[*unshare, CALLS, "threads", "4", "1000"]))["getppid"] - of_the_shell == 4000


def test_more_threads_than_rows_are_still_exact():
    document = trace("--max-threads", 4, "--by", "thread", command=[CALLS, "threads", "40", "500"])
    assert calls_of(document)["getppid"] == 20000 and document["exact"]
    assert document["targets"][0]["gauges"]["threads_sharing"] > 0
    # children that come and go: rows of ended ones are used again
    document = trace("--max-threads", 8, command=[CALLS, "fork", "200", "20"])
    assert calls_of(document)["getppid"] == 4000 and document["exact"]


def test_breakdown_adds_up():
    target = trace("--by", "thread", command=[CALLS, "threads", "5", "100"])["targets"][0]
    shares = [t["calls"].get("getppid", {"calls": 0})["calls"] for t in target["threads"]]
    assert sorted(shares) == [0, 100, 100, 100, 100, 100]
    assert sum(t["total"] for t in target["threads"]) == target["total"]


def test_without_children():
    seen = calls_of(trace("--no-children", command=[CALLS, "fork", "4", "1000"]))
    assert "getppid" not in seen and seen["clone"] == 4


def test_latency_and_off_cpu_time():
    document = trace("-l", "offcpu", command=["sleep", "0.2"])
    nap = document["targets"][0]["calls"]["clock_nanosleep"]
    assert nap["calls"] == 1 and nap["time_ns"] >= 200_000_000
    assert nap["off_cpu_ns"] >= 199_000_000 and nap["off_cpu_ns"] <= nap["time_ns"]
    assert nap["max_ns"] == nap["time_ns"] == nap["p50_ns"] == nap["p99_ns"]
    low, high, n = nap["latency_buckets"][0]
    assert n == 1 and low <= nap["time_ns"] <= high


@pytest.mark.parametrize("mode, getppids", [("threads 250 200", 50000), ("exit 1100 1000", 1000)])
def test_every_call_of_many_threads_has_its_end(mode, getppids):
    """The 1100 do not all fit into the table that finds a thread's call quickly."""
    document = trace("-l", "latency", "--max-threads", 1200, command=[CALLS, *mode.split()])
    calls = document["targets"][0]["calls"]
    assert document["exact"] and document["targets"][0]["gauges"]["threads_sharing"] == 0
    assert calls["getppid"]["calls"] == getppids
    for name, c in calls.items():
        assert c["returned"] + c["ended_with_thread"] == c["calls"], name
        assert sum(n for _, _, n in c["latency_buckets"]) == c["returned"], name
        assert c["max_ns"] < 60_000_000_000, name


def test_document_tells_when_it_began(mpbench):
    document = json.loads(mpbench("trace-syscalls", "--json", "-d", "1s", "-p", str(os.getpid())).stdout)
    began, ended = (datetime.datetime.fromisoformat(document[k].replace("Z", "+00:00")) for k in ("started_at", "finished_at"))
    assert (ended - began).total_seconds() >= 0.99


@pytest.mark.parametrize("level", ["count", "errors", "latency", "offcpu"])
def test_table_fits_a_screen_with_all_its_columns(mpbench, level):
    r = mpbench("trace-syscalls", "-l", level, "--operations", "1", "--by", "thread", "--", CALLS, "getppid", "100000")
    lines = r.stderr.splitlines()
    assert r.returncode == 0 and max(map(len, lines)) <= 80
    calls, per_op = next(line for line in lines if line.startswith("getppid ")).split()[1:3]
    assert calls == "100000" and float(per_op) == 100000
    if level in ("latency", "offcpu"):
        p99 = lines[2].index("p99") + 3  # a percentile of few calls would be nothing but the longest
        many, few = [line[p99 - 2:p99] for line in lines if line.startswith(("getppid ", "execve "))]
        assert many in ("ns", "us", "ms") and few == " -"


def test_per_operation_is_in_the_document(mpbench, tmp_path):
    r = mpbench("trace-syscalls", "--operations", "50", "-q", "-o", tmp_path / "r.json", "--", CALLS, "getppid", "150")
    assert r.returncode == 0, r.stderr
    metric = json.loads((tmp_path / "r.json").read_text())["benchmarks"][0]["metrics"]["syscalls.getppid"]
    assert metric["values"] == [3] and metric["totals"] == [150] and metric["operations"] == [50]
    assert metric["assume"] == "exact" and metric["unit"] == "count_per_op"
    r = mpbench("validate", tmp_path / "r.json")
    assert r.returncode == 0, r.stdout + r.stderr


# --- commands, signals, terminals ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("command, status", [
    (["sh", "-c", "exit 7"], 7), (["true"], 0), (["sh", "-c", "kill -9 $$"], 137), (["/nonexistent"], 127),
    (["/etc/passwd"], 126)])
def test_exit_status_is_that_of_the_command(mpbench, command, status):
    r = mpbench("trace-syscalls", "-q", "--", *command)
    assert r.returncode == status
    assert len(r.stderr.splitlines()) == (1 if status in (126, 127) else 0)


@pytest.mark.parametrize("options, status", [(["--level", "nope", "--", "true"], 125), (["--level", "nope", "-p", "1"], 2)])
def test_wrong_options_before_a_command_are_trouble_of_ours(mpbench, options, status):
    r = mpbench("trace-syscalls", *options)
    assert (r.returncode, r.stdout, r.stderr.count("\n")) == (status, "", 1) and "nope" in r.stderr


def test_output_of_the_command_stays_its_own(mpbench):
    r = mpbench("trace-syscalls", "--", "echo", "hello")
    assert r.stdout == "hello\n"
    assert re.search(r"^write +1 ", r.stderr, re.M) and "total" in r.stderr
    r = mpbench("trace-syscalls", "--json", "--", "echo", "hello")
    assert json.loads(r.stdout)["status"] == "complete" and r.stderr == "hello\n"


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_go_on_to_the_command(signo):
    script = f"trap 'exit 9' {signo.name[3:]}; echo up; while :; do sleep 0.05; done"
    p = subprocess.Popen([MPBENCH, "trace-syscalls", "--", "sh", "-c", script], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "up\n"
    p.send_signal(signo)
    _, err = p.communicate(timeout=30)
    assert p.returncode == 9 and "total" in err


def test_duration_ends_it(mpbench):
    r = mpbench("trace-syscalls", "-d", "100ms", "--", "sleep", "60")
    assert r.returncode == 128 + signal.SIGTERM and "clock_nanosleep" in r.stderr
    r = mpbench("trace-syscalls", "-d", "100ms", "-p", str(os.getpid()))
    assert r.returncode == 0


WRITE = {"x86_64": 1, "aarch64": 64}[os.uname().machine]
REDRAWN = "\x1b[H\x1b[2J"


@pytest.mark.parametrize("rows", [12, 60])
def test_live_view_is_one_screen(rows):
    """Redrawn on a terminal and never longer than it; the summary at the end is whole."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 80, 0, 0))
    script = ("import os, sys\nprint('ready', flush=True); sys.stdin.readline(); n = 0\nwhile True:\n"
              " os.getppid(), os.getuid(), os.getgid(), os.umask(18), os.getcwd(), os.times(), os.uname(), os.getsid(0)\n"
              " os.getpgid(0), os.stat('/'), os.sched_yield(), os.access('/', 0); n += 1\n"
              " if n == 10: print('over', flush=True)")
    with subprocess.Popen(["/usr/bin/python3", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as busy:
        assert busy.stdout.readline() == "ready\n"
        with subprocess.Popen([MPBENCH, "trace-syscalls", "-i", "20ms", "-p", str(busy.pid)], stdin=subprocess.DEVNULL,
                              stdout=theirs, env={**os.environ, "TERM": "xterm"}) as p:
            os.close(theirs)
            seen = os.read(ours, 65536).decode(errors="replace")
            busy.stdin.write("go\n")
            busy.stdin.flush()
            assert busy.stdout.readline() == "over\n"
            enough = 12 if rows > 12 else 1
            while seen.count(REDRAWN) < 5 or max(map(kinds, seen.split(REDRAWN))) < enough:
                seen += os.read(ours, 65536).decode(errors="replace")
            p.send_signal(signal.SIGINT)
            try:
                while more := os.read(ours, 65536).decode(errors="replace"):
                    seen += more
            except OSError:  # the other end is closed
                pass
            assert p.wait(30) == 0
        busy.kill()
    os.close(ours)
    _, *screens, last = seen.split(REDRAWN)
    assert all("total" in s and s.count("\n") < rows for s in screens)
    assert kinds(last) >= 12


def kinds(screen):
    """Lines of a table that stand for a system call."""
    return len(re.findall(r"^[a-z_0-9]+ +\d+ ", re.sub(r"\x1b\[[0-9;]*m", "", screen), re.M))


# --- other ways to choose -------------------------------------------------------------------------------------------------

def running(*options):
    """A tracer that is known to count; .finish() gives its summary."""
    p = subprocess.Popen([MPBENCH, "trace-syscalls", "--json", "-i", "20ms", *options], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
    line = p.stdout.readline()
    assert line, p.stderr.read()

    def finish():
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=30)
        assert p.returncode == 0, err
        return json.loads(out.splitlines()[-1])
    p.finish = finish
    return p


def test_by_name_also_those_that_come_later(tmp_path):
    name = f"mpb{os.getpid()}"
    shutil.copy(CALLS, tmp_path / name)
    t = running("--comm", name)
    subprocess.run([tmp_path / name, "threads", "3", "700"], check=True)
    subprocess.run([CALLS, "getppid", "5000"], check=True)
    assert calls_of(t.finish())["getppid"] == 2100


def cgroup_root():
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2" and os.access(where, os.W_OK):
            return pathlib.Path(where)
    return None


def test_by_cgroup():
    root = cgroup_root()
    if root is None:
        pytest.skip("no writable cgroup v2 tree")
    group = root / f"mpbench-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as e:
        pytest.skip(f"no cgroup can be made: {e}")
    try:
        t = running("--cgroup", str(group))
        inside = f"echo $$ >{group}/cgroup.procs; exec {CALLS} fork 4 300"
        subprocess.run(["sh", "-c", inside], check=True)
        subprocess.run([CALLS, "getppid", "5000"], check=True)
        assert calls_of(t.finish())["getppid"] == 1200
    finally:
        group.rmdir()


def test_whole_machine():
    t = running("--all")
    subprocess.run([CALLS, "fork", "4", "5000"], check=True)
    summary = t.finish()
    assert calls_of(summary)["getppid"] >= 20000


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def burst(port, rounds, size=8):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.1", port))
        s.settimeout(10)
        for i in range(rounds):
            for k in range(size):
                s.send(b"%d %d" % (i, k))
            for k in range(size):
                s.recv(100)


def wait_udp(port):
    deadline = time.monotonic() + 20
    while f":{port:04X} 00000000:0000 07" not in pathlib.Path("/proc/net/udp").read_text():
        assert time.monotonic() < deadline


def test_two_servers_against_each_other(start):
    """The experiment of batching against single calls, in one command: counts, batch sizes, EAGAIN, reduction."""
    ports = free_udp_port(), free_udp_port()
    for kind, port in zip(("plain", "batch"), ports):
        start([ECHO, kind, str(port)])
        wait_udp(port)
    t = running("--target-port", f"{ports[0]}/udp", "--target-port", f"{ports[1]}/udp")
    for port in ports:
        burst(port, 200)
    plain, batch = t.finish()["targets"]
    assert [x["gauges"]["found_under_way"] for x in (plain, batch)] == [1, 1]  # each in its poll
    assert plain["calls"]["sendto"]["calls"] == 1600
    got = plain["calls"]["recvfrom"]
    assert got["calls"] == 1600 + got["errno"]["EAGAIN"]
    assert batch["calls"]["recvmmsg"]["messages"] == batch["calls"]["sendmmsg"]["messages"] == 1600
    full = sum(b["calls"] for b in batch["batches"]["recvmmsg"])
    assert batch["calls"]["recvmmsg"]["calls"] == full + batch["calls"]["recvmmsg"]["errno"]["EAGAIN"]
    assert full == batch["calls"]["sendmmsg"]["calls"] <= 1600


def test_text_tells_the_reduction_in_percent(start):
    ports = free_udp_port(), free_udp_port()
    for port in ports:
        start([ECHO, "plain", str(port)])
        wait_udp(port)
    p = subprocess.Popen([MPBENCH, "trace-syscalls", "--target-port", f"{ports[0]}/udp", "--target-port",
                          f"{ports[1]}/udp", "-i", "20ms"], stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "\n"
    burst(ports[0], 40)
    burst(ports[1], 10)
    p.send_signal(signal.SIGINT)
    out, _ = p.communicate(timeout=30)
    final = out[out.rindex("against"):]
    assert re.search(r"^send +320 +80 +-75\.0 %$", final, re.M), final


def test_port_that_is_served_later_is_waited_for(start):
    port = free_udp_port()
    t = running("--target-port", f"{port}/udp", "--wait")
    start([ECHO, "plain", str(port)])
    wait_udp(port)
    wanted = 0
    while wanted == 0:  # until the tracer has found it
        burst(port, 1)
        line = json.loads(t.stdout.readline())
        wanted = line["targets"][0]["total"]
    burst(port, 100)
    assert t.finish()["targets"][0]["calls"]["sendto"]["calls"] >= 800


def test_bad_input_is_one_clear_line(mpbench):
    for args, status, text in [
            (["-p", "4194304"], 4, "no process 4194304"),
            (["--target-port", f"{free_udp_port()}/udp"], 4, "nobody listens"),
            (["--target-port", "x/udp"], 2, "69/udp"),
            (["--filter", "recvmsgg", "-p", "1"], 2, "recvmsgg"),
            (["--cgroup", "/tmp", "-d", "1s"], 2, "cgroup v2"),
            (["--cgroup", "/nonexistent", "-d", "1s"], 4, "there is no cgroup /nonexistent"),
            ([], 2, "-p PID")]:
        r = mpbench("trace-syscalls", *args)
        assert r.returncode == status, (args, r.stderr)
        assert len(r.stderr.splitlines()) == 1 and text in r.stderr, r.stderr
        assert r.stdout == ""


def test_process_that_dies_ends_with_the_summary():
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as p, subprocess.Popen(
            [MPBENCH, "trace-syscalls", "--json", "-i", "20ms", "-p", str(p.pid)], stdout=subprocess.PIPE, text=True) as t:
        assert t.stdout.readline()  # it counts
        p.stdin.close()
        out, _ = t.communicate(timeout=60)
    assert t.returncode == 0
    summary = json.loads(out.splitlines()[-1])
    assert summary["type"] == "summary" and summary["targets"][0]["gauges"]["threads_now"] == 0


def test_stop_while_nobody_reads(mpbench):
    """A signal that comes while a line does not fit into the pipe: the summary is written all the same."""
    with subprocess.Popen([MPBENCH, "trace-syscalls", "--json", "-i", "10ms", "-p", str(os.getpid())],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as t:
        fcntl.fcntl(t.stdout, 1031, 4096)  # F_SETPIPE_SZ
        waiting = pathlib.Path(f"/proc/{t.pid}/syscall")
        deadline = time.monotonic() + 30
        while not waiting.read_text().startswith(f"{WRITE} "):
            assert t.poll() is None and time.monotonic() < deadline
        t.send_signal(signal.SIGINT)
        out, err = t.communicate(timeout=60)
    assert t.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["type"] == "summary"


# --- privilege -------------------------------------------------------------------------------------------------------------

@pytest.fixture
def installed():
    """Copies that anybody may run; mpbench-bpf with file capabilities."""
    if os.geteuid() != 0 or shutil.which("setcap", path="/usr/sbin:/sbin:" + os.environ["PATH"]) is None:
        lacking("root and setcap are needed to give file capabilities")
    place = pathlib.Path(tempfile.mkdtemp(prefix="mpbench-test-"))
    place.chmod(0o755)
    for f in pathlib.Path(MPBENCH), HELPER, CALLS:
        shutil.copy(f, place / f.name)
    yield place
    shutil.rmtree(place)


def give_capabilities(place):
    r = subprocess.run(["setcap", "cap_bpf,cap_perfmon+ep", place / "mpbench-bpf"], capture_output=True, text=True,
                       env={**os.environ, "PATH": "/usr/sbin:/sbin:" + os.environ["PATH"]})
    if r.returncode:
        lacking(f"setcap: {r.stderr.strip()}")


def as_nobody(place, *args, **kw):
    return subprocess.run([*NOBODY, place / "mpbench", "trace-syscalls", *args], capture_output=True, text=True,
                          timeout=60, cwd="/", stdin=subprocess.DEVNULL, **kw)


def test_file_capabilities_suffice_for_own_processes(installed):
    give_capabilities(installed)
    for _ in range(3):
        document = trace(command=[installed / "calls", "fork", "8", "500"], program=installed / "mpbench",
                         prefix=NOBODY)
        assert calls_of(document)["getppid"] == 4000 and document["exact"]
    # the threads of a process that is there, and its children after the privileges are gone
    p = subprocess.Popen([*NOBODY, installed / "calls", "-w", "fork", "4", "250"], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "ready\n"
    t = subprocess.Popen([*NOBODY, installed / "mpbench", "trace-syscalls", "--json", "-i", "20ms", "-p", str(p.pid)],
                         stdout=subprocess.PIPE, text=True)
    t.stdout.readline()
    p.communicate("go\nend\n", timeout=30)
    out, _ = t.communicate(timeout=30)
    assert calls_of(json.loads(out.splitlines()[-1]))["getppid"] == 1000


def test_file_capabilities_do_not_open_the_machine(installed):
    give_capabilities(installed)
    for args in (["-p", "1"], ["--all"], ["--comm", "systemd"], ["-p", str(os.getpid())]):
        r = as_nobody(installed, *args)
        assert r.returncode == 3, (args, r.stderr)
        assert "only root" in r.stderr and len(r.stderr.splitlines()) == 1


def test_set_uid_programs_are_left(installed):
    give_capabilities(installed)
    other = installed / "root-calls"
    shutil.copy(CALLS, other)
    other.chmod(0o4755)
    if subprocess.run(["findmnt", "-no", "OPTIONS", "-T", installed], capture_output=True, text=True).stdout.find(
            "nosuid") >= 0:
        pytest.skip("the temporary directory is mounted nosuid")
    document = trace(command=["sh", "-c", f"{other} getppid 5000; true"], program=installed / "mpbench", prefix=NOBODY)
    assert calls_of(document).get("getppid", 0) < 10  # the shell's own
    assert document["targets"][0]["gauges"]["left_by_set_uid"] == 1


def test_without_capabilities_it_says_what_to_do(installed):
    r = as_nobody(installed, "-p", "1")
    assert r.returncode == 3 and f"setcap cap_bpf,cap_perfmon+ep {installed}/mpbench-bpf" in r.stderr
    assert len(r.stderr.splitlines()) == 1
    r = as_nobody(installed, "--", "true")
    assert r.returncode == 125 and "setcap" in r.stderr
    (installed / "mpbench-bpf").unlink()
    r = as_nobody(installed, "-p", "1")
    assert r.returncode == 3 and "mpbench-bpf" in r.stderr


def put_sudo(place, script):
    (place / "sudo").write_text("#!/bin/sh\n" + script)
    (place / "sudo").chmod(0o755)
    return {**os.environ, "PATH": f"{place}:{os.environ['PATH']}"}


def test_sudo_is_asked_where_the_capabilities_are_missing(installed):
    """A sudo of ours, which lets run a copy that has what the named program lacks."""
    granted = installed / "granted"
    granted.mkdir()
    granted.chmod(0o755)
    shutil.copy(HELPER, granted)
    give_capabilities(granted)
    env = put_sudo(installed, f'[ "$1 $2 $3" = "-n -- {installed}/mpbench-bpf" ] || exit 99\nshift 3\n'
                              f'exec {granted}/mpbench-bpf "$@"\n')
    r = as_nobody(installed, "--json", "--", installed / "calls", "fork", "4", "500", env=env)
    assert r.returncode == 0, r.stderr
    assert calls_of(json.loads(r.stdout)["extensions"]["trace"])["getppid"] == 2000
    # one that wants a password: what was missing is told, not what sudo says
    env = put_sudo(installed, "echo 'sudo: a password is required' >&2\nexit 1\n")
    r = as_nobody(installed, "-p", "1", env=env)
    assert r.returncode == 3 and "setcap" in r.stderr and len(r.stderr.splitlines()) == 1


def test_capabilities_that_have_no_effect_are_told(installed):
    give_capabilities(installed)
    r = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs",
                        installed / "mpbench", "trace-syscalls", "-p", "1"], capture_output=True, text=True, cwd="/")
    assert r.returncode == 3 and "no effect" in r.stderr


def test_port_of_somebody_else(installed, start):
    give_capabilities(installed)
    port = free_udp_port()
    start([ECHO, "plain", str(port)])
    wait_udp(port)
    r = as_nobody(installed, "--target-port", f"{port}/udp")
    assert r.returncode == 3 and "root" in r.stderr and "-p PID" in r.stderr


def test_privileges_are_gone_while_it_counts():
    p = subprocess.Popen([MPBENCH, "trace-syscalls", "--json", "-i", "20ms", "--", "sleep", "30"],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    p.stdout.readline()
    helper = [c for c in children_of(p.pid) if comm_of(c) == "mpbench-bpf"]
    assert len(helper) == 1
    status = pathlib.Path(f"/proc/{helper[0]}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {fields[c] for c in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert fields["NoNewPrivs"] == "1"
    assert fields["Uid"].split() == ["65534"] * 4 and fields["Groups"].strip() == ""
    p.terminate()
    p.communicate(timeout=30)


def comm_of(pid):
    return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()


def children_of(pid):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == pid:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_kernel_without_btf():
    script = f"mount --make-rprivate /sys && mount -t tmpfs none /sys/kernel/btf && exec {MPBENCH} trace-syscalls -p 1"
    r = subprocess.run(["unshare", "-m", "--propagation", "unchanged", "sh", "-c", script], capture_output=True, text=True)
    assert r.returncode == 3 and "CONFIG_DEBUG_INFO_BTF" in r.stderr and len(r.stderr.splitlines()) == 1


def test_helper_refuses_nonsense():
    for args in ([], ["1"], ["1", "9", "64", "1", "pids"], ["2", "0", "64", "1", "pids"], ["1", "0", "0", "1", "pids"],
                 ["1", "0", "64", "1", "comm:"], ["1", "0", "64", "1", "comm:" + "x" * 16], ["1", "0", "64", "2", "pids"],
                 ["1", "0", "-1", "1", "pids"], ["1", "0", "64", "1", *["pids"] * 17]):
        r = subprocess.run([HELPER, *args], capture_output=True, stdin=subprocess.DEVNULL, timeout=20)
        assert r.returncode == 2, args
        assert len(r.stdout) == 128
    good = ["1", "0", "64", "1", "pids"]
    r = subprocess.run([HELPER, *good], capture_output=True, input=b"x" * 48, timeout=20)
    assert r.returncode == 2  # no command of ours
    r = subprocess.run([HELPER, *good], capture_output=True, stdin=subprocess.DEVNULL, timeout=20)
    assert r.returncode == 0 and len(r.stdout) == 128


def programs():
    bpftool = shutil.which("bpftool", path="/usr/sbin:/sbin:" + os.environ["PATH"])
    listed = json.loads(subprocess.run([bpftool, "-j", "prog", "list"], capture_output=True, check=True).stdout)
    return [p["id"] for p in listed if p.get("name", "").startswith("on_sys_")]


def wait_for_no_programs():
    deadline = time.monotonic() + 30
    while programs():
        assert time.monotonic() < deadline, "programs stay attached"


@pytest.mark.quiet
def test_nothing_stays_attached():
    """Also when mpbench is killed in the middle or fails. The kernel frees programs a little later."""
    for args, status in [(["-p", "4194304"], 4), (["--", "/nonexistent"], 127), (["--", "/etc/passwd"], 126),
                         (["--cgroup", "/tmp", "-d", "1s"], 2), (["--", "sh", "-c", "kill -9 $$"], 137)]:
        assert subprocess.run([MPBENCH, "trace-syscalls", "-q", *args], capture_output=True).returncode == status
    wait_for_no_programs()
    for kill in (False, True):
        p = subprocess.Popen([MPBENCH, "trace-syscalls", "--json", "-i", "20ms", "-p", str(os.getpid())],
                             stdout=subprocess.PIPE, text=True)
        p.stdout.readline()
        assert programs()
        p.send_signal(signal.SIGKILL if kill else signal.SIGINT)
        p.communicate(timeout=30)
        wait_for_no_programs()


# --- in benchmarks -----------------------------------------------------------------------------------------------------------

def metrics(mpbench, tmp_path, *args):
    out = tmp_path / "bench.json"
    r = mpbench("bench-repl", "--case", "exec", "-q", "-o", out, *args)
    assert r.returncode == 0, r.stderr
    document = json.loads(out.read_text())
    return document, document["benchmarks"][0]["metrics"]


def test_bench_counts_every_call_of_the_builtin_device(mpbench, tmp_path):
    document, m = metrics(mpbench, tmp_path, "--runs", "6", "-n", "40", "--syscalls", "builtin:")
    assert document["extensions"]["syscalls"]["others_ns_per_call"] >= 0
    total = m["syscalls.total"]
    assert total["assume"] == "exact" and total["operations"] == [40] * 6
    assert len(set(total["values"])) == 1 and total["values"][0] == int(total["values"][0]) > 0
    for run in document["benchmarks"][0]["runs"]:
        assert run["syscalls"]["exact"]
        assert sum(c["calls"] for c in run["syscalls"]["calls"].values()) == total["totals"][0]
        assert run["usage"]["server"]["user_ns"] + run["usage"]["server"]["system_ns"] > 0
        assert run["usage"]["server"]["rss_peak_bytes"] > 0


def test_bench_counts_reads_and_writes_of_micropython(mpbench, tmp_path, wasm_micropython):
    """Node makes calls of its own (with more than one heap, its allocator also reads a setting at some time); what the
    device reads and writes is the same integer per operation."""
    document, m = metrics(mpbench, tmp_path, "--runs", "5", "--warmup", "100", "-n", "20", "--syscalls",
                          "exec:env MALLOC_ARENA_MAX=1 " + wasm_micropython)
    for name in ("read", "write"):
        values = m["syscalls." + name]["values"]
        counted = [v for v in values if v is not None]
        assert len(counted) >= 3
        assert len(set(counted)) == 1 and counted[0] == int(counted[0]) > 0, (name, values)


def test_bench_of_oneself_leaves_the_tracer_out(mpbench, tmp_path):
    _, m = metrics(mpbench, tmp_path, "--runs", "4", "-n", "50", "--syscalls=self", "builtin:")
    # a loaded machine can cut an answer into two reads, and memory is given back now and then
    assert min(m["syscalls.read"]["values"]) == 2
    # that is what waiting for the tracer takes
    assert "syscalls.poll" not in m and "syscalls.ppoll" not in m
    # nor is what mpbench reads about itself
    assert "syscalls.openat" not in m


def test_bench_of_a_pid(mpbench, tmp_path):
    with subprocess.Popen(["sleep", "30"]) as other:
        document, m = metrics(mpbench, tmp_path, "--runs", "2", "-n", "5", f"--syscalls=pid:{other.pid}", "builtin:")
        other.kill()
    assert m["syscalls.total"]["totals"] == [0, 0]


@pytest.mark.parametrize("choice, target, told", [
    ("port:{port}/tcp", "tftp://127.0.0.1:{port}/x", "nobody on this machine listens on port {port}/tcp; start the server first"),
    ("server", "tftp://192.0.2.1:{port}/x", "no process of this machine is known behind any target")])
def test_bench_refuses_to_begin_where_nobody_can_be_counted(mpbench, choice, target, told):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, socket.socket() as other:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        try:
            other.bind(("127.0.0.1", port))  # and does not listen; nobody else can
        except OSError:
            pass
        r = mpbench("bench-tftp", "--syscalls=" + choice.format(port=port), "--case", "read", "--timeout", "60",
                    target.format(port=port))
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.recv(1)  # nothing was asked of it
    assert (r.returncode, r.stdout) == (3, "")
    assert "--syscalls: " + told.format(port=port) in r.stderr and r.stderr.count("\n") == 1


def test_bench_names_the_owner_of_a_port_that_cannot_be_seen(installed, start):
    give_capabilities(installed)
    port = free_udp_port()
    start([ECHO, "plain", str(port)])
    wait_udp(port)
    r = subprocess.run([*NOBODY, installed / "mpbench", "bench-tftp", "--syscalls", f"tftp://127.0.0.1:{port}/x"],
                       capture_output=True, text=True, cwd="/", stdin=subprocess.DEVNULL, timeout=60)
    assert r.returncode == 3 and "root" in r.stderr and "--syscalls=pid:PID" in r.stderr


def test_bench_without_privilege(installed):
    words = [*NOBODY, installed / "mpbench", "bench-repl", "--case", "exec", "--runs", "2", "-n", "5", "--json"]
    kw = dict(capture_output=True, text=True, cwd="/", stdin=subprocess.DEVNULL, timeout=60)
    r = subprocess.run([*words, "--syscalls", "builtin:"], **kw)
    assert r.returncode == 3 and "setcap" in r.stderr and r.stdout == ""
    r = subprocess.run([*words, "--syscalls=server,auto", "builtin:"], **kw)
    assert r.returncode == 0
    document = json.loads(r.stdout)
    assert [w["code"] for w in document["warnings"]].count("syscalls") == 1
    assert document["benchmarks"][0]["runs"][0]["syscalls"] is None


@pytest.mark.parametrize("value", ["pid:0", "pid:x", "port:99999", "server,later", "nobody"])
def test_bench_option_is_checked(mpbench, value):
    r = mpbench("bench-repl", f"--syscalls={value}", "builtin:")
    assert r.returncode == 2 and "--syscalls" in r.stderr or "port" in r.stderr
