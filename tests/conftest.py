"""Fixtures of all tests of the program: mpbench itself, real peers, and the check of every document they lead to."""
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess

import pytest
from _pytest.runner import runtestprotocol

import documents
from peers.device import PtyDevice, stop
from peers.fake import Fake
from peers.ser2net import Ser2net, free_port, wait_listening

TOP = pathlib.Path(__file__).resolve().parents[1]
MPBENCH = os.path.abspath(os.environ.get("MPBENCH", TOP / "build" / "mpbench"))
PEERS = TOP / "build" / "peers"
IN_CI = os.environ.get("CI") == "true"
TEST_SECONDS, BENCH_SECONDS = 300, 3600
SOAK = float(os.environ.get("SOAK", "0.01"))

collector = documents.Collector(MPBENCH)


def lacking(reason):
    """In CI everything must be there; elsewhere a test that cannot run is a skip with its reason."""
    if IN_CI:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def fetch_peer(package, program=None):
    """The path of a program of a Debian package (or "micropython"), fetched where it is missing."""
    if not (PEERS / f"{package}.ok").exists():
        subprocess.run([TOP / "tests" / "peers.sh", package], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    why = PEERS / f"{package}.why"
    if why.exists():
        lacking(f"peer {package}: {why.read_text().strip()}")
    name = program or package
    path = PEERS / "bin" / name
    if path.exists():
        return str(path)
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if found is None:
        lacking(f"peer {package}: no program {name}")
    return found


@pytest.fixture(scope="session")
def peer():
    """peer("atftpd"), peer("tftpd-hpa", "in.tftpd"): the path of the program."""
    return fetch_peer


@pytest.fixture(scope="session")
def peer_python():
    """A Python (command as a list) that finds the modules of a fetched package: peer_python("python3-rpyc", "rpyc")."""
    def get(package, module):
        fetch_peer(package, "python3")
        python = str(PEERS / "bin" / "python3")
        tried = subprocess.run([python, "-c", f"import {module}"], capture_output=True, text=True)
        if tried.returncode:
            lacking(f"peer {package}: {tried.stderr.strip().splitlines()[-1]}")
        return [python]
    return get


@pytest.fixture(scope="session")
def mpbench():
    """mpbench("bench-repl", "builtin:"): the finished process with text output. mpbench.path is the program."""
    def run(*args, timeout=120, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw.setdefault("capture_output", True)
        return subprocess.run([MPBENCH, *map(os.fspath, args)], text=True, timeout=timeout, **kw)
    run.path = MPBENCH
    run.sanitized = "/asan/" in MPBENCH or "/tsan/" in MPBENCH
    return run


@pytest.fixture
def start():
    """start(words, ports=()): a server in a group of its own, waited for until it listens, stopped with the test."""
    running = []

    def run(words, ports=(), **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw.setdefault("stdout", subprocess.DEVNULL)
        kw.setdefault("stderr", subprocess.DEVNULL)
        process = subprocess.Popen(list(map(os.fspath, words)), start_new_session=True, **kw)
        running.append(process)
        if ports:
            wait_listening(process, ports)
        return process
    yield run
    for process in reversed(running):
        stop(process)


@pytest.fixture(scope="session")
def port():
    """port(): a TCP port on loopback that nobody has just now."""
    return free_port


def unix_micropython():
    """The unix port on PATH, where it has a raw REPL (1.27 or later), as a command; None otherwise."""
    path = shutil.which("micropython")
    if path is None:
        return None
    told = subprocess.run([path, "-c", "import sys; print(sys.implementation.version)"], capture_output=True, text=True)
    version = tuple(map(int, re.findall(r"\d+", told.stdout)[:2]))
    return path if version >= (1, 27) else None


@pytest.fixture(scope="session")
def wasm_micropython():
    """The command (one string) that runs MicroPython's WebAssembly port as a device on its standard input and output."""
    node = fetch_peer("micropython", "node")
    return shlex.join([node, str(TOP / "tests" / "peers" / "micropython.mjs")])


@pytest.fixture(scope="session", params=["wasm"] + (["unix"] if unix_micropython() else []))
def micropython(request):
    """A real MicroPython as a command for `exec:`; a test that uses it runs once for each one that is there."""
    return unix_micropython() if request.param == "unix" else request.getfixturevalue("wasm_micropython")


@pytest.fixture
def device(wasm_micropython):
    """device(): a MicroPython behind a terminal of its own, with .path (/dev/pts/N); device(command) any other."""
    made = []

    def make(command=None):
        made.append(PtyDevice(shlex.split(command or wasm_micropython)))
        return made[-1]
    yield make
    for one in made:
        one.close()


@pytest.fixture
def ser2net(tmp_path):
    """ser2net(device_path, tuned=True): Debian's ser2net with .socket and .rfc2217 URLs to that terminal. `nodelay`
    (as `tuned` is) decides about Nagle's algorithm alone."""
    program = fetch_peer("ser2net")
    made = []

    def make(path, tuned=True, nodelay=None):
        made.append(Ser2net(program, path, tmp_path, tuned, nodelay))
        return made[-1]
    yield make
    for one in made:
        one.close()


@pytest.fixture
def fake():
    """fake(serve): a server of peers.fake on a loopback port of its own, with .url()."""
    made = []

    def make(serve, rest=0.0):
        made.append(Fake(serve, rest))
        return made[-1]
    yield make
    for one in made:
        one.close()


class Netns:
    """A network namespace with only loopback, held by a process; words(...) is a command line that runs inside it."""

    def __init__(self):
        self.enter = ["--net"] if os.getuid() == 0 else ["--user", "--map-root-user", "--net"]
        self.holder = subprocess.Popen(["unshare", *self.enter, "sh", "-c", "ip link set lo up && echo up && exec cat"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       start_new_session=True)
        if self.holder.stdout.readline() != b"up\n":
            reason = self.holder.communicate()[1].decode().strip()
            lacking(f"network namespaces: {reason}")

    def words(self, *command):
        how = ["--net"] if os.getuid() == 0 else ["--user", "--preserve-credentials", "--net"]
        return ["nsenter", f"--target={self.holder.pid}", *how, "--", *map(os.fspath, command)]

    def run(self, *command, **kw):
        return subprocess.run(self.words(*command), capture_output=True, text=True, timeout=120, **kw)

    def netem(self, *how):
        """netem("delay", "10ms", "loss", "1%") on loopback."""
        done = self.run("tc", "qdisc", "replace", "dev", "lo", "root", "netem", *how)
        if done.returncode:
            lacking(f"netem: {done.stderr.strip()}")

    def close(self):
        self.holder.stdin.close()
        stop(self.holder)


@pytest.fixture
def netns():
    """netns(): a network namespace with loopback up, ended with the test."""
    made = []

    def make():
        made.append(Netns())
        return made[-1]
    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def soak():
    """soak(n): n scaled by $SOAK (1: the long run; `make check` runs a hundredth), at least one."""
    return lambda n: max(1, round(n * SOAK))


# --- documents, time limit, counts ---------------------------------------------------------------------------------

def pytest_configure(config):
    collector.watch()


def limit_of(item):
    """A soak test says with its mark how long it may take as a whole; $SOAK of that, and never less than any test."""
    if item.path.parent.name == "bench":
        return BENCH_SECONDS
    mark = item.get_closest_marker("takes")
    return max(TEST_SECONDS, round(mark.args[0] * SOAK)) if mark else TEST_SECONDS


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    seconds = limit_of(item)

    def on_alarm(*_):
        raise TimeoutError(f"the test took more than {seconds} s")
    signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(seconds)
    yield
    signal.alarm(0)


def pytest_runtest_protocol(item, nextitem):
    """A quiet test that fails is tried again, twice at most: an idle machine may still lose its processor to another."""
    if not item.get_closest_marker("quiet"):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for left in (2, 1, 0):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if left == 0 or not any(r.failed for r in reports):
            break
        item._initrequest()
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.fixture(autouse=True)
def documents_are_valid(request):
    yield
    if request.node.get_closest_marker("own_documents"):
        collector.files, collector.texts = [], []
    collector.check()


def unexercised(config):
    """Schemas that no test of a whole run over tests/cli exercised."""
    args = [os.path.abspath(a) for a in config.args]
    if str(TOP / "tests" / "cli") not in args or config.option.keyword or "quiet" in config.option.markexpr.split()[:1]:
        return []
    return [name for name in documents.schema_names() if name not in collector.exercised]


def pytest_sessionfinish(session, exitstatus):
    if exitstatus == 0 and unexercised(session.config):
        session.exitstatus = 1
    # A selection that is empty by its mark is no failure.
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.option.markexpr:
        session.exitstatus = 0


def pytest_terminal_summary(terminalreporter, config):
    stats = terminalreporter.stats
    never = unexercised(config)
    for name in never:
        terminalreporter.write_line(f"the schema {name} was never exercised by a document")
    count = os.environ.get("STAGE_COUNT")
    if not count:
        return
    skipped = stats.get("skipped", [])
    failed = len(stats.get("failed", [])) + len(stats.get("error", [])) + len(never)
    with open(count, "w") as f:
        f.write(f"{len(stats.get('passed', []))} {failed} {len(skipped)}\n")
        for report in skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            f.write(reason.removeprefix("Skipped: ").replace("\n", " ") + "\n")
