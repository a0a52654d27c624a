"""Result files made of run values: what diff, check, merge and export read, without measuring anything."""
import copy
import json
import random
import statistics

SKELETON = {
    "schema": "mpbench.result", "schema_version": "1.0",
    "tool": {"name": "mpbench", "version": "1.0.0"},
    "run_id": "0" * 32,
    "started_at": "2026-01-01T00:00:00.000Z", "finished_at": "2026-01-01T00:00:30.000Z",
    "status": "complete",
    "command": {"subcommand": "bench-repl", "argv": ["mpbench", "bench-repl", "builtin:"]},
    "environment": {"kernel": "6.1.0", "cpu": {}, "clock": {"id": "monotonic"}, "fingerprint": "0123456789abcdef"},
    "noise": {"verdict": "quiet", "reasons": []},
    "config": {"what": {"chunk_bytes": 64}, "how": {"runs": 10}, "out": {"output": None}},
    "targets": [{"label": "t1", "url": "builtin:", "identity": {}}],
    "benchmarks": [], "comparisons": [], "checks": [], "findings": [], "warnings": [], "extensions": {},
}


def metric(values, unit="ns", better="lower", assume="distribution"):
    return {"unit": unit, "better": better, "assume": assume, "values": list(values)}


def case(name, metrics, headline="latency.median", target="t1", params=None):
    """metrics: {name: metric(...)}."""
    n = len(next(iter(metrics.values()))["values"])
    runs = [{"index": i, "order": i, "pair": None, "status": "ok", "ok": 100, "failed": 0, "errors": {},
             "distributions": {}} for i in range(n)]
    return {"name": name, "target": target, "params": params or {}, "headline": headline, "runs": runs,
            "metrics": metrics}


def document(*cases, run_id=None, **over):
    d = copy.deepcopy(SKELETON)
    d["run_id"] = run_id or f"{random.getrandbits(128):032x}"
    d["benchmarks"] = list(cases)
    d.update(over)
    return d


def latency(level, seed=0, runs=10, cv=0.005, **kw):
    """One case repl.exec whose medians lie around `level` ns."""
    r = random.Random(seed)
    return document(case("repl.exec", {"latency.median": metric(level * r.gauss(1, cv) for _ in range(runs))}), **kw)


def bucket(value, bits=7):
    """Index of a value in the log-linear histogram, and the highest value of that bucket."""
    e = max(0, value.bit_length() - bits - 1)
    index = (value >> e) + (e << bits)
    return index, (((value >> e) + 1) << e) - 1


def distribution(samples):
    """A distribution with its histogram, as a run of the document has it."""
    counts = {}
    for s in samples:
        counts[bucket(s)[0]] = counts.get(bucket(s)[0], 0) + 1
    indexes = sorted(counts)
    deltas = [b - a for a, b in zip([0] + indexes, indexes)]
    return {"unit": "ns", "better": "lower", "n": len(samples), "min": min(samples), "max": max(samples),
            "mean": statistics.fmean(samples), "stdev": statistics.stdev(samples) if len(samples) > 1 else None,
            "median": statistics.median(samples), "percentiles": {}, "source": "raw", "lost": 0,
            "hist": {"type": "loglinear", "bits": 7, "index_delta": deltas, "count": [counts[i] for i in indexes]}}


def write(path, doc):
    path.write_text(json.dumps(doc))
    return path
