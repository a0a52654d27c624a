"""bench-tftp against Debian's servers and against hostile ones; serve tftp against other people's clients."""
import hashlib
import json
import math
import os
import pathlib
import re
import select
import shutil
import socket
import subprocess
import sys
import time

import pytest

from peers.tftp_server import Hostile, data, error, oack

SIZES = [0, 1, 511, 512, 513, 1 << 20]
BEYOND = 8 * 65540  # with blksize 8 more than 65,535 blocks


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    top = tmp_path_factory.mktemp("tftp")
    os.chmod(top, 0o755)
    for directory in (top, *list(top.parents)[:2]):
        if directory.stat().st_uid == os.getuid() and str(directory).startswith(("/tmp/pytest", str(top))):
            os.chmod(directory, 0o755)
    for size in [*SIZES, BEYOND, 32 << 20]:
        (top / f"f{size}").write_bytes(os.urandom(size))
    for f in top.iterdir():
        f.chmod(0o644)
    return top


@pytest.fixture
def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
def debian(peer, netns, free_udp_port, mpbench):
    """debian(name, directory, *words): bench-tftp against that server. dnsmasq has port 69 only, so it gets a network of its own."""
    def run(name, directory, *words):
        port = 69 if name == "dnsmasq" else free_udp_port
        words = [str(w).replace("tftp://server", f"tftp://127.0.0.1:{port}") for w in words]
        command = [mpbench.path, "bench-tftp", "--json", "--runs", "1", "--warmup", "0",
                   "--start", " ".join(server_command(name, peer, directory, port)), *words]
        if name == "dnsmasq":
            return netns().run(*command)
        return subprocess.run(command, capture_output=True, text=True, timeout=200)
    return run


@pytest.fixture
def hostile():
    made = []

    def make(behave):
        made.append(Hostile(behave))
        return made[-1]
    yield make
    for one in made:
        one.close()


def document(r):
    return json.loads(r.stdout)


def cells(doc):
    return doc["extensions"]["tftp"]["cells"]


def all_right(doc):
    return all(run["failed"] == 0 and run["ok"] > 0 for b in doc["benchmarks"] for run in b["runs"])


def check_hashes(doc, files):
    for cell in cells(doc):
        assert cell["sha256"] == hashlib.sha256((files / cell["file"]).read_bytes()).hexdigest(), cell


def server_command(name, peer, files, port):
    if name == "atftpd":
        return [peer("atftpd"), "--daemon", "--no-fork", "--port", str(port), "--bind-address", "127.0.0.1",
                "--user", "root.root", str(files)]
    if name == "tftpd-hpa":
        return [peer("tftpd-hpa", "in.tftpd"), "-L", "-4", "-c", "-a", f"127.0.0.1:{port}", "-u", "root", "-s", str(files)]
    return [peer("dnsmasq-base", "dnsmasq"), "-k", "--conf-file=/dev/null", "--port=0", "--enable-tftp", f"--tftp-root={files}",
            "--listen-address=127.0.0.1", "--bind-interfaces", "--user=root", "--pid-file="]


AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="Debian's TFTP servers change their root, which takes root")


@AS_ROOT
@pytest.mark.parametrize("name", ["atftpd", "tftpd-hpa", "dnsmasq"])
def test_debian_servers(name, debian, files):
    """All sizes by all options that the server has, alone and eight at once; hashes equal."""
    urls = [f"tftp://server/f{size}" for size in SIZES]
    r = debian(name, files, "-n", "2", "-b", "0,512,1428,8192,65464", "-w", "1,4,16", "-c", "1,8", "--expect", files, *urls)
    assert r.returncode == 0, r.stderr
    doc = document(r)
    assert len(doc["benchmarks"]) == len(SIZES) * 5 * 3 * 2
    assert all_right(doc)
    for cell in cells(doc):
        asked = cell["requested"].get("blksize", 512)
        assert cell["negotiated"]["blksize"] <= asked
        assert cell["negotiated"]["windowsize"] == (cell["requested"].get("windowsize", 1) if name == "atftpd" else 1)
    codes = {w["code"] for w in doc["warnings"]}
    # never a silent cell
    assert ("windowsize-not-honoured" in codes) == (name != "atftpd")
    assert ("blksize-not-honoured" in codes) == (name == "dnsmasq")


@AS_ROOT
@pytest.mark.parametrize("name", ["atftpd", "tftpd-hpa", "dnsmasq"])
def test_debian_servers_large_and_many_blocks(name, debian, files):
    for blksize, file in (("8", f"f{BEYOND}"), ("1428", f"f{32 << 20}")):
        # atftpd sends more than 65,535 blocks only to who asks for nothing but blksize; others get error 8
        windows = "1" if name == "atftpd" and blksize == "8" else "1,16"
        r = debian(name, files, "-n", "1", "--no-tsize", "-b", blksize, "-w", windows, f"tftp://server/{file}")
        assert r.returncode == 0, r.stderr
        assert all_right(document(r))
        check_hashes(document(r), files)


def free_udp6_port():
    """None where there is no IPv6."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        try:
            s.bind(("::1", 0))
        except OSError:
            return None
        return s.getsockname()[1]


@AS_ROOT
@pytest.mark.parametrize("name", ["tftpd-hpa", "dnsmasq"])
def test_debian_servers_by_ipv6(name, peer, netns, mpbench, files):
    """atftpd, bound to ::1, listens to IPv4 only; dnsmasq has port 69 only, so it gets a network of its own."""
    port = 69 if name == "dnsmasq" else free_udp6_port()
    if not free_udp6_port():
        pytest.skip("no IPv6 here")
    server = {"tftpd-hpa": [peer("tftpd-hpa", "in.tftpd"), "-L", "-6", "-a", f"[::1]:{port}", "-u", "root", "-s", str(files)],
              "dnsmasq": [w.replace("127.0.0.1", "::1") for w in server_command("dnsmasq", peer, files, 69)]}[name]
    command = [mpbench.path, "bench-tftp", "--json", "--runs", "1", "--warmup", "0", "-n", "4", "-b", "512,8192", "-w", "1,4", "-c", "1,4",
               "--start", " ".join(server), "--expect", str(files), f"tftp://[::1]:{port}/f1048576"]
    r = netns().run(*command) if name == "dnsmasq" else subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert r.returncode == 0, r.stderr
    assert all_right(document(r))


@AS_ROOT
@pytest.mark.parametrize("name,lost", [("tftpd-hpa", True), ("atftpd", False)])
def test_forgotten_cpu_time_is_told(name, lost, debian, files):
    """tftpd-hpa ignores SIGCHLD and has a child for each transfer, which lives as long as that: 34 round trips."""
    r = debian(name, files, "-n", "1", "--warmup", "0", "-b", "32768", "--rtt", "20ms", "tftp://server/f1048576")
    assert r.returncode == 0, r.stderr
    told = [w["message"] for w in document(r)["warnings"] if w["code"] == "server-cpu"]
    assert len(told) == lost
    assert not lost or "(in.tftpd) ignores SIGCHLD" in told[0]


@AS_ROOT
@pytest.mark.parametrize("name", ["atftpd", "tftpd-hpa"])
def test_put_to_debian_servers(name, debian, tmp_path):
    (tmp_path / "up").write_bytes(b"")
    (tmp_path / "up").chmod(0o666)
    tmp_path.chmod(0o777)
    r = debian(name, tmp_path, "-n", "2", "--put", "--size", "0,513,100K", "-w", "1,8", "tftp://server/up")
    assert r.returncode == 0, r.stderr
    doc = document(r)
    assert all_right(doc)
    assert all(cell["read_back"] for cell in cells(doc))


@AS_ROOT
def test_options_of_debian_servers(debian, files):
    """The capability table says what the servers do on the wire."""
    honoured = {}
    for name in ("atftpd", "tftpd-hpa", "dnsmasq"):
        r = debian(name, files, "-n", "1", "--case", "options", "tftp://server/f513")
        assert r.returncode == 0, r.stderr
        rows = document(r)["extensions"]["tftp"]["capabilities"]["t1"]
        honoured[name] = {(row["option"], row["asked"]): (row["answer"], row.get("value")) for row in rows}
    assert honoured["atftpd"]["windowsize", 64] == ("honoured", 64)
    assert honoured["tftpd-hpa"]["windowsize", 64][0] == "ignored"
    assert honoured["tftpd-hpa"]["utimeout", 100000][0] == "honoured"
    assert honoured["dnsmasq"]["timeout", 1][0] == "ignored"
    assert honoured["dnsmasq"]["blksize", 65464][0] == "changed"
    assert all(h["tsize", 0] == ("honoured", 513) for h in honoured.values())


# --- our server, other people's clients ----------------------------------------------------------------------------

@pytest.fixture(params=["", "--batch=off", "--single-port"])
def ours(request, mpbench, files, start, tmp_path):
    """(port, upload directory) of mpbench serve tftp."""
    up = tmp_path / "up"
    up.mkdir()
    read, write = os.pipe()
    words = [mpbench.path, "serve", "tftp", "--port=0", f"--ready-fd={write}", f"--allow-write={up}", files, *request.param.split()]
    if os.getuid() == 0:
        words.append("--user=root")
    start(words, pass_fds=[write])
    os.close(write)
    with os.fdopen(read) as f:
        yield int(f.readline()), up


@pytest.mark.parametrize("words", [[], ["--batch=off"], ["--single-port"], ["--host=::"]])
def test_our_server_by_ipv6(words, mpbench, files, start, tmp_path):
    """Reads, writes, windows, a late link and refusals over ::1; the server bound to it, and to all addresses."""
    if not free_udp6_port():
        pytest.skip("no IPv6 here")
    read, write = os.pipe()
    host = [] if words == ["--host=::"] else ["--host=::1"]
    user = ["--user=root"] if os.getuid() == 0 else []
    start([mpbench.path, "serve", "tftp", "--port=0", f"--ready-fd={write}", f"--allow-write={tmp_path}", "--overwrite", *words, *host, *user, files],
          pass_fds=[write])
    os.close(write)
    with os.fdopen(read) as f:
        url = f"tftp://[::1]:{int(f.readline())}"
    common = ["bench-tftp", "--json", "--runs", "1", "-n", "4"]
    for more in (["-b", "512,8192", "-w", "1,16", "-c", "1,5", "--expect", files, f"{url}/f1048576"],
                 ["--rtt", "1ms", "--loss", "1%", "--retransmit", "30ms", "--retries", "8", "--expect", files, f"{url}/f513"],
                 ["--put", "--size", "20K", "-w", "1,8", f"{url}/new"]):
        r = mpbench(*common, *more)
        assert r.returncode == 0, r.stderr
        assert all_right(document(r))
    assert sorted(f.name for f in tmp_path.iterdir() if not f.name.startswith(".upload")) == ["new"]
    r = mpbench(*common, f"{url}/missing")
    assert r.returncode == 4 and failures(document(r)) == {"server-error-1"}


def client_words(name, peer, port, remote, local, put=False):
    if name == "curl":
        url = f"tftp://127.0.0.1:{port}/{remote}"
        return ["curl", "-s", "--tftp-blksize", "1428", *(["-T", local, url] if put else ["-o", local, url])]
    if name == "atftp":
        return [peer("atftp"), "--option", "blksize 1024", "--option", "windowsize 8", "--put" if put else "--get", "-l", local,
                "-r", remote, "127.0.0.1", str(port)]
    if name == "busybox":
        return [peer("busybox"), "tftp", "-p" if put else "-g", "-b", "8192", "-l", local, "-r", remote, "127.0.0.1", str(port)]
    return [peer("tftp-hpa", "tftp"), "-m", "binary", "127.0.0.1", str(port), "-c", "put" if put else "get",
            *([local, remote] if put else [remote, local])]


@pytest.mark.parametrize("name", ["curl", "atftp", "busybox", "tftp-hpa"])
def test_clients_get_and_put(name, peer, ours, files, tmp_path):
    port, up = ours
    if name == "curl" and not shutil.which("curl"):
        pytest.skip("no curl")
    # curl 7.88 takes a size of 0 for a malformed one, from any server
    for size in [*SIZES[name == "curl":], 32 << 20]:
        got, want = tmp_path / f"got{size}", files / f"f{size}"
        subprocess.run(client_words(name, peer, port, f"f{size}", str(got)), check=True, timeout=60)
        assert got.read_bytes() == want.read_bytes(), size
        if size in (0, 32 << 20):
            continue
        subprocess.run(client_words(name, peer, port, f"up{size}", str(want), put=True), check=True, timeout=60)
        wait_for(lambda: (up / f"up{size}").exists())
        assert (up / f"up{size}").read_bytes() == want.read_bytes()


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        select.select([], [], [], 0.01)


def ask(port, packet, seconds=5):
    """The first answer to a packet, and the socket."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(seconds)
    s.sendto(packet, ("127.0.0.1", port))
    try:
        return s.recvfrom(70000)[0], s
    except OSError:
        return b"", s


@pytest.mark.parametrize("packet", [b"", b"\0", b"\0\1", b"\0\1f1", b"\0\1f1\0octet", b"\0\7f1\0octet\0", b"\0\3\0\1abc", b"\0\4\0\1",
                                    b"\0\1" + b"x" * 600 + b"\0octet\0", b"\0\1f1\0mail\0", b"\0\1../../etc/passwd\0octet\0",
                                    b"\0\1/etc/passwd\0octet\0", b"\0\2f1\0octet\0tsize\0" + b"9" * 18 + b"\0"])
def test_hostile_packets_get_an_error(packet, ours):
    port, _ = ours
    answer, s = ask(port, packet)
    s.close()
    assert answer[:2] == b"\0\5", answer
    answer, s = ask(port, b"\0\1f1\0octet\0")
    s.close()
    assert answer[:4] == b"\0\3\0\1"


def test_error_packets_are_not_answered(ours):
    port, _ = ours
    answer, s = ask(port, b"\0\5\0\0hello\0", seconds=0.2)
    s.close()
    assert answer == b""


def test_abandoned_transfers_free_their_slots(mpbench, files, start):
    """10,000 clients that ask and go: with their port closed, and silent ones. Then all slots are free again."""
    read, write = os.pipe()
    start([mpbench.path, "serve", "tftp", "--port=0", f"--ready-fd={write}", "--max-transfers=64", "--timeout=20ms", "--retries=1",
           *(["--user=root"] if os.getuid() == 0 else []), files], pass_fds=[write])
    os.close(write)
    with os.fdopen(read) as f:
        port = int(f.readline())
    for i in range(10000):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.sendto(b"\0\1f1048576\0octet\0blksize\0001428\0", ("127.0.0.1", port))
        s.close()
        if i % 50 == 49:
            # not faster than the server reads: a request that the kernel drops abandons nothing
            ask(port, b"\0\5", seconds=0)[1].close()
    silent = [ask(port, b"\0\1f1048576\0octet\0", seconds=0.0001)[1] for _ in range(200)]

    def all_free():
        many = [ask(port, b"\0\1f513\0octet\0", seconds=2) for _ in range(40)]
        for _, s in many:
            s.close()
        return all(answer[:4] == b"\0\3\0\1" for answer, _ in many)
    wait_for(all_free)
    for s in silent:
        s.close()


def test_drops_root_and_keeps_names_inside(mpbench, tmp_path, start):
    if os.getuid() != 0:
        pytest.skip("takes root to be dropped")
    root = tmp_path / "root"
    root.mkdir()
    (root / "open").write_bytes(b"open")
    (root / "private").write_bytes(b"private")
    (root / "private").chmod(0o600)
    (root / "out").symlink_to("/etc/passwd")
    read, write = os.pipe()
    server = start([mpbench.path, "serve", "tftp", "--port=0", f"--ready-fd={write}", root], pass_fds=[write])
    os.close(write)
    with os.fdopen(read) as f:
        port = int(f.readline())
    status = pathlib.Path(f"/proc/{server.pid}/status").read_text()
    assert re.search(r"^Uid:\s+65534\s+65534\s+65534", status, re.M)
    assert re.search(r"^CapEff:\s+0+$", status, re.M)
    for name, start_of in ((b"open", b"\0\3\0\1open"), (b"private", b"\0\5\0\2"), (b"out", b"\0\5\0\2")):
        answer, s = ask(port, b"\0\1" + name + b"\0octet\0")
        s.close()
        assert answer.startswith(start_of), name


# --- hostile servers -----------------------------------------------------------------------------------------------

def bench(mpbench, url, *more):
    return mpbench("bench-tftp", "--json", "--runs", "2", "-n", "2", "--warmup", "0", "--retransmit", "30ms", "--retries", "2",
                   *more, url)


def failures(doc):
    return {word for b in doc["benchmarks"] for run in b["runs"] for word in run["errors"]}


def lockstep(content):
    def behave(request, answer, hear, number):
        for block in range(len(content) // 512 + 1):
            answer(data(block + 1, content[block * 512:block * 512 + 512]))
            if hear()[:2] != b"\0\4":
                return
    return behave


def test_a_server_that_is_right_passes(mpbench, hostile):
    r = bench(mpbench, hostile(lockstep(b"x" * 5000)).url())
    assert r.returncode == 0 and all_right(document(r))
    assert {w["code"] for w in document(r)["warnings"]} >= {"blksize-not-honoured"}


def mute(request, answer, hear, number):
    pass


def gone(request, answer, hear, number):
    answer(error(1, b"no such \x1b[31mthing"))


def open_ended(request, answer, hear, number):
    answer(error(2, b"no NUL here", b""))


def greedy(request, answer, hear, number):
    answer(oack(blksize=65464))


def unasked(request, answer, hear, number):
    answer(oack(foo_blksize_bar=1024))


def short(request, answer, hear, number):
    answer(oack(tsize=5000))
    hear()
    answer(data(1, b"x" * 100))


def stalled(request, answer, hear, number):
    answer(data(1, b"x" * 512))
    # its port stays open: a closed one would be told by ICMP
    while hear():
        pass


def garbage(request, answer, hear, number):
    answer(oack(blksize=512))
    for _ in range(20):
        answer(b"\0\3\0")
    # its port stays open: what a closed one tells by ICMP comes before what was sent
    while hear():
        pass


def writer(request, answer, hear, number):
    answer(b"\0\4\0\0")


def endless(request, answer, hear, number):
    """More and more blocks, far beyond the size that was announced."""
    answer(oack(tsize=600))
    block = 0
    while hear()[:2] == b"\0\4":
        block += 1
        answer(data(block, b"x" * 512))
        if block > 200:
            return


@pytest.mark.parametrize("behave,word", [
    (mute, "no-reply"), (gone, "server-error-1"), (open_ended, "server-error-2"), (greedy, "option-refused"),
    (unasked, "option-refused"), (short, "short"), (stalled, "stalled"), (garbage, "malformed"), (writer, "malformed"),
    (endless, "long")])
def test_hostile_servers_are_classed(behave, word, mpbench, hostile):
    server = hostile(behave)
    r = bench(mpbench, server.url())
    assert r.returncode == 4, r.stderr
    assert failures(document(r)) == {word}
    assert document(r)["status"] == "failed"
    assert "\x1b" not in r.stderr
    assert not any("throughput" in b["metrics"] and any(v for v in b["metrics"]["throughput"]["values"])
                   for b in document(r)["benchmarks"])


def test_content_that_changes_is_corrupt_and_no_success(mpbench, hostile):
    def behave(request, answer, hear, number):
        lockstep(b"x" * 1000 if number == 0 else b"x" * 700 + b"y" + b"x" * 299)(request, answer, hear, number)
    r = bench(mpbench, hostile(behave).url())
    assert r.returncode == 4
    assert failures(document(r)) == {"corrupt"}
    assert "byte 700 is wrong" in json.dumps(document(r))


def test_expect_names_what_must_come(mpbench, hostile, tmp_path):
    content = b"0123456789" * 200
    (tmp_path / "file").write_bytes(content)
    (tmp_path / "other").write_bytes(content + b"!")
    url = hostile(lockstep(content)).url()
    good = hashlib.sha256(content).hexdigest()
    for expect, status in ((tmp_path / "file", 0), (tmp_path, 0), (good, 0), (good.upper(), 0), (tmp_path / "other", 4), ("0" * 64, 4),
                           (tmp_path / "missing", 2)):
        assert bench(mpbench, url, "--expect", expect).returncode == status, expect


def test_strangers_are_refused_and_do_no_harm(mpbench, hostile):
    """Every block comes a second time, wrong, from another port."""
    seen = []

    def behave(request, answer, hear, number):
        content = b"right" * 300
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            other.settimeout(2)
            for block in range(len(content) // 512 + 1):
                answer(data(block + 1, content[block * 512:block * 512 + 512]))
                packet = hear()
                if packet[:2] != b"\0\4":
                    return
                if block == 0:
                    other.sendto(data(2, b"wrong" * 100), behave.client)
                    try:
                        seen.append(other.recvfrom(600)[0])
                    except OSError:
                        pass
    server = hostile(behave)
    original = server.transfer

    def transfer(packet, client, number):
        behave.client = client
        original(packet, client, number)
    server.transfer = transfer
    r = bench(mpbench, server.url())
    assert r.returncode == 0, r.stderr
    assert all_right(document(r))
    assert seen and all(s[:4] == b"\0\5\0\5" for s in seen)
    assert sum(c["counts"]["foreign_tid"] for c in cells(document(r))) > 0


def test_closed_port_is_unreachable(mpbench, free_udp_port):
    r = bench(mpbench, f"tftp://127.0.0.1:{free_udp_port}/x")
    assert r.returncode == 4
    assert failures(document(r)) == {"unreachable"}


def test_usage(mpbench):
    for words in (["tftp://127.0.0.1/"], ["http://127.0.0.1/x"], ["-b", "7", "builtin:"], ["-w", "0", "builtin:"],
                  ["--profile", "amiga"], ["--profile", "ipxe", "-b", "512"], ["--loss", "2"], ["--script-in", "eat:3"],
                  ["--case", "reed"], ["builtin:?bach=on"], ["--find-max=most"], ["--max-p99", "1ms"], ["--find-max", "--rate", "5"]):
        r = mpbench("bench-tftp", *words)
        assert r.returncode == 2, (words, r.stderr)
        assert r.stderr.startswith("mpbench bench-tftp: ") and r.stderr.count("\n") == 1


# --- the builtin target --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("words", [
    ["--case", "read,request,write,options"], ["--case", "storm", "-c", "20"], ["--profile", "ipxe,uefi,u-boot,shim,grub,winpe"],
    ["-b", "512,1428", "-w", "1,16", "-c", "1,4"], ["--netascii", "--size", "20K"], ["--case", "request", "--rate", "200", "-c", "4"],
    ["builtin:?single-port=yes", "b=builtin:?batch=off", "--size", "100K", "-c", "5"],
    ["--rollover", "1", "-b", "8", "--size", "530K", "--runs", "1", "-n", "1", "--warmup", "0"],
    ["--spin", "--case", "read,write", "--size", "1M", "-b", "512", "-w", "1,4"], ["--threads", "2", "-c", "6", "--case", "request"],
    ["--case", "request", "--find-max", "--max-p99", "10s", "-c", "8"],
    ["--case", "request", "--find-max=rate", "--rate", "100"]])
def test_builtin(words, mpbench):
    r = mpbench("bench-tftp", "--json", "--runs", "2", "-n", "4", *words)
    assert r.returncode == 0, r.stderr
    assert all_right(document(r))
    for cell in cells(document(r)):
        for option in ("blksize", "windowsize"):
            if option in cell["requested"] and cell["counts"]["transfers"]:
                assert cell["negotiated"][option] == cell["requested"][option]
        assert cell["counts"]["rxq_drops"] == 0


def limited_server(mpbench, files, limit):
    return " ".join([mpbench.path, "serve", "tftp", "--port={port}", f"--max-transfers={limit}", *(["--user=root"] if os.getuid() == 0 else []),
                     str(files)])


@pytest.mark.parametrize("limit", [1, 5, 37])
def test_find_max_clients(limit, mpbench, files, free_udp_port):
    """The server takes so many at once and not one more; all clients of a storm begin together."""
    r = mpbench("bench-tftp", "--json", "--runs", "2", "--warmup", "0", "--case", "storm", "--find-max", "--max-errors", "0",
                "--start", limited_server(mpbench, files, limit).format(port=free_udp_port),
                f"tftp://127.0.0.1:{free_udp_port}/f{BEYOND}", "--timeout", "60s")
    assert r.returncode == 0, r.stderr
    doc = document(r)
    found = cells(doc)[0]["search"]
    assert found["what"] == "clients"
    assert limit - limit // 20 <= found["best"] <= limit < found["beyond"]
    tried = {s["value"]: s for s in found["steps"]}
    assert tried[found["best"]]["stands"] and tried[found["best"]]["failed"] == 0
    assert not tried[found["beyond"]]["stands"] and tried[found["beyond"]]["failed"] > 0
    assert doc["benchmarks"][0]["params"]["concurrency"] == found["best"]
    assert all_right(doc)
    assert [f["remedy"] for f in doc["findings"] if f["code"] == "tftp-find-max"] == [f"the most is {found['best']} clients"]


def test_find_max_rate(mpbench):
    """Four clients, each two round trips of 5 ms (a request, the ACK of its options) a file: no more than 400 a second. The last of
    41 files comes in the eleventh round of 10 ms, the first one's time is not counted and 95 % will do: 431 a second at most."""
    r = mpbench("bench-tftp", "--json", "--runs", "1", "-n", "41", "--warmup", "0", "--case", "request", "-c", "4", "--rtt", "5ms",
                "--find-max=rate", "--rate", "1000")
    assert r.returncode == 0, r.stderr
    doc = document(r)
    found = cells(doc)[0]["search"]
    assert 1 <= found["best"] <= 432 and found["beyond"] <= 512
    assert doc["benchmarks"][0]["params"]["rate"] == found["best"]


def test_find_max_of_nothing(mpbench, free_udp_port):
    r = mpbench("bench-tftp", "--json", "--runs", "1", "--find-max", "--case", "request", f"tftp://127.0.0.1:{free_udp_port}/x")
    assert r.returncode == 4
    found = cells(document(r))[0]["search"]
    assert found["best"] is None and found["beyond"] == 1


def test_loss_is_within_binomial_bounds_and_harmless(mpbench):
    r = mpbench("bench-tftp", "--json", "--runs", "2", "-n", "5", "--size", "200K", "-b", "512", "-w", "4", "--loss", "2%",
                "--dup", "1%", "--retransmit", "20ms", "--retries", "8", "--seed", "7")
    assert r.returncode == 0, r.stderr
    assert all_right(document(r))
    link = cells(document(r))[0]["impairment"]
    for way in ("out", "in"):
        n, p = link[way]["seen"], 0.02
        assert n > 400
        assert abs(link[way]["dropped"] - n * p) < 5 * math.sqrt(n * p * (1 - p))


def test_a_script_loses_just_that_packet(mpbench):
    r = mpbench("bench-tftp", "--json", "--runs", "1", "-n", "1", "--warmup", "0", "--size", "5K", "-b", "512",
                "--script-in", "drop:4", "--retransmit", "600ms")
    assert r.returncode == 0, r.stderr
    cell = cells(document(r))[0]
    transfers = cell["counts"]["transfers"]
    assert cell["impairment"]["in"]["dropped"] == transfers
    assert cell["counts"]["timeouts"] >= transfers


def test_rtt_is_never_shorter_than_asked(mpbench):
    r = mpbench("bench-tftp", "--json", "--runs", "1", "-n", "2", "--warmup", "0", "--size", "20K", "-b", "1428", "--rtt", "10ms")
    assert r.returncode == 0, r.stderr
    # the request, the ACK of the options, an ACK for every block but the last: 16 exchanges
    assert document(r)["benchmarks"][0]["runs"][0]["distributions"]["latency"]["min"] >= 16 * 10e6 - 16 * 60e3


@pytest.mark.quiet
def test_rtt_is_accurate(mpbench):
    r = mpbench("bench-tftp", "--json", "--runs", "3", "-n", "5", "--size", "20K", "-b", "1428", "--rtt", "10ms")
    assert r.returncode == 0, r.stderr
    # What the machine adds (its server's turn, late wake-ups) differs from transfer to transfer, the delay does not.
    fastest = [run["distributions"]["latency"]["min"] for run in document(r)["benchmarks"][0]["runs"]]
    assert sorted(fastest)[1] == pytest.approx(16 * 10e6, rel=0.02)


def test_batch_on_and_off_by_counts(mpbench):
    """What the server asks of the kernel, exactly: 2,049 blocks of 512 bytes in windows of 16."""
    r = mpbench("bench-tftp", "--json", "--runs", "3", "-n", "3", "on=builtin:", "off=builtin:?batch=off", "--case", "read", "-b", "512",
                "-w", "16", "--syscalls=server,auto")
    assert r.returncode == 0, r.stderr
    metrics = {b["target"]: b["metrics"] for b in document(r)["benchmarks"]}
    if "syscalls.total" not in metrics["off"]:
        pytest.skip("system calls cannot be counted here")
    off = {k: v["summary"]["median"] for k, v in metrics["off"].items() if k.startswith("syscalls.")}
    on = {k: v["summary"]["median"] for k, v in metrics["on"].items() if k.startswith("syscalls.")}
    # the same for each block, and how many datagrams a call took
    for way in ("on", "off"):
        each = metrics[way]["calls_per_block"]["summary"]["median"]
        assert each == pytest.approx(metrics[way]["syscalls.total"]["summary"]["median"] / 2049, rel=1e-3)
    # a message holds a whole window, which the kernel cuts
    assert metrics["on"]["sendmmsg.batch"]["summary"]["median"] >= 1
    # OACK and 2,049 blocks, one by one
    assert off["syscalls.sendto"] == 2050
    assert "syscalls.sendmmsg" not in off and "syscalls.recvmmsg" not in off
    assert on["syscalls.sendmmsg"] <= 129 and on["syscalls.sendto"] <= 2
    assert on["syscalls.total"] < off["syscalls.total"] / 4


@pytest.mark.parametrize("how,evidence,remedy", [("spin", "recvmmsg calls failed", "non-blocking"), ("hold", "had to repeat", "MSG_WAITFORONE")])
def test_a_useless_recvmmsg_is_a_finding(how, evidence, remedy, mpbench):
    script = pathlib.Path(__file__).parents[1] / "peers" / "recvmmsg_server.py"
    server = subprocess.Popen([sys.executable, script, how], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    try:
        port, pid = server.stdout.readline().split()
        r = mpbench("bench-tftp", "--json", "--runs", "2", "-n", "20", "--case", "request", "--no-tsize", "-b", "0", "--retransmit", "50ms",
                    f"--syscalls=pid:{pid},auto", f"tftp://127.0.0.1:{port}/small")
    finally:
        server.kill()
        server.communicate()
    assert r.returncode == 0, r.stderr
    doc = document(r)
    if "syscalls.total" not in doc["benchmarks"][0]["metrics"]:
        pytest.skip("system calls cannot be counted here")
    found = [f for f in doc["findings"] if f["code"] == "tftp-recvmmsg"]
    assert len(found) == 1 and evidence in found[0]["evidence"] and remedy in found[0]["remedy"], found


def test_no_file_is_left_behind(mpbench, tmp_path):
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    assert mpbench("bench-tftp", "--runs", "1", "-n", "1", "--put", env=env).returncode == 0
    assert list(tmp_path.iterdir()) == []


# --- the relay -----------------------------------------------------------------------------------------------------

@pytest.fixture
def relay(mpbench):
    """relay(port, *words): (its port, stop), where stop() gives the counts of the two ways."""
    running = []

    def make(port, *words):
        p = subprocess.Popen([mpbench.path, "relay", "--listen=0", f"--to=127.0.0.1:{port}", *words], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        running.append(p)
        at = int(p.stderr.readline().rsplit(":", 1)[1])

        def stop():
            p.terminate()
            out = p.communicate(timeout=20)[0]
            rows = [dict((k, int(v)) for v, k in re.findall(r"(\d+) (\w+)", line)) for line in out.splitlines()]
            return rows[0], rows[1], rows[2]
        return at, stop
    yield make
    for p in running:
        p.kill()
        p.communicate()


@pytest.mark.parametrize("name", ["curl", "atftp", "busybox", "tftp-hpa"])
def test_clients_through_the_relay(name, peer, ours, relay, files, tmp_path):
    at, stop = relay(ours[0], "--tftp", "--rtt=1ms")
    for size in (1, 512, 1 << 20):
        got = tmp_path / f"relayed{size}"
        subprocess.run(client_words(name, peer, at, f"f{size}", str(got)), check=True, timeout=100)
        assert got.read_bytes() == (files / f"f{size}").read_bytes()
    total, up, down = stop()
    assert total["sessions"] >= 1 and total["foreign"] == 0
    assert up["dropped"] == down["dropped"] == 0
    assert up["passed"] + up["held"] == up["packets"] and down["passed"] + down["held"] == down["packets"]


def test_relay_script_drops_that_packet(mpbench, ours, relay):
    at, stop = relay(ours[0], "--tftp", "--script-in=drop:3")
    r = mpbench("bench-tftp", "--json", "--runs", "1", "-n", "2", "--warmup", "0", "-b", "512", "--retransmit", "600ms",
                f"tftp://127.0.0.1:{at}/f1048576")
    assert r.returncode == 0, r.stderr
    assert all_right(document(r))
    total, _, down = stop()
    assert down["dropped"] == total["sessions"] == 3


def test_relay_usage(mpbench):
    for words in ([], ["--listen=1"], ["--listen=0", "--to=nowhere"], ["--listen=0", "--to=127.0.0.1:99999"],
                  ["--listen=0", "--to=127.0.0.1:1", "--loss=2"], ["--listen=0", "--to=127.0.0.1:1", "--script-in=eat:1"]):
        assert mpbench("relay", *words).returncode == 2, words
