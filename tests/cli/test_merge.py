"""mpbench merge: several hosts as one, exactly, and nothing counted twice."""
import copy
import json
import math
import random
import re
import subprocess

import pytest

import results


def worker(i, samples=200, runs=3, start="2026-01-01T00:00:00.000Z", level=50000, **over):
    """A result of one worker: runs with histograms, counts and bytes; `samples` per run."""
    r = random.Random(i)
    d = results.document(run_id=f"{i:032x}", started_at=start, **over)
    for name in ("repl.exec", "repl.read"):
        c = results.case(name, {"latency.median": results.metric([0] * runs)})
        for k, run in enumerate(c["runs"]):
            values = [max(1, int(r.lognormvariate(math.log(level), 0.3))) for _ in range(samples)]
            run.update(ok=samples, failed=i % 2, bytes=samples * 100, errors={"timeout": i % 2} if i % 2 else {},
                       start_offset_ns=k * 10**9, duration_ns=9 * 10**8, distributions={
                           "latency": results.distribution(values)})
        c["metrics"] = {}
        d["benchmarks"].append(c)
    return d


@pytest.fixture
def merged(mpbench, tmp_path):
    """merged(document, ..., words=[...]): the merged document."""
    def make(*docs, words=()):
        paths = [results.write(tmp_path / f"part{i}.json", d) for i, d in enumerate(docs)]
        out = tmp_path / "merged.json"
        r = mpbench("merge", *paths, "-q", "-o", out, *words)
        assert r.returncode == 0, r.stderr
        assert mpbench("validate", out).returncode == 0
        return json.loads(out.read_text())
    return make


def same(a, b, path="$"):
    """Equal; reals but for the last digits (a standard deviation is no whole number)."""
    if isinstance(a, float) or isinstance(b, float):
        assert math.isclose(a, b, rel_tol=1e-9), (path, a, b)
    elif isinstance(a, dict):
        assert set(a) == set(b), path
        for key in a:
            same(a[key], b[key], f"{path}.{key}")
    elif isinstance(a, list):
        assert len(a) == len(b), path
        for i, pair in enumerate(zip(a, b)):
            same(*pair, f"{path}[{i}]")
    else:
        assert a == b, (path, a, b)


def test_counts_and_histograms_add_up(merged):
    a, b = worker(0), worker(1)
    m = merged(a, b)
    run = m["benchmarks"][0]["runs"][1]
    d, parts = run["distributions"]["latency"], [x["benchmarks"][0]["runs"][1]["distributions"]["latency"] for x in (a, b)]
    assert run["ok"] == 400 and run["failed"] == 1 and run["bytes"] == 40000 and run["errors"] == {"timeout": 1}
    assert d["n"] == 400 and sum(d["hist"]["count"]) == 400
    assert d["min"] == min(p["min"] for p in parts) and d["max"] == max(p["max"] for p in parts)
    assert math.isclose(d["mean"], (parts[0]["mean"] + parts[1]["mean"]) / 2, rel_tol=1e-12)
    assert [w["run_id"] for w in m["extensions"]["merge"]["workers"]] == [a["run_id"], b["run_id"]]


def test_percentiles_are_those_of_all_samples(merged):
    r = random.Random(5)
    parts = [[int(r.lognormvariate(11, 1)) for _ in range(n)] for n in (700, 150, 150)]
    docs = []
    for i, samples in enumerate(parts):
        d = worker(i, runs=1)
        d["benchmarks"] = d["benchmarks"][:1]
        d["benchmarks"][0]["runs"][0]["distributions"]["latency"] = results.distribution(samples)
        docs.append(d)
    p = merged(*docs)["benchmarks"][0]["runs"][0]["distributions"]["latency"]["percentiles"]
    everything = sorted(sum(parts, []))
    for key, ppm in (("p50", 500000), ("p95", 950000), ("p99", 990000)):
        exact = everything[(ppm * len(everything) + 999999) // 1000000 - 1]
        assert p[key] == min(results.bucket(exact)[1], everything[-1])


def test_commutative_and_associative(mpbench, merged, tmp_path):
    a, b, c = worker(3), worker(1), worker(2, start="2026-01-01T00:00:00.200Z")
    c["benchmarks"][0]["runs"][0]["status"] = "failed"
    c["noise"] = {"verdict": "noisy", "reasons": ["steal 9 %"], "steal_ratio": 0.09}
    a["warnings"] = [{"code": "x", "message": "of a"}]
    abc = merged(a, b, c)
    for order in ((c, b, a), (b, c, a)):
        same(abc, merged(*order))
    same(abc, merged(merged(a, b), c))
    same(abc, merged(a, merged(b, c)))
    same(abc, merged(merged(c, a), b))


def test_merge_of_one_is_itself(merged):
    a = worker(7)
    same(merged(a), a)
    ab = merged(a, worker(8))
    assert merged(ab) == ab


def split_runs(doc):
    """By runs: each part has half of them."""
    parts = [copy.deepcopy(doc) for _ in range(2)]
    for i, part in enumerate(parts):
        part["run_id"] = f"{i:032x}"
        for c in part["benchmarks"]:
            c["runs"] = [r for r in c["runs"] if r["index"] % 2 == i]
    return parts


def split_samples(samples):
    """By samples: each part has some of every run's."""
    whole = worker(9, runs=2)
    parts = [worker(i, runs=2) for i in (1, 2, 3)]
    for d in [whole, *parts]:
        for c in d["benchmarks"]:
            for run in c["runs"]:
                run.update(failed=0, errors={})
    for ci, c in enumerate(whole["benchmarks"]):
        for ri, run in enumerate(c["runs"]):
            mine = samples[ci * 2 + ri]
            run.update(ok=len(mine), bytes=100 * len(mine))
            run["distributions"]["latency"] = results.distribution(mine)
            for i, part in enumerate(parts):
                share = mine[i::3]
                to = part["benchmarks"][ci]["runs"][ri]
                to.update(ok=len(share), bytes=100 * len(share))
                to["distributions"]["latency"] = results.distribution(share)
    return whole, parts


def test_merge_of_a_split_by_runs_is_the_whole(merged):
    whole = worker(4, runs=4)
    m = merged(*split_runs(whole))
    for c, w in zip(m["benchmarks"], whole["benchmarks"]):
        assert [r["index"] for r in c["runs"]] == [0, 1, 2, 3]
        for run, original in zip(c["runs"], w["runs"]):
            same(run["distributions"], original["distributions"])
            assert all(run[k] == original[k] for k in ("ok", "failed", "bytes", "duration_ns", "start_offset_ns"))


def test_merge_of_a_split_by_samples_is_the_whole(merged):
    r = random.Random(1)
    whole, parts = split_samples([[int(r.lognormvariate(11, 0.5)) for _ in range(999)] for _ in range(4)])
    m = merged(*parts)
    for c, w in zip(m["benchmarks"], whole["benchmarks"]):
        for run, original in zip(c["runs"], w["runs"]):
            d, o = run["distributions"]["latency"], original["distributions"]["latency"]
            assert d["hist"] == o["hist"] and (d["n"], d["min"], d["max"]) == (o["n"], o["min"], o["max"])
            assert math.isclose(d["mean"], o["mean"], rel_tol=1e-12)
            assert math.isclose(d["stdev"], o["stdev"], rel_tol=1e-9)
            assert all(run[k] == original[k] for k in ("ok", "failed", "bytes", "duration_ns"))


def test_throughput_is_over_the_whole_window_and_overlap_is_told(mpbench, merged):
    a, b = worker(0), worker(2, start="2026-01-01T00:00:00.450Z")
    m = merged(a, b)
    # each runs for 0.9 s, the second begins 0.45 s later
    assert math.isclose(m["extensions"]["merge"]["overlap"], 0.45 / 1.35)
    metrics = m["benchmarks"][0]["metrics"]
    assert metrics["rate"]["values"] == pytest.approx([400 / 1.35] * 3)
    assert metrics["throughput"]["values"] == pytest.approx([40000 / 1.35] * 3)
    assert metrics["common.rate"]["values"] == pytest.approx([400 / 0.9] * 3, rel=1e-3)
    assert metrics["common.throughput"]["values"] == pytest.approx([40000 / 0.9] * 3, rel=1e-3)
    assert any(w["code"] == "overlap" for w in m["warnings"])
    apart = merged(a, worker(2, start="2026-01-01T00:00:10.000Z"))
    assert apart["extensions"]["merge"]["overlap"] == 0
    assert "rate" in apart["benchmarks"][0]["metrics"] and "common.rate" not in apart["benchmarks"][0]["metrics"]
    assert merged(worker(0), worker(2))["extensions"]["merge"]["overlap"] == 1


def refused(mpbench, tmp_path, *docs, words=()):
    paths = [results.write(tmp_path / f"r{i}.json", d) for i, d in enumerate(docs)]
    r = mpbench("merge", *paths, *words)
    assert r.returncode == 2 and len(r.stderr.splitlines()) == 1
    return r.stderr


def test_unlike_results_are_refused(mpbench, tmp_path, merged):
    other = worker(1)
    other["config"]["what"]["chunk_bytes"] = 256
    assert "chunk_bytes" in refused(mpbench, tmp_path, worker(0), other)
    assert merged(worker(0), other, words=["--allow", "chunk_bytes"])
    other = worker(1)
    other["command"]["subcommand"] = "bench-tftp"
    assert "bench-tftp" in refused(mpbench, tmp_path, worker(0), other)
    other = worker(1)
    del other["benchmarks"][0]["runs"][0]["distributions"]["latency"]["hist"]
    assert "no histogram" in refused(mpbench, tmp_path, worker(0), other)
    other = worker(1)
    other["benchmarks"][0]["runs"][0]["distributions"]["latency"]["hist"]["bits"] = 6
    assert "sub-bucket bits" in refused(mpbench, tmp_path, worker(0), other)


def test_nothing_is_counted_twice(mpbench, tmp_path, merged):
    a, b = worker(0), worker(1)
    assert "count twice" in refused(mpbench, tmp_path, a, a)
    ab = merged(a, b)
    assert "count twice" in refused(mpbench, tmp_path, ab, b)
    assert "count twice" in refused(mpbench, tmp_path, merged(a, worker(5)), ab)


def test_incomplete_sets_are_marked(mpbench, tmp_path, merged):
    paths = [results.write(tmp_path / f"w{i}.json", worker(i)) for i in range(2)]
    out = tmp_path / "out.json"
    r = mpbench("merge", *paths, "--expect", "3", "-o", out)
    assert r.returncode == 0 and "incomplete" in r.stderr and "INCOMPLETE" in r.stdout
    m = json.loads(out.read_text())
    assert m["extensions"]["merge"]["complete"] is False and m["extensions"]["merge"]["expected"] == 3
    assert any("2 of 3" in w["message"] for w in m["warnings"])
    assert mpbench("merge", *paths, "--expect", "3", "--strict", "-q").returncode == 1
    assert mpbench("merge", *paths, "--expect", "2", "--strict", "-q").returncode == 0
    assert mpbench("merge", *paths, "--expect", "1").returncode == 2
    whole = merged(m, worker(2), words=["--expect", "3"])
    assert whole["extensions"]["merge"]["complete"] is True
    assert not any(w["code"] == "incomplete" for w in whole["warnings"])
    partial = worker(3, status="interrupted")
    assert merged(worker(0), partial)["extensions"]["merge"]["complete"] is False


def test_a_thousand_files_in_bounded_memory(mpbench, tmp_path):
    doc = worker(0, samples=50, runs=2)
    paths = []
    for i in range(1000):
        doc["run_id"] = f"{i:032x}"
        paths.append(results.write(tmp_path / f"{i}.json", doc))
    out = tmp_path / "out.json"
    limit = 0 if mpbench.sanitized else 96 << 20

    def bound():
        import resource
        if limit:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    r = mpbench("merge", *paths, "-q", "-o", out, "--expect", "1000", "--strict", preexec_fn=bound)
    assert r.returncode == 0, r.stderr
    m = json.loads(out.read_text())
    run = m["benchmarks"][1]["runs"][1]
    assert run["ok"] == 50000 and run["distributions"]["latency"]["n"] == 50000
    assert len(m["extensions"]["merge"]["workers"]) == 1000


def test_merged_results_can_be_compared(mpbench, merged, tmp_path):
    base = merged(*(worker(i, runs=10) for i in (0, 2)))
    new = merged(*(worker(i, runs=10, level=80000) for i in (4, 6)))
    paths = [results.write(tmp_path / f"{n}.json", d) for n, d in (("base", base), ("new", new))]
    r = mpbench("diff", *paths)
    assert r.returncode == 1 and re.search(r"REGRESSION .* repl.exec latency.median", r.stdout)


def test_real_results_of_two_shards(mpbench, tmp_path):
    paths = []
    for i in range(2):
        paths.append(tmp_path / f"{i}.json")
        r = mpbench("bench-repl", "builtin:", "--case", "exec,connect", "--runs", "3", "--duration", "0.02", "-q", "-o",
                    paths[-1])
        assert r.returncode == 0, r.stderr
    out = tmp_path / "out.json"
    r = mpbench("merge", *paths, "-o", out)
    assert r.returncode == 0 and "together for 0 % of the time" in r.stdout
    parts, m = [json.loads(p.read_text()) for p in paths], json.loads(out.read_text())
    for i, c in enumerate(m["benchmarks"]):
        for k, run in enumerate(c["runs"]):
            assert run["ok"] == sum(p["benchmarks"][i]["runs"][k]["ok"] for p in parts)
