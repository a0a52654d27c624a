"""mpbench report: one page of pictures, in a real browser at three widths; and the same as Markdown and text."""
import html.parser
import itertools
import json
import os
import re
import resource
import shutil

import pytest

import results
from conftest import TOP, lacking
from peers.browser import Browser

EXAMPLES = [p for p in sorted((TOP / "results-schema" / "examples").glob("*.json"))
            if json.loads(p.read_text())["schema"] == "mpbench.result"]
WINDOWS = {"phone": (360, "screen", "light"), "laptop": (1280, "screen", "dark"), "print": (702, "print", "light")}
ENGLISH = {**os.environ, "LC_ALL": "C.UTF-8"}


@pytest.fixture(scope="module")
def browser():
    program = shutil.which("chromium")
    if program is None:
        lacking("chromium is not installed")
    made = Browser(program)
    yield made
    made.close()


# --- documents -----------------------------------------------------------------------------------------------------

def latencies(seed, n=200, level=50000, slow=0.0):
    """Samples in ns, with a second group far above for a share of them."""
    import math
    import random
    r = random.Random(seed)
    return [max(1, int(r.lognormvariate(math.log(level), 0.2) + (41e6 if r.random() < slow else 0))) for _ in range(n)]


def bench(name, seed, target="t1", runs=10, samples=False, level=50000, slow=0.0, params=None, calls=None):
    """A case as a bench writes it: distributions, percentiles over all runs, one value a run."""
    lists = [latencies(seed * 1000 + i, level=level, slow=slow) for i in range(runs)]
    middle = [sorted(v)[len(v) // 2] for v in lists]
    metrics = {"latency.median": results.metric(middle)}
    for call, n in (calls or {}).items():
        metrics[f"syscalls.{call}"] = results.metric([n] * runs, "count_per_op", assume="exact")
    c = results.case(name, metrics, target=target, params=params)
    c["loop"] = "closed"
    for run, values in zip(c["runs"], lists):
        run["distributions"]["latency"] = results.distribution(values)
        if samples:
            run["distributions"]["latency"]["samples"] = values
    everything = sorted(itertools.chain(*lists))
    pooled = results.distribution(everything)
    del pooled["hist"]
    pooled["percentiles"] = {f"p{p}": everything[int(len(everything) * p / 100)] for p in (90, 95, 99)}
    c["pooled"] = {"latency": pooled}
    return c


def twenty(run_id, samples=False, level=50000):
    return results.document(*(bench(f"repl.case{i}", i, samples=samples, level=level, params={"size": 64 << i % 5})
                              for i in range(20)), run_id=run_id)


def hostile():
    """Everything that comes from outside is as bad as a schema lets it be."""
    bad = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x1b]0;t\x07\x1b[31m\u202eevil\u2066|`*_[x](javascript:x)\u200b"
    c = bench("repl.exec", 1, target=bad, params={bad: bad}, samples=True)
    c["metrics"][f"syscalls.{bad}"] = results.metric([3] * 10, bad, assume="exact")
    c["metrics"][bad] = results.metric([1e300] * 9 + [None], bad, "none")
    c["runs"][0].update(errors={bad: 3}, error_details={bad: bad}, failed=3)
    c["runs"][1]["distributions"][bad] = results.distribution([1, 2, 3])
    c["note"] = bad
    return results.document(c, status="failed", error={"kind": "target", "code": bad, "message": bad},
                            command={"subcommand": "bench-repl", "argv": ["mpbench", bad]}, labels={bad: bad},
                            vcs={"commit": bad}, noise={"verdict": "noisy", "reasons": [bad]},
                            targets=[{"label": bad, "url": bad, "identity": {bad: bad}}],
                            checks=[{"expr": bad, "status": "fail", "message": bad}],
                            findings=[{"code": bad, "benchmark": bad, "target": bad, "evidence": bad, "remedy": bad}],
                            warnings=[{"code": bad, "message": bad}],
                            extensions={"phase_budget": [{"target": bad, "phases": [
                                {"name": bad, "ns": 1e6, "percent": 50}, {"name": "x", "ns": None, "percent": None}]}],
                                "trace_rpc": {"calls": [{"name": bad, "from": bad, "total_ns": 1e300, "calls": -1},
                                                        {"name": bad, "from": "server"}, {}],
                                              "loops": [{"repeats": bad}], "exceptions": [{"type": bad, "from": bad, "count": 1}]}})


def crowded():
    """Names, labels and numbers that hardly fit: 12 targets, wide letters, right-to-left names, extreme values."""
    names = ["W" * 63, "\u6f22" * 40, "\u05d0\u05d1\u05d2 \u05d3" * 8, "\U0001f600" * 20, "a b c " * 10, "m" * 30] + \
            [f"target-with-a-long-name-{i}" for i in range(6)]
    cases = []
    for i, n in enumerate(names):
        cases.append(bench("repl.exec-with-a-name-that-is-rather-long", i, target=n, level=10 ** (2 + i), slow=0.02 * (i % 2),
                           params={"a-parameter-of-some-length": "x" * 60, "n": i}, samples=True,
                           calls={f"{'long_system_call_name' * 2}_{k}": 10.0 ** k for k in range(i + 3)}))
        cases.append(bench("repl.same", 50 + i, target=n, level=10 ** (2 + i)))
        cases.append(results.case("repl.few", {"latency.median": results.metric([2 ** 40 * (i + 1)])}, target=n))
    phases = [{"target": n, "phases": [{"name": f"phase-{k}-{'y' * 20}", "ns": 10.0 ** k, "percent": 1} for k in range(9)]}
              for n in names]
    return results.document(*cases, targets=[{"label": n, "url": "builtin:" + n, "identity": {"banner": n}} for n in names],
                            extensions={"phase_budget": phases})


def matrix(sizes=(512, 1024, 1428, 4096, 8192, 16384, 32768, 65464), windows=(1, 2, 4, 8, 16, 32, 64, 256)):
    def one(b, w):
        return results.case("tftp.read", {"throughput": results.metric(
            [b * w * 900.0 / (1 + w / 40) + i for i in range(4)], "bytes_per_second", "higher")},
            headline="throughput", params={"blksize": b, "windowsize": w, "concurrency": 1})
    return results.document(*(one(b, w) for b in sizes for w in windows))


def bridge():
    way = {"bytes": 123456, "pieces": 999, "queued": 3, "added_latency_ns": {
        "n": 999, "min": 900, "max": 2345678, "p50": 4000, "p90": 9000, "p99": 80000, "p999": 900000}}
    return results.document(extensions={"bridge": {"sessions": 12, "refused": 1, "device_starts": 3, "to_client": way,
                                                   "to_device": {**way, "added_latency_ns": {"n": 0}}}})


def compared():
    """The same benchmark twice: one case slower, one faster, one alike, one lost."""
    def side(run_id, factors):
        return results.document(*(bench(f"repl.case{i}", i, level=int(50000 * f), samples=True,
                                        calls={"read": 2 + (f > 1), "write": 1}) for i, f in enumerate(factors) if f),
                                run_id=run_id)
    return side("a" * 32, [1, 1, 1, 1]), side("b" * 32, [1.5, 0.5, 1, 0])


MADE = {"one": lambda: [twenty("1" * 32, samples=True)], "compared": lambda: list(compared()), "crowded": lambda: [crowded()],
        "hostile": lambda: [hostile()], "matrix": lambda: [matrix()], "bridge": lambda: [bridge()],
        "small-matrix": lambda: [matrix((512, 1428), (1, 4))], "nothing": lambda: [results.document()],
        "eight": lambda: [results.latency(50000 * (1 + i / 10), seed=i, run_id=f"{i:032x}") for i in range(8)]}


def written(tmp_path, docs):
    return [results.write(tmp_path / f"{'result-of-the-run-' if len(docs) > 2 else 'r'}{i}.json", d)
            for i, d in enumerate(docs)]


# --- the browser ---------------------------------------------------------------------------------------------------

def look(browser, page):
    """The page in all windows: what is wrong, and every file that it asked for."""
    faults = []
    browser.open(page)
    for name, (width, media, scheme) in WINDOWS.items():
        browser.window(width, media=media, scheme=scheme)
        faults += [f"{name}: {fault}" for fault in browser.faults()]
    assert browser.complaints == []
    assert browser.requests == [f"file://{page}"]
    return faults


@pytest.mark.native
@pytest.mark.parametrize("name", sorted(MADE))
def test_nothing_overlaps_or_is_cut(mpbench, browser, tmp_path, name):
    page = tmp_path / "report.html"
    r = mpbench("report", *written(tmp_path, MADE[name]()), "-o", page)
    assert r.returncode == 0, r.stderr
    assert look(browser, page) == []


@pytest.mark.native
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_every_example_is_shown(mpbench, browser, tmp_path, path):
    """One document of each subcommand, as it was really written."""
    page = tmp_path / "report.html"
    r = mpbench("report", path, "-o", page)
    assert r.returncode == 0, r.stderr
    assert look(browser, page) == []
    assert browser.value("document.querySelectorAll('figure>svg').length") > 0


def test_what_is_no_latency_is_named_as_what_it_is(mpbench):
    """The fastest interval is not the slowest operation; round trips have pictures of their own."""
    r = mpbench("report", TOP / "results-schema" / "examples" / "iperf.json", "--format", "html")
    assert r.returncode == 0, r.stderr
    assert "slow" not in r.stdout and "Closed loop" not in r.stdout
    assert re.search(r"interval\.throughput, half at most [\d.]+ [GM]bit/s, the highest [\d.]+ [GM]bit/s", r.stdout)
    assert re.search(r"iperf\.tcp: rtt, half at most [\d.]+ [mun]s", r.stdout)


@pytest.mark.native
def test_real_results_with_and_without_a_second(mpbench, browser, tmp_path):
    common = ["--runs", "3", "-n", "25", "--samples", "-q"]
    made = {"repl": ["bench-repl", "a=builtin:", "b=builtin:", "--case", "exec,session", *common],
            "again": ["bench-repl", "a=builtin:", "b=builtin:", "--case", "exec,session", *common],
            "tftp": ["bench-tftp", "builtin:", "--case", "read", "-b", "512,8192", "-w", "1,16", *common[:2], "-n", "3", "-q"]}
    for name, words in made.items():
        r = mpbench(*words, "-o", tmp_path / f"{name}.json")
        assert r.returncode == 0, r.stderr
    for files in (["repl"], ["repl", "again"], ["tftp"]):
        page = tmp_path / "report.html"
        r = mpbench("report", *(tmp_path / f"{f}.json" for f in files), "-o", page)
        assert r.returncode == 0, r.stderr
        assert look(browser, page) == []
        kinds = browser.value("[...document.querySelectorAll('figure>svg>title')].map(t => t.textContent)")
        wanted = {"Runs in order"} | ({"Heat map"} if files == ["tftp"] else
                                      {"Percentile spectrum", "Histogram", "Time series", "Phase budget",
                                       "Forest plot of ratios"})
        assert wanted <= set(kinds)


@pytest.mark.native
def test_a_real_trace_and_a_real_bridge(mpbench, browser, tmp_path, start):
    trace = mpbench("trace-syscalls", "-q", "-o", tmp_path / "trace.json", "--", "true")
    done = mpbench("bridge", "--rfc2217", "off", "--raw", "0", "-q", "-o", tmp_path / "bridge.json", "exec:true", "--restart",
                   "never")
    files = [p for p in (tmp_path / "trace.json", tmp_path / "bridge.json") if p.exists()]
    assert (tmp_path / "trace.json") in files or trace.returncode == 3
    assert (tmp_path / "bridge.json") in files, done.stderr
    for path in files:
        page = tmp_path / "report.html"
        r = mpbench("report", path, "-o", page)
        assert r.returncode == 0, r.stderr
        assert look(browser, page) == []


@pytest.mark.native
def test_pictures_hold_what_was_measured(mpbench, browser, tmp_path):
    """Marks are the runs, in order and at their heights; the histogram's bars are all operations."""
    values = [50000, 60000, 55000, 80000, 52000]
    c = bench("repl.exec", 1, runs=5)
    c["metrics"]["latency.median"]["values"] = values
    page = tmp_path / "report.html"
    assert mpbench("report", *written(tmp_path, [results.document(c)]), "-o", page).returncode == 0
    browser.open(page)
    paths = browser.value("[...document.querySelectorAll('figure>svg .mark')].map(p => p.getAttribute('d'))")
    at = [tuple(map(float, m)) for m in re.findall(r"M([\d.]+) ([\d.]+)m", paths[0])]
    assert len(at) == 5 and [x for x, _ in at] == sorted(x for x, _ in at)
    heights = [y for _, y in at]
    scale = (heights[0] - heights[3]) / 30000
    for value, y in zip(values, heights):
        assert abs((heights[0] - y) - scale * (value - 50000)) < 0.2
    cells = browser.value("[...document.querySelectorAll('.nums td')].map(t => t.textContent)")
    assert {"50.0 us", "60.0 us", "55.0 us", "80.0 us", "52.0 us"} <= set(cells)
    bars = browser.value("document.querySelector('figure>svg .fill').getAttribute('d')")
    top = float(re.search(r"([\d.]+) %", browser.value(
        "[...document.querySelectorAll('figure>svg')].find(s => s.textContent.startsWith('Histogram')).querySelectorAll("
        "'text.e')[0].textContent")).group(1))
    drawn = [float(h) for h in re.findall(r"v([\d.]+)h", bars)]
    assert abs(sum(drawn) / max(drawn) * top - 100) < 5


# --- what the page is made of --------------------------------------------------------------------------------------

class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.attributes = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for key, value in attrs:
            self.attributes.append(key)
            if key == "id":
                self.ids.append(value)
            if key in ("src", "href", "data", "srcset", "action"):
                self.links.append(value)


@pytest.mark.parametrize("name", sorted(MADE))
def test_the_page_is_self_contained_and_named(mpbench, tmp_path, name):
    r = mpbench("report", *written(tmp_path, MADE[name]()))
    assert r.returncode == 0, r.stderr
    page = Page(r.stdout)
    assert not {"script", "img", "iframe", "object", "embed", "link", "base", "form"} & set(page.tags)
    assert not [a for a in page.attributes if a.startswith("on")]
    assert all(link.startswith("#") for link in page.links) and "url(" not in r.stdout and "@import" not in r.stdout
    assert len(page.ids) == len(set(page.ids))
    for svg in re.findall(r"<svg viewBox[^>]*role=img aria-labelledby=\"t(\d+) d(\d+)\">(.*?)</svg>", r.stdout, re.S):
        assert re.match(rf"<title id=t{svg[0]}>[^<]+</title><desc id=d{svg[1]}>[^<]+</desc>", svg[2])
    # Each picture has a title that says something, and its numbers in a table.
    for figure in re.findall(r"<section class=fig>(.*?)</section>", r.stdout, re.S):
        assert re.search(r"<h4>[^<]{10,}</h4>", figure) and "<td" in figure


def test_hostile_text_is_harmless_in_every_form(mpbench, tmp_path):
    path = results.write(tmp_path / "<b>&'.json", hostile())
    for form in ("html", "markdown", "text"):
        r = mpbench("report", path, "--format", form, "-v", env=ENGLISH)
        assert r.returncode == 0, r.stderr
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", r.stdout)
        if form != "text":
            assert "<script" not in r.stdout and "<img" not in r.stdout and "<b>&'" not in r.stdout
        if form == "markdown":
            assert not re.search(r"(?<!\\)[`*_\[\]]\S*javascript", r.stdout)
            assert "\\[x\\]\\(javascript:x\\)" in r.stdout
        else:
            assert "\\u{202e}evil" in r.stdout


@pytest.mark.native
def test_ten_runs_of_twenty_cases_are_small_and_quick(mpbench, tmp_path):
    files = written(tmp_path, [twenty("1" * 32), twenty("2" * 32, level=60000)])
    for chosen in (files[:1], files):
        page = tmp_path / "report.html"
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert mpbench("report", *chosen, "-o", page).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert page.stat().st_size < 300_000
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0
        assert page.read_text().count("Percentile spectrum</title>") == 20


def test_titles_say_what_is_seen(mpbench, tmp_path):
    text = mpbench("report", *written(tmp_path, list(compared()))).stdout
    assert "repl.case0: B r1 is 1.5 times slower than A r0" in text or \
           re.search(r"repl\.case0: B r1 is 5\d % slower than A r0", text)
    assert "repl.case1: B r1 is 2.0 times faster than A r0" in text
    assert "repl.case2: B r1 and A r0 are the same within the threshold" in text
    assert re.search(r"B r1 against A r0: \d of \d+ worse, \d of \d+ better", text)
    assert "A r0 makes" in text or "system calls per operation" in text
    text = mpbench("report", *written(tmp_path, [matrix()])).stdout
    assert "tftp.read: best with blksize 65464 and windowsize 256" in text
    text = mpbench("report", *written(tmp_path, [results.document(bench("repl.exec", 1, slow=0.3))])).stdout
    assert re.search(r"repl\.exec: two groups, 70 % around 5\d\.\d us and 30 % around 41\.\d ms", text)


def test_a_rising_series_is_called_rising(mpbench, tmp_path):
    values = [50000 + 1000 * i for i in range(10)]
    rising = results.document(results.case("repl.exec", {"latency.median": results.metric(values)}))
    assert "rising from run to run" in mpbench("report", *written(tmp_path, [rising])).stdout
    flat = results.document(results.case("repl.exec", {"latency.median": results.metric(values[::2] + values[1::2])}))
    assert "rising from run" not in mpbench("report", *written(tmp_path, [flat])).stdout


# --- colours -------------------------------------------------------------------------------------------------------

# What an eye sees that lacks one kind of cone, on linear RGB: Machado, Oliveira and Fernandes 2009, severity 1.
EYES = {
    "full": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no red": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "no green": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "no blue": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}


def linear(color):
    part = [int(c * 2 if len(color) == 4 else c, 16) / 255 for c in re.findall("." if len(color) == 4 else "..", color[1:])]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in part]


def contrast(a, b):
    light, dark = sorted((0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (linear(a), linear(b))), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def lab(color, eye):
    r, g, b = (min(1, max(0, sum(m * c for m, c in zip(row, linear(color))))) for row in EYES[eye])
    x, y, z = ((t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116) for t in (
        (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505, 0.2126 * r + 0.7152 * g + 0.0722 * b,
        (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("which", [0, 1], ids=["light", "dark"])
def test_colours_can_be_told_apart_by_every_eye(mpbench, tmp_path, which):
    style = mpbench("report", *written(tmp_path, [results.document()])).stdout
    names = dict(re.findall(r"--(\w+):(#[0-9a-f]{3,6})", re.findall(r":root\{(?:color-scheme:light dark;)?(--bg[^}]*)\}", style)[which]))
    lines = [names[f"c{i}"] for i in range(8)]
    assert min(contrast(c, names["bg"]) for c in lines) >= 3
    assert min(contrast(names[n], names["bg"]) for n in ("fg", "dim", "bad", "good", "same")) >= 4.5
    for eye in EYES:
        seen = [lab(c, eye) for c in lines]
        assert min(sum((p - q) ** 2 for p, q in zip(a, b)) ** 0.5 for a, b in itertools.combinations(seen, 2)) >= 12


# --- other forms ---------------------------------------------------------------------------------------------------

def test_text_has_histograms_and_sparklines(mpbench, tmp_path):
    files = written(tmp_path, list(compared()))
    told = mpbench("report", "--format", "text", *files, env=ENGLISH).stdout
    assert re.search(r"A r0 +5\d\.\d us  [▁▂▃▄▅▆▇█]{10} +[▁▂▃▄▅▆▇█ ]{5,20}", told)
    assert "B r1 is 2.0 times faster than A r0" in told and "regression" in told
    plain = mpbench("report", "--format", "text", *files, env={**os.environ, "LC_ALL": "C"}).stdout
    assert plain.isascii() and re.search(r"A r0 +5\d\.\d us  [_.:=+*#-]{10} ", plain)
    assert max(map(len, plain.splitlines())) <= 80
    single = mpbench("report", "--format", "text", files[0], env=ENGLISH).stdout
    assert "Every run in order" in single and "P99" in single


def test_markdown_is_tables_and_bounded(mpbench, tmp_path):
    told = mpbench("report", "--format", "markdown", *written(tmp_path, list(compared()))).stdout
    assert "| repl.case0 | A r0 |" in told and "**regression**" in told
    many = results.document(*(results.case(f"repl.c{i}", {"latency.median": results.metric([1, 2, 3])},
                                           params={"x": "y" * 5000}) for i in range(300)))
    told = mpbench("report", "--format", "markdown", *written(tmp_path, [many])).stdout
    assert len(told.encode()) < 1000 * 1024 and "left out" in told


def test_output_is_whole_or_not_at_all(mpbench, tmp_path):
    page = tmp_path / "report.html"
    page.write_text("the old one")
    path = results.write(tmp_path / "r.json", results.latency(50000))
    bad = tmp_path / "bad.json"
    bad.write_text("{")
    assert mpbench("report", bad, "-o", page).returncode == 2
    assert page.read_text() == "the old one"
    assert mpbench("report", path, "-o", page).returncode == 0
    assert page.read_text().startswith("<!doctype html>") and page.read_text().endswith("</html>\n")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.json", "r.json", "report.html"]
    assert mpbench("report", path, "-o", tmp_path / "none" / "x.html").returncode == 5
    full = mpbench("report", path, "-o", "/dev/full")
    assert full.returncode == 5 and "No space left" in full.stderr


def test_what_cannot_be_compared_is_refused(mpbench, tmp_path):
    first = results.latency(50000, run_id="1" * 32)
    other = results.latency(50000, run_id="2" * 32)
    other["config"]["what"]["chunk_bytes"] = 256
    files = written(tmp_path, [first, other])
    r = mpbench("report", *files)
    assert r.returncode == 2 and "chunk_bytes" in r.stderr
    assert mpbench("report", "--allow", "chunk_bytes", *files).returncode == 0
    assert mpbench("report").returncode == 2
    assert mpbench("report", *[files[0]] * 9).returncode == 2
    assert mpbench("report", tmp_path / "none.json").returncode == 2


def test_more_cases_than_a_page_takes_are_counted(mpbench, tmp_path):
    many = results.document(*(results.case(f"repl.c{i}", {"latency.median": results.metric([1, 2, 3])}) for i in range(250)))
    told = mpbench("report", *written(tmp_path, [many])).stdout
    assert "50 benchmarks beyond the first 200 cases are left out" in told
