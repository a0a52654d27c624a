"""mpbench diff: verdicts, exit statuses, refusals, and what it does with files that are no results."""
import json
import os
import pathlib
import re

import pytest

import results

TOP = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def files(tmp_path):
    """files(name=document, ...): their paths."""
    def make(**docs):
        paths = [results.write(tmp_path / f"{name}.json", doc) for name, doc in docs.items()]
        return paths if len(paths) > 1 else paths[0]
    return make


@pytest.fixture
def base(files):
    return files(base=results.latency(50000, seed=1))


def test_a_regression_exits_with_1_and_is_found_by_grep(mpbench, files, base):
    r = mpbench("diff", base, files(new=results.latency(56000, seed=2)))
    assert r.returncode == 1 and r.stderr == ""
    row, = [line for line in r.stdout.splitlines() if line.startswith("REGRESSION")]
    assert re.search(r"\+1[12](\.\d)?%.*repl\.exec latency\.median", row)
    assert max(map(len, r.stdout.splitlines())) <= 80
    assert "\033" not in r.stdout
    assert "1 regression (threshold 5 %, alpha 0.05, Holm over 1, 10 runs a side, same machine)" in \
        " ".join(r.stdout.split())


@pytest.mark.parametrize("level, verdict", [(50000, "unchanged"), (44000, "improvement"), (51500, "unchanged")])
def test_what_is_no_regression_exits_with_0(mpbench, files, base, level, verdict):
    r = mpbench("diff", base, files(new=results.latency(level, seed=2)), "--json")
    assert r.returncode == 0
    assert json.loads(r.stdout)["rows"][0]["verdict"] == verdict


def test_a_file_against_itself_is_unchanged(mpbench, base):
    r = mpbench("diff", base, base)
    assert r.returncode == 0 and "unchanged" in r.stdout


def test_colours_only_when_wanted(mpbench, files, base):
    new = files(new=results.latency(56000, seed=2))
    coloured = mpbench("diff", "--color=always", base, new).stdout
    assert "\033[" in coloured
    assert re.sub(r"\033\[[0-9;]*m", "", coloured) == mpbench("diff", base, new).stdout


def test_several_files_a_side_are_pooled(mpbench, files):
    docs = {f"{side}{i}": results.latency(50000, seed=10 * i + len(side), runs=4) for side in ("base", "new")
            for i in range(3)}
    b0, b1, b2, n0, n1, n2 = files(**docs)
    r = mpbench("diff", b0, b1, b2, "--", n0, n1, n2, "--json")
    assert json.loads(r.stdout)["rows"][0]["n_base"] == 12
    r = mpbench("diff", b0, b1, b2, n0)
    assert r.returncode == 2 and "which files are the base" in r.stderr
    r = mpbench("diff", b0, b0, "--", n0)
    assert r.returncode == 2 and "count twice" in r.stderr


def test_options_may_follow_the_separator(mpbench, files, base):
    r = mpbench("diff", base, "--", files(new=results.latency(56000, seed=2)), "-q", "--threshold", "20%")
    assert r.returncode == 0 and r.stdout == ""


@pytest.mark.parametrize("words", [[], ["base"], ["--"], ["base", "--"], ["--", "base"]])
def test_a_missing_side_is_usage(mpbench, base, words):
    r = mpbench("diff", *[base if w == "base" else w for w in words])
    assert r.returncode == 2 and "diff" in r.stderr


def test_unlike_what_is_refused_and_may_be_allowed(mpbench, files, base):
    other = results.latency(50000, seed=2)
    other["config"]["what"]["chunk_bytes"] = 256
    path = files(other=other)
    r = mpbench("diff", base, path)
    assert r.returncode == 2 and "chunk_bytes is 64" in r.stderr and "--allow chunk_bytes" in r.stderr
    assert mpbench("diff", base, path, "--allow", "chunk_bytes").returncode == 0
    assert mpbench("diff", base, path, "--allow", "*").returncode == 0


def test_unlike_how_and_machine_are_noted(mpbench, files, base):
    other = results.latency(50000, seed=2)
    other["config"]["how"]["runs"] = 20
    other["config"]["out"]["output"] = "x.json"
    other["environment"]["fingerprint"] = "fedcba9876543210"
    r = mpbench("diff", base, files(other=other))
    text = " ".join(r.stdout.split())
    assert r.returncode == 0
    assert "runs was 10 in" in text and "different machines" in text and "DIFFERENT machines" in text
    assert "x.json" not in text


def test_fail_on(mpbench, files, base):
    noisy = results.latency(50000, seed=2, cv=0.2)
    noisy["noise"] = {"verdict": "noisy", "reasons": ["steal 9 %"]}
    path = files(noisy=noisy)
    assert mpbench("diff", base, path).returncode == 0
    assert mpbench("diff", base, path, "--fail-on", "regression,inconclusive").returncode == 1
    assert mpbench("diff", base, path, "--fail-on", "noisy").returncode == 1
    assert mpbench("diff", base, path, "--fail-on", "missing").returncode == 0
    assert mpbench("diff", base, path, "--fail-on", "luck").returncode == 2
    r = mpbench("diff", base, path)
    assert re.search(r"10 runs can show \d+ %, \d+ would show 5 %", r.stdout)


def test_gates_and_thresholds(mpbench, files):
    def doc(seed, p99):
        d = results.latency(50000, seed=seed)
        d["benchmarks"][0]["metrics"]["latency.p99"] = results.metric(p99 * (1 + i / 1000) for i in range(10))
        return d
    base, new = files(base=doc(1, 90000), new=doc(2, 99000))
    assert mpbench("diff", base, new).returncode == 0
    assert "regression" in mpbench("diff", base, new).stdout.split("Also measured")[1]
    assert mpbench("diff", base, new, "--gate", "latency.p99").returncode == 1
    assert mpbench("diff", base, new, "--gate", "repl.exec:latency.*", "--threshold", "latency.p99=20%").returncode == 0
    r = mpbench("diff", base, new, "--gate", "latency.p98")
    assert r.returncode == 2 and "latency.p98" in r.stderr


def test_counts_are_exact_or_said_not_to_be(mpbench, files):
    def doc(counts):
        m = results.metric(counts, "count_per_op", "lower", "exact")
        return results.document(results.case("repl.exec", {"syscalls.read": m}))
    base, more, mixed = files(base=doc([2] * 5), more=doc([2.02] * 5), mixed=doc([2, 2, 2, 3, 2]))
    r = mpbench("diff", base, more)
    assert r.returncode == 1 and re.search(r"REGRESSION +\+1.00% +exact", r.stdout)
    r = mpbench("diff", base, mixed, "-v")
    assert r.returncode == 0 and "counts differ from run to run" in r.stdout


def test_p_is_never_0(mpbench, files):
    base, new = files(base=results.latency(50000, seed=1, runs=20), new=results.latency(90000, seed=2, runs=20))
    assert "<0.001" in mpbench("diff", base, new, "-v").stdout


@pytest.mark.parametrize("text, why", [
    ("", "json"), ("{", "json"), ("[]", "must be an object"), ("{}", "no mpbench result"),
    ('{"schema": "mpbench.result", "schema_version": "2.0"}', "file is schema 2.x, this mpbench reads 1.x"),
    ('{"a": 1, "a": 2}', "duplicate"), ('{"a": NaN}', "invalid token"), ("[" * 100000, "nested deeper"),
    ('{"a": "\xff"}'.encode("latin-1"), "unable to decode byte"), ('{"a": 99999999999999999999}', "too big"),
])
def test_what_is_no_result_is_one_clear_error(mpbench, tmp_path, base, text, why):
    path = tmp_path / "bad.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    for words in (["diff", base, path], ["diff", path, base], ["check", path, "--that", "errors == 0"]):
        r = mpbench(*words)
        assert r.returncode == 2 and r.stdout == ""
        assert len(r.stderr.splitlines()) == 1 and "bad.json" in r.stderr
        if why != "json":
            assert why in r.stderr


def test_integers_beyond_2_to_the_53_are_refused(mpbench, tmp_path, base):
    doc = results.latency(50000)
    doc["benchmarks"][0]["runs"][0]["ok"] = 2**53
    r = mpbench("diff", base, results.write(tmp_path / "big.json", doc))
    assert r.returncode == 2 and "$.benchmarks[0].runs[0].ok" in r.stderr


@pytest.mark.native
def test_an_enormous_file_is_refused_in_bounded_memory(mpbench, tmp_path, base):
    path = tmp_path / "huge.json"
    with open(path, "w") as f:
        f.write('{"schema": "mpbench.result", "x": "')
        f.truncate(1 << 31)
    r = mpbench("diff", base, path, preexec_fn=lambda: __import__("resource").setrlimit(
        __import__("resource").RLIMIT_AS, (1 << 29, 1 << 29)))
    assert r.returncode == 2 and "larger than 64 MiB" in r.stderr


def test_hostile_names_do_not_reach_the_terminal(mpbench, files):
    doc = results.document(results.case("repl.exec", {"latency\x1b[31m": results.metric([5] * 10)}, params={"k": "\x07"}))
    other = results.document(results.case("repl.exec", {"latency\x1b[31m": results.metric([50] * 10)}, params={"k": "\x07"}))
    base, new = files(base=doc, new=other)
    r = mpbench("diff", base, new, "-v")
    assert "\x1b" not in r.stdout and "\x07" not in r.stdout and "\\x1b[31m" in r.stdout


def test_output_goes_to_a_file(mpbench, files, base, tmp_path):
    out = tmp_path / "diff.txt"
    r = mpbench("diff", base, files(new=results.latency(56000, seed=2)), "-o", out)
    assert r.returncode == 1 and r.stdout == "" and "REGRESSION" in out.read_text()
    r = mpbench("diff", base, base, "-o", tmp_path / "no" / "such")
    assert r.returncode == 5


# --- check ---------------------------------------------------------------------------------------------------------

def test_check_shows_value_and_limit(mpbench, base):
    r = mpbench("check", base, "--that", "repl.exec latency.median < 1ms")
    assert r.returncode == 0 and re.search(r"pass +\d+\.\d us  repl.exec latency.median < 1ms", r.stdout)
    r = mpbench("check", base, "--that", "latency.median < 1us", "--that", "errors == 0")
    assert r.returncode == 1 and r.stdout.startswith("FAIL")


def test_check_an_unknown_metric_is_no_pass(mpbench, base):
    r = mpbench("check", base, "--that", "latency.medain < 1s", "--that", "errors == 0")
    assert r.returncode == 2 and "did you mean latency.median" in r.stdout


def test_check_limits_of_a_file(mpbench, base, tmp_path):
    limits = tmp_path / "limits.txt"
    limits.write_text("# what we promise\nrepl.* latency.median < 1ms\nerrors == 0\n")
    r = mpbench("check", base, "--limits", limits, "--json")
    assert r.returncode == 0
    assert [c["status"] for c in json.loads(r.stdout)["checks"]] == ["pass", "pass"]
    limits.write_text("repl.* latency.median\n")
    r = mpbench("check", base, "--limits", limits)
    assert r.returncode == 2 and "limits.txt:1" in r.stderr
    assert mpbench("check", base).returncode == 2


def test_check_changes_against_a_baseline(mpbench, files):
    base, new = files(base=results.latency(50000, seed=1, cv=0.001), new=results.latency(52000, seed=2, cv=0.001))
    words = ["check", new, "--that", "repl.exec latency.median <= +3%"]
    r = mpbench(*words, "--baseline", base)
    assert r.returncode == 1 and re.search(r"FAIL +\+[34](\.\d+)?%  repl.exec latency.median <= \+3%", r.stdout)
    assert "in the baseline 50.0 us" in r.stdout
    assert mpbench(*words[:-1], "latency.median <= +5%", "--baseline", base).returncode == 0
    r = mpbench(*words)
    assert r.returncode == 2 and "--baseline" in r.stderr


def test_a_bench_keeps_to_changes_of_its_baseline(mpbench, measured):
    words = ["bench-repl", "builtin:", "--case", "exec", "--runs", "4", "--duration", "0.02"]
    r = mpbench(*words, "--that", "latency.median <= +3%")
    assert r.returncode == 2 and "--baseline" in r.stderr
    r = mpbench(*words, "--that", "latency.median >= -99%", "--baseline", measured)
    assert r.returncode in (0, 1) and re.search(r"pass .*latency.median >= -99%", r.stdout)


def test_check_standard_input(mpbench, base):
    with open(base) as f:
        assert mpbench("check", "-", "--that", "errors == 0", stdin=f).returncode == 0
    assert os.path.exists(base)


# --- --that, --baseline and %r of the benches ----------------------------------------------------------------------

@pytest.fixture(scope="module")
def measured(mpbench, tmp_path_factory):
    path = tmp_path_factory.mktemp("measured") / "base.json"
    r = mpbench("bench-repl", "builtin:", "--case", "exec", "--runs", "4", "--duration", "0.02", "-o", path,
                "--that", "repl.exec latency.median < 1m", "--that", "errors == 0")
    assert r.returncode == 0, r.stderr
    assert re.search(r"pass +\d.* repl.exec latency.median < 1m", r.stdout)
    return path


def test_a_bench_keeps_its_checks(measured):
    checks = json.loads(measured.read_text())["checks"]
    assert [c["status"] for c in checks] == ["pass", "pass"]
    assert checks[0]["limit"] == 60e9 and 0 < checks[0]["value"] < 60e9 and checks[0]["unit"] == "ns"


@pytest.mark.parametrize("that, status, why", [
    ("latency.median < 1ns", 1, ""), ("latency.medain < 1s", 2, "unknown"), ("latency.median", 2, "METRIC OP VALUE"),
])
def test_a_bench_exits_with_what_its_limits_say(mpbench, tmp_path, that, status, why):
    out = tmp_path / "r.json"
    r = mpbench("bench-repl", "builtin:", "--case", "exec", "--runs", "2", "--duration", "0.02", "-o", out, "--that", that)
    assert r.returncode == status and why in r.stderr
    if "OP" in why:
        assert not out.exists()
    else:
        assert json.loads(out.read_text())["checks"][0]["status"] in ("fail", "error")


def test_a_bench_compares_with_its_baseline(mpbench, measured, tmp_path):
    out = tmp_path / "r.json"
    words = ["bench-repl", "builtin:", "--runs", "4", "--duration", "0.02", "-o", out, "--baseline", measured]
    r = mpbench(*words, "--case", "exec")
    assert r.returncode in (0, 1) and "repl.exec latency.median" in r.stdout
    there = json.loads(out.read_text())["extensions"]["baseline"]
    assert there["gating"]["regression"] == r.returncode and there["rows"][0]["n_base"] == 4
    r = mpbench(*words, "--case", "print")
    assert r.returncode == 2 and "not the same measurement: case" in r.stderr


def test_a_slower_bench_is_a_regression(mpbench, measured, tmp_path):
    fast = json.loads(measured.read_text())
    for m in fast["benchmarks"][0]["metrics"].values():
        m["values"] = [v / 1000 if v else v for v in m["values"]]
    path = results.write(tmp_path / "fast.json", fast)
    r = mpbench("bench-repl", "builtin:", "--case", "exec", "--runs", "4", "--duration", "0.02", "--baseline", path)
    assert r.returncode == 1 and "REGRESSION" in r.stdout


def test_the_rank_is_part_of_the_file_name(mpbench, tmp_path):
    words = ["bench-repl", "builtin:", "--case", "exec", "--runs", "1", "--duration", "0.02", "-q"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OMPI_", "PMI", "SLURM_", "PARALLEL_"))}
    r = mpbench(*words, "-o", tmp_path / "out.%r.json", env={**clean, "SLURM_PROCID": "5"})
    assert r.returncode == 0
    assert json.loads((tmp_path / "out.5.json").read_text())["extensions"]["rank"] == "5"
    r = mpbench(*words, "-o", tmp_path / "out.%r.json", env=clean)
    assert r.returncode == 2 and "launcher" in r.stderr


# --- formats -------------------------------------------------------------------------------------------------------

FORMATS = ["markdown", "github", "junit", "openmetrics", "prom", "csv", "influx", "bmf", "gab", "lava"]


def many(n, level, seed):
    """n cases with a name that every format has to escape; throughput too."""
    import random
    r = random.Random(seed)
    cases = []
    for i in range(n):
        m = {"latency.median": results.metric(level * r.gauss(1, 0.002) for _ in range(6)),
             "syscalls.read": results.metric([2] * 6, "count_per_op", "lower", "exact"),
             "throughput": results.metric((1e9 / level * r.gauss(1, 0.002) for _ in range(6)), "bytes_per_second",
                                          "higher")}
        cases.append(results.case(f"repl.case{i}", m, params={"mode": 'a,b="<c>" | \\d\n%', "size": 64}))
    return results.document(*cases)


@pytest.fixture(scope="module")
def pair_of_files(tmp_path_factory):
    tmp = tmp_path_factory.mktemp("formats")
    return (results.write(tmp / "base.json", many(15, 50000, 1)), results.write(tmp / "new.json", many(15, 60000, 2)))


@pytest.fixture(params=["diff", "export"])
def formatted(request, mpbench, pair_of_files):
    """formatted(format, *more): the text that diff, or export, writes."""
    def make(name, *more):
        files = pair_of_files if request.param == "diff" else pair_of_files[1:]
        r = mpbench(request.param, *files, "--format", name, *more)
        assert r.returncode == (1 if request.param == "diff" else 0) and r.stderr == ""
        assert "\x1b" not in r.stdout
        return r.stdout
    make.compared = request.param == "diff"
    return make


def test_junit_is_xml(formatted):
    import xml.etree.ElementTree
    suite = xml.etree.ElementTree.fromstring(formatted("junit").encode())[0]
    cases = suite.findall("testcase")
    # latency and the exact count gate; the headline of a single result
    assert len(cases) == int(suite.get("tests")) == (30 if formatted.compared else 15)
    assert len(suite.findall("testcase/failure")) == int(suite.get("failures")) == (15 if formatted.compared else 0)
    assert any('"<c>" |' in c.get("classname") for c in cases)


def test_github_keeps_to_ten_annotations_a_kind(formatted):
    text = formatted("github")
    for kind in ("error", "warning", "notice"):
        lines = [line for line in text.splitlines() if line.startswith(f"::{kind} ")]
        assert len(lines) <= 10
        for line in lines:
            assert re.fullmatch(r"::\w+ title=[^:,]*::.*", line)
    if formatted.compared:
        assert text.count("::error ") == 10 and "6 further ones" in text
        assert "::notice title=mpbench::15 regressions" in text


def test_openmetrics_has_families_together_and_ends_with_eof(formatted):
    text = formatted("openmetrics")
    assert text.endswith("\n# EOF\n")
    seen, current, samples = set(), None, set()
    for line in text.splitlines()[:-1]:
        if line.startswith("# TYPE "):
            current = line.split()[2]
            assert current not in seen and re.fullmatch(r"[a-z_][a-z0-9_]*", current)
            seen.add(current)
        elif not line.startswith("# HELP "):
            m = re.fullmatch(r'(\w+)(\{(?:\w+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\S+)', line)
            assert m and m[1] == current and float(m[3]) >= 0
            assert (m[1], m[2]) not in samples
            samples.add((m[1], m[2]))
    assert "mpbench_latency_seconds" in seen and "mpbench_throughput_bytes_per_second" in seen
    value = re.search(r'mpbench_latency_seconds\{[^ ]*benchmark="repl.case0".*\} (\S+)', text)[1]
    assert 5e-5 < float(value) < 7e-5
    assert formatted("prom") + "# EOF\n" == text


def test_csv_has_as_many_fields_as_its_head(formatted):
    import csv
    import io
    rows = list(csv.reader(io.StringIO(formatted("csv"), newline="")))
    assert len(rows) == 46 and {len(r) for r in rows} == {18 if formatted.compared else 10}
    assert 'mode=a,b="<c>" | \\d\\x0a% size=64' in {r[2] for r in rows}


def test_influx_lines(formatted):
    tag = r"(?:[^,= \\]|\\[,= ])+"
    lines = formatted("influx").splitlines()
    assert len(lines) == 45
    for line in lines:
        assert re.fullmatch(rf"mpbench(,\w+={tag})+ runs=\d+i(,\w+=[-+.e\d]+)+", line), line


def test_bmf(formatted):
    bmf = json.loads(formatted("bmf"))
    assert len(bmf) == 15
    for measures in bmf.values():
        one = measures["latency.median"]
        assert one["lower_value"] <= one["value"] <= one["upper_value"]


def test_gab_holds_one_direction(formatted):
    lower, higher = json.loads(formatted("gab")), json.loads(formatted("gab", "--better", "higher"))
    assert len(lower) == 30 and len(higher) == 15
    assert all(set(e) >= {"name", "unit", "value", "extra"} for e in lower + higher)
    assert all("throughput" in e["name"] for e in higher)


def test_lava_has_four_columns(formatted):
    for line in formatted("lava").splitlines():
        name, result, value, unit = line.split(" ")
        assert re.fullmatch(r"[\w.-]+", name) and result in ("pass", "fail") and float(value) > 0 and unit
    assert (" fail " in formatted("lava")) == formatted.compared


def test_markdown_is_a_table_without_foreign_markup(formatted):
    text = formatted("markdown")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    bars = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
    assert bars == ({9} if formatted.compared else {6})
    assert "<c>" not in text and "&lt;c&gt;" in text


def test_markdown_stays_below_the_limit_of_a_summary(mpbench, tmp_path):
    docs = [results.document(*(results.case("repl.exec", {f"latency.m{m}": results.metric([100 + seed + m % 7] * 4)
                                                          for m in range(400)}, params={"n": n, "pad": "x" * 150})
                               for n in range(20))) for seed in (1, 2)]
    base, new = (results.write(tmp_path / f"{i}.json", d) for i, d in enumerate(docs))
    r = mpbench("diff", base, new, "--format", "markdown")
    assert 900 * 1024 < len(r.stdout.encode()) < 1024 * 1024
    assert "further rows are left out" in r.stdout and r.stdout.endswith("</details>\n")


def test_hostile_text_keeps_xml_and_metrics_well_formed(mpbench, tmp_path):
    import xml.etree.ElementTree
    m = {"latency\ufffe]]>&\u202e": results.metric([5] * 6)}
    doc = results.document(results.case("repl.exec", m, headline="latency\ufffe]]>&\u202e", target="a\"b\\"))
    path = results.write(tmp_path / "x.json", doc)
    xml.etree.ElementTree.fromstring(mpbench("export", path, "--format", "junit").stdout.encode())
    for name in FORMATS:
        r = mpbench("export", path, "--format", name)
        # JSON holds names as they are
        assert r.returncode == 0 and (name in ("bmf", "gab") or "\u202e" not in r.stdout)


def test_export_shows_the_table_of_a_result(mpbench, measured):
    r = mpbench("export", measured, "--format", "table")
    assert r.returncode == 0 and "repl.exec" in r.stdout
    assert mpbench("export", measured, "--json").returncode == 2
    assert mpbench("export").returncode == 2


# --- old files -----------------------------------------------------------------------------------------------------

GOLDEN = sorted((TOP / "tests" / "data" / "golden").glob("result-*.json"))


def test_there_is_a_golden_file_of_this_version(measured):
    version = json.loads(measured.read_text())["schema_version"]
    assert f"result-{version}.json" in [p.name for p in GOLDEN]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.name)
def test_old_files_stay_readable(mpbench, tmp_path, path):
    assert json.loads(path.read_text())["schema_version"] == path.stem.removeprefix("result-")
    assert mpbench("validate", path).returncode == 0
    r = mpbench("diff", path, path, "--json")
    rows = {(row["benchmark"], row["metric"]): row for row in json.loads(r.stdout)["rows"]}
    assert r.returncode == 0 and rows["repl.exec", "latency.median"]["n"] == 4
    assert all(row["ratio"] == 1 for row in rows.values() if row["gates"])
    assert mpbench("check", path, "--that", "repl.exec latency.median < 1s", "--that", "errors == 0").returncode == 0
    assert mpbench("merge", path, "-o", tmp_path / "merged.json", "-q").returncode == 0
    for name in FORMATS:
        r = mpbench("export", path, "--format", name)
        # annotations are of limits only: there are none
        assert r.returncode == 0 and bool(r.stdout) == (name != "github")


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.name)
def test_a_later_minor_version_with_more_keys_is_compared(mpbench, tmp_path, path):
    later = json.loads(path.read_text())
    later.update(schema_version="1.99", run_id="f" * 32, from_later={"x": 1})
    later["benchmarks"][0]["runs"][0]["from_later"] = [1]
    r = mpbench("diff", path, results.write(tmp_path / "later.json", later))
    assert r.returncode == 0
