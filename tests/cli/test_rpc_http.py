"""bench-rpc over HTTP: Debian's nginx plain and TLS, a threaded Flask, mpbench serve http, and hostile servers."""
import json
import re
import signal
import subprocess

import pytest

from conftest import TOP, fetch_peer
from peers.device import stop
from peers.nginx import Nginx
from peers.ser2net import free_port, wait_listening

FEW = ["--runs", "2", "-n", "6", "--warmup", "1", "--no-floor"]


@pytest.fixture(scope="module")
def nginx(tmp_path_factory):
    one = Nginx(fetch_peer("nginx-light", "nginx"), tmp_path_factory.mktemp("nginx"), keepalive=4)
    yield one
    one.close()


@pytest.fixture(scope="module")
def flask(peer_python):
    number = free_port()
    process = subprocess.Popen([*peer_python("python3-flask", "flask"), TOP / "tests" / "peers" / "flask_service.py", str(number)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_listening(process, [number], seconds=60)
        yield f"http://127.0.0.1:{number}"
    finally:
        stop(process)


@pytest.fixture
def bench(mpbench):
    """bench(...): the document of bench-rpc, which must end with `status`."""
    def run(*arguments, status=0, few=FEW):
        done = mpbench("bench-rpc", *few, "--json", "-q", *arguments)
        assert done.returncode == status, done.stderr
        document = json.loads(done.stdout)
        document["stderr"] = done.stderr
        return document
    return run


def case(document, name, target=None, **params):
    """The one benchmark of that name, target and parameters."""
    found = [b for b in document["benchmarks"] if b["name"] == f"rpc.{name}" and target in (None, b["target"]) and
             all(b["params"].get(k) == v for k, v in params.items())]
    assert len(found) == 1, [(b["name"], b["params"]) for b in found]
    return found[0]


def total(benchmark, key):
    return sum(r[key] for r in benchmark["runs"])


def errors(document, name, **params):
    b = case(document, name, **params)
    return b["runs"][0]["errors"]


ALL = "connect,ready,ping,echo,upload,download,transfer,concurrent,reuse"


@pytest.mark.parametrize("engine", ["fast", "curl"])
def test_every_case_against_flask(engine, flask, bench):
    d = bench("--case", ALL, "--size", "0,1,300K", "--chunk", "0,64K", "-c", "3", "--engine", engine, flask)
    assert d["targets"][0]["identity"]["server"].startswith("Werkzeug/")
    assert d["targets"][0]["identity"]["engine"] == engine
    for b in d["benchmarks"]:
        assert total(b, "failed") == 0 and total(b, "ok") == 12, (b["name"], b["runs"])
    # Werkzeug closes after every answer, so "kept" connections are new ones, and the document says so
    ping = case(d, "ping")
    assert ping["metrics"]["connections.opened"]["values"] == [6, 6] or engine == "fast"
    assert "connections.reused" not in ping["metrics"]
    assert case(d, "transfer", size=307200, chunk=65536)["metrics"]["wire.requests"]["values"] == [5, 5]
    assert case(d, "upload", size=307200)["metrics"]["throughput"]["values"][0] > 0


@pytest.mark.parametrize("engine", ["fast", "curl"])
def test_calls_with_method_body_and_headers(engine, flask, bench, tmp_path):
    (tmp_path / "body").write_text("hello")
    common = ["--engine", engine, "--header", "X-Word: w"]
    d = bench("--call", "compute", "--arg", "1000", "--expect", "332833500", flask)
    assert total(case(d, "call", call="compute"), "failed") == 0
    d = bench("--call", "/said?q=1", "--method", "PUT", "--body", f"@{tmp_path}/body", "--expect", "PUT w hello 1", *common, flask)
    assert case(d, "call")["runs"][0]["failed"] == 0
    d = bench("--call", "said", "--arg", "q=a b&c", "--body", "x", "--expect", "POST w x a b&c", *common, flask)
    assert case(d, "call")["runs"][0]["failed"] == 0
    d = bench("--call", "said", "--body", "x", "--expect", "another", *common, flask, status=4)
    assert errors(d, "call") == {"corrupt": 6}
    d = bench("--call", "compute", "--arg", "2", "--against", "/ping", flask)
    assert total(case(d, "against"), "failed") == 0


def test_statuses_are_failures_by_name(flask, bench):
    d = bench("--call", "nowhere", flask, status=4)
    assert errors(d, "call") == {"http-404": 6}
    assert "status 404 for GET http://127.0.0.1" in d["stderr"]
    d = bench("--call", "ping", "--method", "DELETE", flask, status=4)
    assert errors(d, "call") == {"http-405": 6}


@pytest.mark.parametrize("engine", ["fast", "curl"])
def test_pages_of_nginx(engine, nginx, bench):
    d = bench("--engine", engine, f"plain={nginx.plain}/", f"tls={nginx.tls}/", "--cacert", nginx.cert, "--case",
              "connect,ready,ping,concurrent,reuse", "-c", "8")
    assert {t["identity"]["protocol"] for t in d["targets"]} == {"HTTP/1.1"}
    assert {b["name"] for b in d["benchmarks"]} == {f"rpc.{n}" for n in ("connect", "ready", "ping", "concurrent", "reuse")}
    for b in d["benchmarks"]:
        assert total(b, "failed") == 0, (b["name"], b["runs"])
    ready = case(d, "ready", "tls")["metrics"]
    assert ready["phase.tls.median"]["values"][0] > 0 and "phase.tls.median" not in case(d, "ready", "plain")["metrics"]
    # six operations of a run: a connection serves four requests of this server
    kept = case(d, "reuse", "tls", connection="kept")["metrics"]
    assert all(v >= 3 for v in kept["connections.reused"]["values"])
    new = case(d, "reuse", "tls", connection="new")["metrics"]
    assert new["connections.opened"]["values"] == [6, 6] and "connections.reused" not in new
    assert case(d, "concurrent", "plain")["metrics"]["fairness"]["values"] != []


def test_http2_by_libcurl(nginx, bench):
    d = bench("--engine", "curl", "--http", "2", "--cacert", nginx.cert, "--case", "ready,ping,concurrent", "-c", "4", f"{nginx.tls}/1m")
    assert d["targets"][0]["identity"]["protocol"] == "HTTP/2"
    assert d["targets"][0]["identity"]["engine"] == "curl" and d["config"]["what"]["engine"] == "curl"
    assert total(case(d, "concurrent"), "failed") == 0


@pytest.mark.parametrize("engine", ["fast", "curl"])
def test_certificates_are_checked(engine, nginx, bench):
    d = bench("--engine", engine, "--case", "ping", f"{nginx.tls}/", status=4)
    assert list(errors(d, "ping")) == ["tls"] and "certificate" in d["stderr"]
    d = bench("--engine", engine, "--case", "ping", "--insecure", f"{nginx.tls}/")
    assert total(case(d, "ping"), "failed") == 0


def test_a_page_has_no_service(nginx, bench):
    """Without --case what needs /echo is left out; asked for by name it fails by status."""
    names = {b["name"] for b in bench(f"{nginx.plain}/index.html", "-c", "2")["benchmarks"]}
    assert names == {"rpc.connect", "rpc.ready", "rpc.ping", "rpc.concurrent"}
    d = bench("--case", "echo", "--size", "1", f"{nginx.plain}/index.html", status=4)
    assert list(errors(d, "echo")) == ["http-404"] or list(errors(d, "echo")) == ["http-405"]
    d = bench("--case", "ping", nginx.plain, status=4)
    assert errors(d, "ping") == {"http-404": 6}


def test_proxies_only_when_asked(nginx, bench, monkeypatch, fake):
    def refuse(conn):
        conn.recv(65536)
        conn.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        conn.recv(65536)
    proxy = fake(refuse).url("http")
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("all_proxy", proxy)
    for engine in ("fast", "curl"):
        assert total(case(bench("--engine", engine, "--case", "ping", f"{nginx.plain}/"), "ping"), "failed") == 0
    d = bench("--engine", "curl", "--proxy", proxy, "--case", "ping", f"{nginx.plain}/", status=4)
    assert list(errors(d, "ping"))[0] in ("http-502", "closed")


def serve_http(mpbench, start, port, *words):
    number = port()
    process = start([mpbench.path, "serve", "http", "--port", str(number), "-v", *words], ports=[number], stderr=subprocess.PIPE)
    return process, f"http://127.0.0.1:{number}"


def test_serve_http_to_curl(mpbench, start, port, tmp_path):
    process, url = serve_http(mpbench, start, port, "--max-body", "1M")

    def curl(*words):
        done = subprocess.run(["curl", "-s", "-w", " %{http_code}", *words], capture_output=True, stdin=subprocess.DEVNULL)
        return done.stdout.rsplit(b" ", 1)
    large = bytes(range(256)) * 3000
    (tmp_path / "large").write_bytes(large)
    assert curl(url + "/ping") == [b"pong", b"200"]
    assert curl(url + "/null") == [b"", b"204"]
    assert curl("--data-binary", f"@{tmp_path}/large", url + "/echo") == [large, b"200"]
    assert curl("--data-binary", f"@{tmp_path}/large", url + "/upload") == [b"768000", b"200"]
    assert len(curl(url + "/download/123456")[0]) == 123456
    assert curl(url + "/compute/1000") == [b"332833500", b"200"]
    assert curl(url + "/nowhere")[1] == b"404"
    assert curl(url + "/compute/x")[1] == b"404"
    assert curl(url + "/upload")[1] == b"405"
    (tmp_path / "large").write_bytes(large * 2)
    assert curl("-H", "Expect:", "--data-binary", f"@{tmp_path}/large", url + "/echo")[1] == b"413"
    process.terminate()
    assert process.wait() == 128 + signal.SIGTERM
    assert "10 requests, 4 refused" in process.stderr.read().decode()


@pytest.mark.parametrize("engine", ["fast", "curl"])
def test_builtin(engine, bench):
    d = bench("--case", ALL, "--size", "0,100K", "-c", "4", "--engine", engine, "builtin:http")
    for b in d["benchmarks"]:
        assert total(b, "failed") == 0, (b["name"], b["runs"])
    assert case(d, "ping")["metrics"]["wire.requests"]["values"] == [1, 1]


def test_what_an_application_adds_is_a_row(mpbench, bench, tmp_path):
    out = tmp_path / "r.json"
    done = mpbench("bench-rpc", "--runs", "8", "-n", "20", "--no-floor", "--call", "compute", "--arg", "3000", "--against", "ping()", "-o", out,
                   "rpyc=builtin:rpyc", "http=builtin:http")
    assert done.returncode == 0, done.stderr
    for target in ("rpyc", "http"):
        (line,) = [li for li in done.stdout.splitlines() if li.startswith(f"compute over ping {target}")]
        assert re.search(r"[0-9.]+ [mun]?s +\[[^?]+\] +[0-9.]+x \[", line), line
    d = json.loads(out.read_text())
    call, base = (case(d, name, "http")["metrics"]["latency.median"]["values"] for name in ("call", "against"))
    assert case(d, "call", "http")["metrics"]["overhead"]["values"] == pytest.approx([x - y for x, y in zip(call, base)])
    assert "overhead" not in case(d, "against", "http")["metrics"] and case(d, "against", "http")["params"]["call"] == "ping"


def test_a_small_file_is_one_case(bench):
    d = bench("--case", "transfer", "--size", "1K,100K", "builtin:http")
    assert [(b["params"]["size"], b["params"]["chunk"]) for b in d["benchmarks"]] == [(1024, 1024), (102400, 102400), (102400, 65536)]


def test_a_large_file_is_whole(bench):
    """Also on the builtin servers, which give the floors; one that is slow has more time for it."""
    d = bench("--case", "transfer", "--size", "70M", "--chunk", "0,16M", "http=builtin:http", "rpyc=builtin:rpyc", few=["--runs", "1", "-n", "1"])
    assert [b["params"]["chunk"] >> 20 for b in d["benchmarks"]] == [70, 70, 16, 16]
    assert all(total(b, "failed") == 0 and total(b, "bytes") == 2 * (70 << 20) for b in d["benchmarks"])


def test_many_clients_are_told_about(mpbench):
    done = mpbench("bench-rpc", "--runs", "2", "-n", "60", "--no-floor", "--case", "concurrent", "-c", "3", "builtin:http")
    lines = done.stdout.splitlines()
    row = next(lines[i + 1] for i, line in enumerate(lines) if line.startswith("many clients at once")).split()
    assert row[:4] == ["concurrent", "x3", "t1", "1"] and 0 < float(row[4]) <= 1, row


def test_rows_of_one_name_are_told_apart(mpbench):
    done = mpbench("bench-rpc", "--runs", "6", "-n", "3", "--no-floor", "--case", "upload,reuse,ping", "--size", "1,2", "builtin:http", "builtin:http")
    lines = done.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("against t1"))
    assert [" ".join(line.split()[:2]) for line in lines[at + 1:at + 6]][1:] == ["rpc.upload size=1", "rpc.upload size=2",
                                                                          "rpc.reuse connection=kept", "rpc.reuse connection=new"]
    assert lines[at + 1].startswith("rpc.ping  ")


def test_both_protocols_are_compared(bench, mpbench):
    """A case of RPyC and the same one of HTTP have the same parameters."""
    d = bench("rpyc=builtin:rpyc", "http=builtin:http", "--case", "connect,ready,ping,echo,call", "--call", "compute", "--arg", "9",
              "--expect", "204")
    compared = {(c["benchmark"], c["base"], c["new"]) for c in d["comparisons"]}
    assert {b for b, *_ in compared} >= {"rpc.ping", "rpc.echo", "rpc.ready", "rpc.call"}, d["comparisons"]


def test_a_thousand_connections(bench, mpbench):
    d = bench("--case", "concurrent", "-c", "1000", "builtin:http", few=["--runs", "1", "-n", "5000", "--no-floor"])
    b = case(d, "concurrent")
    assert total(b, "failed") == 0 and total(b, "ok") == 5000
    if not mpbench.sanitized:
        assert b["runs"][0]["usage"]["client"]["rss_peak_bytes"] < 64 << 20


@pytest.mark.native
def test_memory_is_the_programs_own(bench):
    """What the process that started mpbench holds is not in its peak, as it is in ru_maxrss."""
    held = bytearray(192 << 20)
    held[::4096] = bytes(len(held[::4096]))
    d = bench("--case", "ping", "builtin:http")
    assert 1 << 20 < case(d, "ping")["runs"][0]["usage"]["client"]["rss_peak_bytes"] < 64 << 20
    assert len(held)


HEAD = b"HTTP/1.1 200 OK\r\n"
LEN = HEAD + b"Content-Length: 4\r\n\r\n"


def reply(text, again=b"", bytewise=False, close=True):
    def serve(conn):
        while conn.recv(65536):
            for i in range(0, len(text), 1 if bytewise else max(1, len(text))):
                conn.sendall(text[i:i + 1] if bytewise else text)
            while again:
                conn.sendall(again)
            if close:
                return
    return serve


HOSTILE = [
    ("truncated", reply(LEN + b"po"), {"closed"}),
    ("chunk cut", reply(HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\npong"), {"closed"}),
    ("chunk bomb", reply(HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n"), {"bad-answer", "closed"}),
    ("endless head", reply(HEAD, b"X-Field: value\r\n" * 1000), {"bad-answer", "closed"}),
    ("endless line", reply(HEAD + b"X: ", b"x" * 10000), {"bad-answer", "closed"}),
    ("not http", reply(b"SSH-2.0-OpenSSH_9.2\r\n"), {"bad-answer"}),
    ("nothing", reply(b""), {"closed"}),
    ("silent", reply(b"", close=False), {"timeout"}),
    ("stops", reply(LEN + b"po", close=False), {"timeout"}),
]


# libcurl connects with a request, and a session may take 5 s to open: time-outs of its own are in the unit tests
@pytest.mark.parametrize("engine,name,serve,words", [(engine, *row) for row in HOSTILE for engine in ("fast", "curl")
                                                     if engine == "fast" or row[2] != {"timeout"}])
def test_hostile_servers(engine, name, serve, words, fake, bench):
    """A counted failure with its reason, soon, and in little memory."""
    url = fake(serve).url("http")
    how = ["--timeout", "0.3"] if words == {"timeout"} else []
    d = bench("--case", "ping", "--engine", engine, *how, url, status=4, few=["--runs", "1", "-n", "2", "--no-floor"])
    b = d["benchmarks"][0]
    assert set(b["runs"][0]["errors"]) <= words and b["runs"][0]["ok"] == 0
    assert "nothing succeeded" in d["stderr"]


@pytest.mark.parametrize("engine", ["fast", "curl"])
def test_a_byte_at_a_time(engine, fake, bench):
    d = bench("--case", "ping", "--engine", engine, fake(reply(LEN + b"pong", bytewise=True, close=False)).url("http"))
    assert total(case(d, "ping"), "failed") == 0


@pytest.mark.parametrize("words,told", [
    (["--http", "2"], "--engine curl"),
    (["--method", "PUT"], "are of --call NAME"),
    (["--key", "/dev/null"], "give both"),
    (["--cert", "/does/not/exist"], "No such file"),
    (["--proxy", "http://127.0.0.1:1"], "--engine curl"),
    (["--header", "no header"], "is no header"),
    (["--header", "X: a\r\nY: b"], "is no header"),
    (["--call", "x", "--method", "GET /"], "is no HTTP method"),
    (["--cacert", "/does/not/exist"], "No such file"),
    (["--call", "x", "--body", "@/does/not/exist"], "No such file"),
])
def test_usage(words, told, mpbench):
    done = mpbench("bench-rpc", *words, "http://127.0.0.1:1")
    assert done.returncode == 2 and told in done.stderr, done.stderr


def test_the_table_ends_with_what_an_operation_costs(mpbench):
    done = mpbench("bench-rpc", "--runs", "2", "-n", "20", "--case", "ping", "builtin:http")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    costs = lines[lines.index(next(line for line in lines if line.startswith("an operation costs"))) + 1:]
    ping = next(line for line in costs if line.startswith("ping t1")).split()
    # CPU, memory (each a number and its unit) and switches of client and server, connections
    assert len(ping) == 13 and ping[5] == ping[10] == "MiB" and ping[12] == "0", ping
    assert "t1 is the server that does nothing: the floor here." in costs
    assert "an operation costs" not in mpbench("bench-rpc", "--runs", "2", "-n", "20", "--case", "ping", "--json", "builtin:http").stdout
