"""The project's own machinery: version, install, the layer check, the dependency check, the peers of the tests."""
import os
import pathlib
import re
import select
import shutil
import socket
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]


def make(*args, **kw):
    # The variables of an outer make are not ours.
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "STAGE_COUNT")}
    return subprocess.run(["make", "--no-print-directory", *args], cwd=TOP, env=env, capture_output=True, text=True,
                          timeout=250, **kw)


def test_version_is_what_git_describes(mpbench):
    told = mpbench("--version").stdout
    assert re.fullmatch(r"mpbench \d+\.\d+\.\d+\S*\n", told)
    if (TOP / ".git").exists():
        commit = subprocess.run(["git", "rev-parse", "--short=7", "HEAD"], cwd=TOP, capture_output=True, text=True)
        tag = subprocess.run(["git", "describe", "--tags", "--exact-match"], cwd=TOP, capture_output=True)
        assert tag.returncode == 0 or commit.stdout.strip() in told


@pytest.mark.native
def test_install_and_uninstall(tmp_path, mpbench):
    root = tmp_path / "root"
    done = make("install", f"DESTDIR={root}", "PREFIX=/usr")
    assert done.returncode == 0, done.stderr
    files = {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}
    pages = mpbench("manpage", "--list").stdout.split()
    assert {"usr/bin/mpbench", "usr/share/bash-completion/completions/mpbench", "usr/share/zsh/site-functions/_mpbench",
            "usr/share/fish/vendor_completions.d/mpbench.fish", *(f"usr/share/man/man1/{p}.1" for p in pages)} <= files
    installed = subprocess.run([root / "usr/bin/mpbench", "--version"], capture_output=True, text=True)
    assert installed.stdout == mpbench("--version").stdout
    assert all((root / f).stat().st_size > 0 for f in files)
    assert make("uninstall", f"DESTDIR={root}", "PREFIX=/usr").returncode == 0
    assert [p for p in root.rglob("*") if p.is_file()] == []


def layers(tree):
    return subprocess.run([TOP / "tests" / "layers.sh", tree], capture_output=True, text=True)


@pytest.mark.parametrize("path, code, rule", [
    ("src/base/planted.c", '#include "io/loop.h"\n', "layer base may not include io/loop.h"),
    ("src/stats/planted.c", '#include "base/err.h"\n#include "result/emit.h"\n', "layer stats may not include"),
    ("src/proto/planted.h", '#pragma once\n#include "io/chan.h"\n', "layer proto may not include"),
    ("src/measure/planted.c", '#include "peer/repl-session.h"\n', "layer measure may not include"),
    ("src/io/planted.c", '#include "proto/rawrepl.h"\n', "layer io may not include"),
    ("src/stats/planted.c", "#include <jansson.h>\n", "<jansson.h> belongs to"),
    ("src/proto/planted.c", "#include <zlib.h>\n", "<zlib.h> belongs to"),
    ("src/base/planted.c", "int f(const char *s)\n{\n\treturn atoi(s);\n}\n", "planted.c:3: atoi() is banned"),
    ("cmd/planted.c", "void f(void)\n{\n\tusleep(1);\n}\n", "usleep() is banned"),
    ("src/io/planted.c", 'void f(void)\n{\n\tprintf("x");\n}\n', "printf() belongs to cmd/"),
    ("src/result/planted.c", "void f(void)\n{\n\texit(1);\n}\n", "exit() belongs to cmd/"),
    ("src/base/planted.c", 'char *f(void)\n{\n\treturn getenv("X");\n}\n', "getenv() belongs to cmd/"),
    ("src/base/planted.c", 'void f(void)\n{\n\tfputs("x", stderr);\n}\n', "a standard stream below cmd/"),
    ("src/base/planted.c", "void f(void)\n{\n\tgoto out;\nout:\n\treturn;\n}\n", "goto"),
    ("src/base/planted.h", "int f(void);\n", "no #pragma once"),
    ("src/base/planted.c", "\n" * 701, "more than 700 lines"),
    ("src/elsewhere/planted.c", "\n", "unknown layer"),
])
def test_planted_violation_is_found(tmp_path, path, code, rule):
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(code)
    done = layers(tmp_path)
    assert done.returncode == 1
    assert rule in done.stdout and "planted" in done.stdout


def test_library_is_known_by_one_file(tmp_path):
    (tmp_path / "src" / "peer").mkdir(parents=True)
    for name in ("planted-a.c", "planted-b.c"):
        (tmp_path / "src" / "peer" / name).write_text("#include <curl/curl.h>\n")
    done = layers(tmp_path)
    assert done.returncode == 1 and "known by one file" in done.stdout


def test_comments_strings_and_members_are_no_calls(tmp_path):
    (tmp_path / "src" / "base").mkdir(parents=True)
    (tmp_path / "src" / "base" / "planted.c").write_text(
        '/* atoi(s), exit(1)\n * goto out */\nconst char *f(void)\n{\n\treturn "printf(x) goto \\" exit(1)"; // sleep(1)\n}\n'
        "int g(struct x *p)\n{\n\treturn p->exit(1) + p->ops.accept(2) + my_sleep(3);\n}\n")
    done = layers(tmp_path)
    assert (done.returncode, done.stdout) == (0, "")


def test_deps_without_root_names_the_line_to_type(tmp_path):
    """No compiler on PATH, not root: exit 3 and one line that says what to type."""
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    for tool in ("cat", "dirname", "sh", "apt-get", "mktemp"):
        (bin_dir / tool).symlink_to(shutil.which(tool))
    (bin_dir / "id").write_text("#!/bin/sh\necho 1000\n")
    (bin_dir / "id").chmod(0o755)
    done = subprocess.run([TOP / "tests" / "deps.sh", "demo"], env={"PATH": str(bin_dir)}, capture_output=True, text=True)
    assert done.returncode == 3
    assert re.search(r"^needed and not on this machine:.* gcc\b", done.stdout, re.M)
    assert re.search(r"^mpbench: .*sudo sh -c 'apt-get update && apt-get install .* gcc\b.*'$", done.stderr, re.M)
    (bin_dir / "apt-get").unlink()
    done = subprocess.run([TOP / "tests" / "deps.sh", "demo"], env={"PATH": str(bin_dir)}, capture_output=True, text=True)
    assert done.returncode == 3 and "no apt-get" in done.stderr and "gcc" in done.stderr


def test_nothing_is_missing_here():
    done = subprocess.run([TOP / "tests" / "deps.sh", "check"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


class Client:
    """Reads a stream until it ends with something."""

    def __init__(self, fd):
        self.fd = fd

    def ask(self, data, end, seconds=20):
        os.write(self.fd, data)
        got = b""
        while not got.endswith(end):
            ready, _, _ = select.select([self.fd], [], [], seconds)
            assert ready, f"no answer after {got!r}"
            more = os.read(self.fd, 65536)
            assert more, f"closed after {got!r}"
            got += more
        return got


def speak_raw_repl(fd):
    client = Client(fd)
    assert b"raw REPL; CTRL-B to exit\r\n>" in client.ask(b"\r\x03\x01", b"exit\r\n>")
    assert client.ask(b"print(6*7)\x04", b"\x04>") in (b"OK42\n\x04\x04>", b"OK42\r\n\x04\x04>")
    assert b"ZeroDivisionError" in client.ask(b"1/0\x04", b"\n\x04>")
    assert client.ask(b"\x05A\x01", b"\x01\x80\x00\x01") == b"R\x01\x80\x00\x01"
    answer = client.ask(b"x = '" + b"a" * 300 + b"'\nprint(len(x))\x04", b"\n\x04\x04>")
    assert answer.count(b"\x01") == 2 and b"\x04300" in answer
    client.ask(b"\x02", b">>> ")


def test_micropython_on_a_terminal(device):
    """The wrapper of the WebAssembly port is the peer of many tests: raw REPL, raw-paste and soft reset work."""
    port = device()
    speak_raw_repl(port.slave)
    client = Client(port.slave)
    client.ask(b"\x01", b"exit\r\n>")
    client.ask(b"y = 1\x04", b"OK\x04\x04>")
    assert client.ask(b"\x04", b"exit\r\n>").startswith(b"OK\r\nMPY: soft reboot\r\n")
    assert b"NameError" in client.ask(b"y\x04", b"\n\x04>")


@pytest.mark.parametrize("tuned", [True, False])
def test_ser2net_over_a_terminal(device, ser2net, tuned):
    server = ser2net(device().path, tuned)
    with socket.create_connection(("127.0.0.1", server.ports[0]), timeout=10) as s:
        speak_raw_repl(s.fileno())
    with socket.create_connection(("127.0.0.1", server.ports[1]), timeout=10) as s:
        assert s.recv(1) == b"\xff"


def test_namespace_is_its_own(netns):
    told = netns().run("ip", "-brief", "link")
    assert told.returncode == 0 and told.stdout.split()[0] == "lo" and len(told.stdout.splitlines()) == 1
