"""bench-repl against devices and servers that misbehave: a clear line or a counted failure, in bounded time and memory."""
import json
import signal
import socket
import subprocess

import pytest

from peers import fake as fakes

TIMEOUT = ["--timeout", "300ms", "--option-timeout", "300ms"]
# Opening a device is given five seconds even where --timeout is shorter; beyond that comes only what a slow machine adds.
WALL_SECONDS = 30
MEMORY = 64 << 20


@pytest.fixture
def suffer(mpbench, tmp_path):
    """suffer(target, ...): (error line, document) of a run that must fail with exit 4 in bounded time and memory."""
    def run(target, *args):
        path = tmp_path / "r.json"
        errors = open(tmp_path / "stderr", "w+")
        process = subprocess.Popen([mpbench.path, "bench-repl", *TIMEOUT, "--runs", "1", "-n", "2", "--warmup", "0", "-q",
                                    "-o", path, *args, target], stdin=subprocess.DEVNULL, stderr=errors)
        signal.setitimer(signal.ITIMER_REAL, WALL_SECONDS)
        try:
            process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        errors.seek(0)
        lines = errors.read().splitlines()
        assert process.returncode == 4, lines
        document = json.loads(path.read_text())
        peak = max(r["usage"]["client"]["rss_peak_bytes"] for b in document["benchmarks"] for r in b["runs"])
        # Sanitizers reserve memory of their own.
        assert mpbench.sanitized or 0 < peak < MEMORY
        assert document["status"] == "failed" and document["error"]["kind"] == "target"
        assert document["error"]["message"] in lines[-1]
        return lines[-1], document
    return run


def errors_of(document):
    return [set(r["errors"]) for b in document["benchmarks"] for r in b["runs"]]


BUILTIN = [("silent", "timeout", 'waiting for the prompt ">>> "'),
           ("garbage", "desync", "out of step"),
           ("half", "timeout", "the end of the program's output"),
           ("endless", "timeout", "the end of the program's output"),
           ("eof", "desync", "does the program print 0x04?"),
           ("no-raw", "timeout", "raw REPL"),
           ("raise", "remote-error", "RuntimeError: the builtin device was told to raise")]


@pytest.mark.parametrize("fault, code, says", BUILTIN, ids=[b[0] for b in BUILTIN])
def test_faults_of_a_spawned_device(suffer, fault, code, says):
    line, document = suffer(f"builtin:?fault={fault}", "--case", "exec")
    assert document["error"]["code"] == code and says in line and "repl.exec on t1" in line
    assert errors_of(document) == [{code}]


@pytest.mark.parametrize("fault, code, says", BUILTIN[1:5], ids=[b[0] for b in BUILTIN[1:5]])
def test_faults_of_a_device_behind_a_socket(suffer, fake, mpbench, fault, code, says):
    server = fake(fakes.device(mpbench.path, "--fault", fault))
    line, document = suffer(server.url(), "--case", "exec")
    assert document["error"]["code"] == code and says in line


def test_what_works_is_measured_all_the_same(mpbench, tmp_path):
    """One case fails, the others are whole: the document has them, the exit status tells."""
    path = tmp_path / "r.json"
    done = mpbench("bench-repl", "--case", "raw-enter,exec", "--runs", "2", "-n", "2", "-o", path, *TIMEOUT,
                   "good=builtin:", "bad=builtin:?fault=raise")
    assert done.returncode == 4
    runs = {(b["name"], b["target"]): [r["status"] for r in b["runs"]]
            for b in json.loads(path.read_text())["benchmarks"]}
    assert runs.pop(("repl.exec", "bad")) == ["failed"] * 2
    assert set(runs) == {("repl.raw-enter", "good"), ("repl.raw-enter", "bad"), ("repl.exec", "good")}
    assert all(status == ["ok"] * 2 for status in runs.values())


@pytest.mark.parametrize("command, says", [
    ("true", "true "), ("echo no device here", 'it said "no device here'), ("sh -c 'exit 7'", "exit status 7"),
    ("sh -c 'kill -9 $$'", "SIGKILL"), ("cat /dev/zero", "waiting for the prompt"), ("cat /dev/urandom", "waiting for the prompt")])
def test_commands_that_are_no_device(suffer, command, says):
    line, document = suffer(f"exec:{command}", "--case", "exec")
    # The terminal is gone a moment before the process can be asked how it ended.
    assert says in line or "closed its terminal" in line
    assert document["error"]["code"] == ("timeout" if command.startswith("cat") else "closed")


def test_command_that_cannot_be_run(suffer):
    line, document = suffer("exec:/does/not/exist --here", "--case", "exec")
    assert "/does/not/exist" in line


def test_device_that_ends_in_the_middle(suffer):
    """Its terminal is closed (EIO) while an answer is due."""
    line, document = suffer("builtin:?drop-after=180", "--case", "upload")
    assert document["error"]["code"] == "closed" and "ended" in line or "closed its terminal" in line


def test_refused(suffer, port):
    line, document = suffer(f"socket://127.0.0.1:{port()}", "--case", "connect,exec")
    assert document["error"]["code"] == "refused" and "refused" in line.lower()


def test_unknown_host(suffer):
    line, document = suffer("socket://no-such-host.invalid:2217", "--case", "exec")
    assert "no-such-host.invalid" in line


def test_connection_that_is_never_accepted(suffer):
    """A full backlog: the kernel drops what asks for a connection."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        for _ in range(2):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(listener.getsockname())
            waiting.append(s)
        line, document = suffer(f"socket://127.0.0.1:{listener.getsockname()[1]}", "--case", "connect,exec")
        for s in waiting:
            s.close()
    assert document["error"]["code"] == "timeout"
    assert "did not accept the connection" in line


@pytest.mark.parametrize("name, code, says", [
    ("silent", "timeout", "no answer while waiting for"), ("hangs_up", "closed", "closed the connection")])
def test_servers_without_a_device(suffer, fake, name, code, says):
    line, document = suffer(fake(getattr(fakes, name)).url(), "--case", "exec")
    assert document["error"]["code"] == code and says in line


def test_flood_instead_of_a_prompt(suffer, fake):
    line, document = suffer(fake(fakes.says(b"\x00\xff garbage \x01\x04 and no prompt\r\n" * 400, again=True)).url(),
                            "--case", "exec")
    assert document["error"]["code"] in ("timeout", "desync")


def test_rfc2217_server_that_never_answers(suffer, fake):
    line, document = suffer(fake(fakes.silent).url("rfc2217"), "--case", "negotiate,exec", "--option-timeout", "150ms")
    assert "within 150 ms" in line and "the server sent nothing" in line


def test_telnet_server_without_com_port(suffer, fake):
    line, document = suffer(fake(fakes.refuses_com_port).url("rfc2217"), "--case", "negotiate,exec")
    assert document["error"]["code"] == "refused" and "refuses serial port control" in line


def test_rfc2217_server_that_floods(suffer, fake):
    suffer(fake(fakes.says(b"\xff\xfa\x2c" + b"\x65" * 3000, again=True)).url("rfc2217"), "--case", "negotiate,exec")


def test_builtin_query_that_means_nothing_is_a_usage_error(mpbench):
    for query in ("fault=wild", "nothing=1", "window=x"):
        r = mpbench("bench-repl", "--case", "exec", f"builtin:?{query}")
        assert r.returncode == 2 and f"builtin:?{query}" in r.stderr


def test_silent_target_is_given_up(mpbench):
    """With -n there is no pilot: after some runs of nothing but time-outs the remaining cases are not tried."""
    r = mpbench("bench-repl", "--json", "-n", "2", "--runs", "3", "--timeout", "100ms", "--case", "exec,print,upload,download",
                "builtin:?fault=silent")
    assert r.returncode == 4
    assert [b["name"] for b in json.loads(r.stdout)["benchmarks"]] == ["repl.exec", "repl.print"]
