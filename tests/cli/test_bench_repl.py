"""bench-repl: every case over every transport, on the builtin device and on a real MicroPython."""
import json
import re

import pytest

# Every case but reconnect (needs a device that outlives its session) and negotiate (needs RFC 2217).
CASES = ("connect banner raw-enter raw-exit exec print upload download session soft-reset eval batch fs memory "
         "throughput concurrent script").split()
OUTLIVES = CASES + ["reconnect"]
PHASES = ["connect", "negotiate", "banner", "enter", "exec", "exit", "close"]
OPTIONS = "baud datasize parity stopsize flow dtr rts purge-rx purge-tx".split()

BENCH = """\
bm_params = {(50, 10): (100,), (100, 10): (1000,), (5000, 10): (100000,)}


def bm_setup(params):
    total = 0

    def run():
        nonlocal total
        total = sum(range(params[0]))

    return run, lambda: (params[0], total)
"""


@pytest.fixture
def bench(mpbench):
    """bench("builtin:", "--case", "exec"): the document of a short run that must end with `status`."""
    def run(*args, status=0, runs=2, n=2, **kw):
        done = mpbench("bench-repl", "--json", "--runs", str(runs), "-n", str(n), *args, **kw)
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout)
    return run


def of(document, name, target=None):
    """The benchmarks of a case."""
    found = [b for b in document["benchmarks"]
             if b["name"] == f"repl.{name}" and target in (None, b["target"])]
    assert found, f"{name} on {target} was not measured"
    return found


def median(benchmark, metric="latency.median"):
    return benchmark["metrics"][metric]["summary"]["median"]


def check_all_succeeded(document, operations):
    assert document["status"] == "complete" and document["error"] is None
    for b in document["benchmarks"]:
        assert median(b) > 0 and b["headline"] in b["metrics"]
        for run in b["runs"]:
            assert (run["status"], run["failed"], run["errors"]) == ("ok", 0, {}), b["name"]
            assert run["ok"] == operations and run["distributions"]["latency"]["n"] == operations


def check_cases(document, cases, size):
    """What is special about each case is in the document."""
    assert {b["name"] for b in document["benchmarks"]} == {f"repl.{c}" for c in cases}
    for name in ("upload", "download"):
        for b in of(document, name):
            assert b["headline"] == "throughput" and b["params"]["size"] == size
            assert all(r["bytes"] == r["ok"] * size for r in b["runs"])
    for b in of(document, "throughput"):
        assert median(b, "throughput") > 0 and b["params"]["bytes"] == 4096
    for b in of(document, "session"):
        assert [n for n in b["runs"][0]["distributions"] if n.startswith("phase.")] == [f"phase.{p}" for p in phases_of(b)]
    for b in of(document, "fs"):
        assert {f"phase.{p}" for p in "mkdir put stat ls get rm".split()} <= set(b["runs"][0]["distributions"])
    for b in of(document, "memory"):
        assert median(b, "mem_free.median") > 0
    assert {(b["params"]["statements"], b["params"]["form"]) for b in of(document, "batch")} == {
        (3, "one-exec"), (3, "one-each")}
    assert [b["params"]["expression"] for b in of(document, "eval")] == ["1+1"]
    assert [b["params"]["sessions"] for b in of(document, "concurrent")] == [4] * len(of(document, "concurrent"))
    budget = {t["target"]: t["phases"] for t in document["extensions"]["phase_budget"]}
    assert set(budget) == {t["label"] for t in document["targets"]}
    for phases in budget.values():
        assert [p["name"] for p in phases] in (PHASES, [p for p in PHASES if p != "banner"])
        assert sum(p["percent"] for p in phases) == pytest.approx(100)


def phases_of(benchmark):
    names = [n for n in benchmark["runs"][0]["distributions"] if n.startswith("phase.")]
    return PHASES if "phase.banner" in names else [p for p in PHASES if p != "banner"]


def options_for(tmp_path, cases, script):
    (tmp_path / "script.py").write_text(script)
    return ["--case", ",".join(cases), "--eval", "1+1", "--statements", "3", "--size", "600", "--bytes", "4K",
            "--script", str(tmp_path / "script.py")]


def test_every_case_on_the_builtin_device(bench, tmp_path):
    document = bench("builtin:", *options_for(tmp_path, CASES, "pass\n"), n=3)
    check_all_succeeded(document, 3)
    check_cases(document, CASES, 600)
    target, = document["targets"]
    assert target["url"] == "builtin:" and "evaluates nothing" in target["identity"]["banner"]
    assert (target["identity"]["raw_paste"], target["identity"]["raw_paste_window"]) == ("yes", "128")


def test_every_case_on_micropython(bench, tmp_path, micropython):
    document = bench(f"mp=exec:{micropython}", *options_for(tmp_path, CASES, BENCH))
    check_all_succeeded(document, 2)
    check_cases(document, CASES, 600)
    target, = document["targets"]
    assert target["identity"]["banner"].startswith("MicroPython v1.")
    script, = of(document, "script")
    # The device's own time is part of what the wall clock saw.
    assert 0 <= median(script, "device_time.median") <= median(script, "latency.max")


@pytest.mark.parametrize("tuned", [True, False], ids=["tuned", "default"])
def test_every_case_through_ser2net(bench, tmp_path, device, ser2net, tuned):
    """A port of its own for each server: two on one terminal would take each other's bytes."""
    raw, rfc = ser2net(device().path, tuned), ser2net(device().path, tuned)
    cases = [c for c in OUTLIVES if c != "concurrent"]
    options = options_for(tmp_path, cases, BENCH)
    document = bench(f"raw={raw.socket}", f"rfc={rfc.rfc2217}", *options, "--gaps", "0s", "--case", "negotiate",
                     "--option-timeout", "1s", "--warmup", "0", n=1, runs=2 if tuned else 1)
    check_all_succeeded(document, 1)
    names = {(b["name"], b["target"]) for b in document["benchmarks"]}
    assert names == {(f"repl.{c}", t) for c in cases for t in ("raw", "rfc")} | {("repl.negotiate", "rfc")}
    negotiated, = of(document, "negotiate")
    answered = set(negotiated["runs"][0]["distributions"])
    assert {f"negotiate.{o}" for o in ["com-port"] + OPTIONS[:5]} <= answered
    identity = {t["label"]: t["identity"] for t in document["targets"]}["rfc"]
    assert identity["signature"].startswith("ser2net") and "baud=115200" in identity["negotiated"]
    # ser2net does not answer for lines that a pseudo-terminal has not: a warning that names them, not an error.
    assert identity["no_answer"].split() == ["dtr", "rts"]
    assert {"negotiate.dtr", "negotiate.rts"} & answered == set()
    told = " ".join(w["message"] for w in document["warnings"])
    assert "dtr" in told.lower() and "rts" in told.lower()
    assert {c["base"] for c in document["comparisons"]} == {"raw"}


def test_several_targets_are_interleaved_and_compared(bench, micropython):
    document = bench("a=builtin:", "b=builtin:?delay=30ms", f"mp=exec:{micropython}", "--case", "exec,print", runs=4)
    check_all_succeeded(document, 2)
    for name in ("exec", "print"):
        orders = {b["target"]: [r["order"] for r in b["runs"]] for b in of(document, name)}
        # ABC, CBA, ABC, CBA
        assert all(orders["a"][i] < orders["b"][i] < orders["mp"][i] for i in (0, 2))
        assert all(orders["a"][i] > orders["b"][i] > orders["mp"][i] for i in (1, 3))
        slow, = [c for c in document["comparisons"]
                 if c["new"] == "b" and c["benchmark"] == f"repl.{name}" and c["metric"] == "latency.median"]
        assert slow["ratio"] > 1.5 and slow["base"] == "a"


def test_percentiles_in_document_and_table(mpbench, tmp_path):
    path = tmp_path / "r.json"
    done = mpbench("bench-repl", "--case", "exec", "--runs", "2", "-n", "150", "-o", path, "builtin:")
    assert done.returncode == 0
    document = json.loads(path.read_text())
    b, = of(document, "exec")
    values = [median(b, f"latency.{m}") for m in ("min", "median", "p95", "p99", "max")]
    assert values == sorted(values) and values[0] > 0
    assert values[0] <= median(b, "latency.mean") <= values[-1]
    header = next(line for line in done.stdout.splitlines() if line.startswith("case"))
    assert header.split()[:8] == ["case", "n", "mean", "median", "P95", "P99", "max", "fail"]
    row = next(line for line in done.stdout.splitlines() if line.startswith("repl.exec"))
    assert re.match(r"repl\.exec +300( +[\d.]+ [num]?s){5} +0 ", row)
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    assert "Where one session goes" not in done.stdout
    assert mpbench("validate", path).returncode == 0


def shape(value, key=None):
    """A document without its numbers, times of day and what depends on them."""
    if key in ("noise", "hist", "percentile_notes", "run_id", "started_at", "finished_at", "measured_at",
               "findings"):
        return key
    if isinstance(value, dict):
        return {k: shape(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [shape(v) for v in value]
    if value is None or isinstance(value, (int, float)) and not isinstance(value, bool):
        return 0  # (also what a busy machine could not measure, as the CPU time of a process that has gone)
    return value


def test_two_runs_differ_only_in_numbers(bench, micropython):
    args = ["builtin:", f"mp=exec:{micropython}", "--case", "connect,raw-enter,exec,upload,session", "--size", "300"]
    first, second = bench(*args, n=3), bench(*args, n=3)
    lines = [json.dumps(shape(d), indent=1, sort_keys=True).splitlines() for d in (first, second)]
    assert lines[0] == lines[1]
    assert first["run_id"] != second["run_id"]


@pytest.mark.parametrize("mode", ["auto", "raw", "paste"])
def test_modes(bench, micropython, mode):
    document = bench(f"exec:{micropython}", "--mode", mode, "--case", "exec,upload", "--size", "600")
    check_all_succeeded(document, 2)
    assert document["config"]["what"]["mode"] == mode
    identity = document["targets"][0]["identity"]
    assert ("raw_paste_window" in identity) == (mode != "raw")


@pytest.mark.parametrize("payload", ["text", "random"])
def test_encodings_and_chunks(bench, micropython, payload):
    """Content is verified by the tool (hash on the device, or byte by byte); all combinations come right."""
    document = bench(f"exec:{micropython}", "builtin:", "--case", "upload,download", "--payload", payload, "--warmup", "0",
                     "--size", "700", "--chunk", "1000,129", "--encoding", "repr,hex,base64", runs=1, n=1)
    check_all_succeeded(document, 1)
    for name in ("upload", "download"):
        done = {(b["target"], b["params"]["chunk"], b["params"]["encoding"]) for b in of(document, name)}
        assert len(done) == 2 * 2 * 3 == len(of(document, name))


def test_content_arrives_on_the_device(bench, device, ser2net):
    """What an upload left on the device is what the seed says, by another road than the tool's own check."""
    server = ser2net(device().path)
    bench(server.socket, "--case", "upload", "--size", "500", "--path", "left.tmp", n=1)
    listed = "sorted(set(open('left.tmp').read().strip()))[-1] <= 'z' and len(open('left.tmp').read())"
    document = bench(server.socket, "--case", "eval", "--eval", listed, "--eval", "1/0", n=1, status=4)
    good, bad = of(document, "eval")
    assert good["runs"][0]["ok"] == 1 and bad["runs"][0]["errors"] == {"remote-error": 1}
    assert document["error"]["code"] == "remote-error" and "ZeroDivisionError" in document["error"]["message"]


def test_device_exception_is_a_failure_not_speed(mpbench, bench, micropython, tmp_path):
    """No such directory: every write raises."""
    path = tmp_path / "r.json"
    done = mpbench("bench-repl", "--case", "upload", "--path", "none/such", "--runs", "2", "-n", "2", "-o", path,
                   f"exec:{micropython}")
    assert done.returncode == 4
    assert "repl.upload on t1" in done.stderr and "OSError" in done.stderr
    document = json.loads(path.read_text())
    assert document["status"] == "failed" and document["error"]["code"] == "remote-error"
    b, = of(document, "upload")
    assert all((r["ok"], r["status"]) == (0, "failed") for r in b["runs"])
    assert "throughput" not in b["metrics"] or median(b, "throughput") in (None, 0)


@pytest.mark.parametrize("fault, reply", [("no-paste", "refused"), ("old", "old")])
def test_device_without_raw_paste_falls_back(bench, fault, reply):
    document = bench(f"builtin:?fault={fault}", "--case", "exec,upload", "--size", "600")
    check_all_succeeded(document, 2)
    identity = document["targets"][0]["identity"]
    assert identity["raw_paste"] == reply and "raw_paste_window" not in identity
    refused = bench(f"builtin:?fault={fault}", "--case", "exec", "--mode", "paste", status=4)
    assert refused["error"]["code"] == "no-raw-paste" and "--mode auto or raw" in refused["error"]["message"]


def test_soft_reset(bench, micropython):
    """A process that ends on its reset, as the unix port does, is started anew."""
    document = bench("ends=builtin:?fault=exit-on-reset", "stays=builtin:", f"mp=exec:{micropython}",
                     "--case", "soft-reset,exec")
    check_all_succeeded(document, 2)
    identity = {t["label"]: t["identity"] for t in document["targets"]}
    assert "started anew" in identity["ends"]["soft_reset"] and "soft_reset" not in identity["stays"]
    document = bench("ends=builtin:?fault=exit-on-reset", "stays=builtin:", f"mp=exec:{micropython}", "--soft-reset",
                     "--case", "exec,session,raw-exit")
    check_all_succeeded(document, 2)
    assert document["config"]["what"]["soft_reset"] is True


def test_soft_reset_forgets_names(bench, device, ser2net):
    """--soft-reset before a session: names of the one before are gone; --resume keeps them."""
    server = ser2net(device().path)
    keep = bench(server.socket, "--case", "eval", "--eval", "globals().setdefault('kept', 42)", n=1, runs=1)
    assert keep["status"] == "complete"
    resumed = bench(server.socket, "--case", "eval", "--eval", "kept", "--resume", n=1, runs=1)
    assert resumed["status"] == "complete"
    fresh = bench(server.socket, "--case", "eval", "--eval", "kept", "--soft-reset", n=1, runs=1, status=4)
    assert "NameError" in fresh["error"]["message"]


def test_groups_and_concurrency(bench, device, ser2net, mpbench):
    one, two = ser2net(device().path), ser2net(device().path)
    document = bench(f"pair={one.socket}+{two.socket}", "--case", "exec,concurrent")
    check_all_succeeded(document, 2)
    assert [b["params"]["sessions"] for b in of(document, "concurrent")] == [2]
    document = bench("builtin:", "--case", "exec,concurrent", "-c", "3", n=6)
    check_all_succeeded(document, 6)
    assert [b["params"]["sessions"] for b in of(document, "concurrent")] == [3]
    assert document["config"]["what"]["concurrency"] == 3


def test_mistakes_are_named(mpbench):
    for args, says in [(["--case", "exce"], "did you mean exec?"),
                       (["--case", "eval"], "--eval"),
                       (["--case", "script"], "--script"),
                       (["--case", "reconnect"], "none of the chosen cases"),
                       (["--script", "/does/not/exist.py"], "/does/not/exist.py"),
                       (["--encoding", "rot13"], "repr, hex or base64"),
                       (["--client-style", "thonny"], "native, pyserial or mpremote"),
                       (["--path", "a b", "--case", "upload"], "only letters, digits"),
                       (["--gaps", "soon", "--case", "reconnect"], "--gaps"),
                       (["--compare-client", "mpremote"], "{}"),
                       (["a=builtin:", "a=builtin:"], "two targets are called a"),
                       (["tftp://127.0.0.1/x"], "no tftp:// targets"),
                       (["builtin:rpc"], "builtin:rpc")]:
        done = mpbench("bench-repl", *args)
        assert done.returncode == 2 and done.stdout == "", args
        assert says in done.stderr and len(done.stderr.splitlines()) == 1, (args, done.stderr)
