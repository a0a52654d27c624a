"""Result documents: schema and validator agree, the example is current, and a file is whole or not there at all."""
import copy
import json
import math
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests"))
import schema_check  # noqa: E402

MPBENCH = pathlib.Path(os.environ.get("MPBENCH", TOP / "build" / "mpbench")).resolve()
WRITER = MPBENCH.parent / "unit" / "test-emit"
EXAMPLES = TOP / "results-schema" / "examples"

pytestmark = pytest.mark.skipif(not WRITER.exists(), reason=f"{WRITER} is not built (make unit)")


def write(path, *before, targets="2", **kw):
    return subprocess.run([*before, WRITER, "write", path, targets], capture_output=True, text=True, timeout=60, **kw)


def validate(*files, **kw):
    return subprocess.run([MPBENCH, "validate", *files], capture_output=True, text=True, timeout=60, **kw)


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    path = tmp_path_factory.mktemp("document") / "result.json"
    assert write(path).returncode == 0
    return json.loads(path.read_text())


def same(a, b, path="$"):
    """Equal but for the last digits of reals, which differ between compilers."""
    if isinstance(a, float) or isinstance(b, float):
        assert math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12), path
    elif isinstance(a, dict) and isinstance(b, dict):
        assert list(a) == list(b), path
        for key in a:
            same(a[key], b[key], f"{path}.{key}")
    elif isinstance(a, list) and isinstance(b, list):
        assert len(a) == len(b), path
        for i, pair in enumerate(zip(a, b)):
            same(*pair, f"{path}[{i}]")
    else:
        assert a == b, path


def test_example_is_what_is_written(document):
    path = EXAMPLES / "two-targets.json"
    normal = schema_check.normalise(document)
    if os.environ.get("MPBENCH_REGENERATE"):
        path.write_text(schema_check.text_of(normal))
    same(json.loads(path.read_text()), normal)


RESULTS = [p for p in sorted(EXAMPLES.glob("*.json")) if schema_check.is_result(json.loads(p.read_text()))]


@pytest.mark.parametrize("path", RESULTS, ids=lambda p: p.name)
def test_examples_are_valid(path):
    schema_check.check(json.loads(path.read_text()))
    done = validate(path)
    assert done.returncode == 0 and ": ok (mpbench.result 1.0" in done.stdout


def test_schema_itself():
    schema_check.jsonschema.Draft202012Validator.check_schema(schema_check.OPEN)
    assert schema_check.CLOSED["$defs"]["run"]["additionalProperties"] is False


def test_closed_schema_finds_what_is_not_described(document):
    drifted = copy.deepcopy(document)
    drifted["benchmarks"][0]["runs"][0]["latency_ms"] = 1
    schema_check.check(drifted, schema_check.READER)
    with pytest.raises(ValueError, match="latency_ms"):
        schema_check.check(drifted)


def small(document):
    """The document with one of everything, so that each place of it can be spoilt in turn."""
    cut = copy.deepcopy(document)
    cut["benchmarks"] = [cut["benchmarks"][3]]
    benchmark = cut["benchmarks"][0]
    benchmark["runs"] = benchmark["runs"][:1]
    for name in list(benchmark["metrics"]):
        if name not in ("latency.median", "syscalls.read"):
            del benchmark["metrics"][name]
            continue
        for key in ("values", "totals", "operations"):
            if key in benchmark["metrics"][name]:
                benchmark["metrics"][name][key] = benchmark["metrics"][name][key][:1]
    cut["comparisons"] = cut["comparisons"][:1]
    return cut


def places(value, path=()):
    """Paths of all members, and of the first element of every array."""
    items = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, inner in items:
        yield path + (key,)
        yield from places(inner, path + (key,))


def spoil(document, path, value):
    spoilt = copy.deepcopy(document)
    at = spoilt
    for key in path[:-1]:
        at = at[key]
    if value is KeyError:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return spoilt


@pytest.mark.native
def test_validator_and_schema_agree(document, tmp_path):
    """Whatever the schema refuses, `mpbench validate` refuses; it alone knows about sums and lengths."""
    base = small(document)
    files, refused = [], {}
    for path in places(base):
        for value in (KeyError, None, "x", 1.5, -1, 2**53, True, [], {}, [{}], [None]):
            spoilt = spoil(base, path, value)
            name = tmp_path / f"{len(files)}.json"
            name.write_text(json.dumps(spoilt))
            files.append(name)
            valid = schema_check.READER.is_valid(spoilt)
            refused[str(name)] = (valid, path, value)
    assert len(files) > 1000
    lines = []
    for i in range(0, len(files), 500):
        lines += validate(*files[i:i + 500]).stdout.splitlines()
    assert len(lines) == len(files)
    thinner = ("has ", "adds up to", "is more than", "must be a number where n is not 0", "leaves the scale",
               "must be at least 1")
    for name, line in zip(map(str, files), lines):
        valid, path, value = refused[name]
        accepted = ": ok (" in line
        if valid != accepted:
            assert valid and any(word in line for word in thinner), f"{path} = {value}: schema says {valid}: {line}"


def test_validate_names_file_and_path(tmp_path, document):
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(spoil(document, ("benchmarks", 0, "metrics", "latency.median", "unit"), KeyError)))
    torn = tmp_path / "torn.json"
    torn.write_text(json.dumps(document)[:5000])
    done = validate(bad, torn, tmp_path / "none.json")
    assert done.returncode == 2
    lines = done.stdout.splitlines()
    assert lines[0] == f"{bad}: $.benchmarks[0].metrics.latency.median: unit is missing"
    assert lines[1].startswith(f"{torn}:1: ") and "none.json" in lines[2] and len(lines) == 3
    done = validate("-", input=json.dumps(document))
    assert done.returncode == 0 and done.stdout.startswith("-: ok (mpbench.result 1.0, 6 benchmarks, 10 runs)")
    assert validate().returncode == 2


def test_hostile_file_is_refused_quickly(tmp_path):
    big = tmp_path / "big.json"
    big.write_text("[" + "0," * (9 << 20) + "0]")
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 100000)
    huge = tmp_path / "huge.json"
    with open(huge, "wb") as file:
        file.truncate(65 << 20)
    done = validate(big, deep, huge)
    assert done.returncode == 2
    assert [word in line for word, line in zip(("8 million", "64 levels", "64 MiB"), done.stdout.splitlines())] == [True] * 3


def whole(path):
    schema_check.check(json.loads(path.read_text()))


strace = pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")


def write_traced(path, trace, inject):
    return write(path, "strace", "-f", "-qq", "-o", trace, "-e", f"trace={inject.split(':')[0]}", "-e",
                 f"inject={inject}")


@strace
@pytest.mark.native
@pytest.mark.parametrize("inject", ["write:error=EINTR:when=1", "fsync:error=EINTR:when=1", "fsync:error=EINVAL:when=2"])
def test_passing_trouble_is_no_trouble(tmp_path, inject):
    path = tmp_path / "result.json"
    done = write_traced(path, tmp_path / "trace", inject)
    assert done.returncode == 0, done.stderr
    whole(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["result.json", "trace"]


@strace
@pytest.mark.native
@pytest.mark.parametrize("inject", ["write:error=EIO:when=1", "write:error=ENOSPC:when=1", "fsync:error=EIO:when=1",
                                    "rename:error=EIO:when=1"])
def test_lasting_trouble_keeps_the_old_file(tmp_path, inject):
    path = tmp_path / "result.json"
    path.write_text("old")
    done = write_traced(path, tmp_path / "trace", inject)
    assert done.returncode == 5 and "result.json" in done.stderr
    assert path.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["result.json", "trace"]


def test_short_writes(tmp_path):
    """A pipe that is read slowly takes the document in pieces."""
    with subprocess.Popen([WRITER, "write", "-", "2"], stdout=subprocess.PIPE) as child:
        os.set_blocking(child.stdout.fileno(), True)
        text = b"".join(iter(lambda: os.read(child.stdout.fileno(), 777), b""))
    assert child.returncode == 0
    schema_check.check(json.loads(text))


def test_closed_and_full_stdout():
    with open("/dev/full", "w") as full:
        done = subprocess.run([WRITER, "write", "-"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 5 and "standard output" in done.stderr
    done = subprocess.run(["sh", "-c", '"$0" write - >&-', WRITER], capture_output=True, text=True, timeout=60)
    assert done.returncode == 5
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([WRITER, "write", "-"], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60,
                          restore_signals=False)
    os.close(writing)
    assert done.returncode == 5 and "Broken pipe" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small tmpfs")
def test_full_disk_keeps_the_old_file(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs: {mounted.stderr.strip()}")
    try:
        path = disk / "result.json"
        path.write_text("old")
        done = write(path)
        assert done.returncode == 5 and "No space left" in done.stderr
        assert path.read_text() == "old" and [p.name for p in disk.iterdir()] == ["result.json"]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_directory_that_cannot_be_written():
    before = ["setpriv", "--bounding-set=-all", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    if before and not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed: root may write everywhere")
    with tempfile.TemporaryDirectory() as name:
        top = pathlib.Path(name)
        top.chmod(0o755)
        writer = shutil.copy(WRITER, top)
        fixed = top / "fixed"
        fixed.mkdir(mode=0o555)
        done = subprocess.run([*before, writer, "write", fixed / "result.json"], capture_output=True, text=True,
                              timeout=60, env={**os.environ, "LC_ALL": "C"})
        assert done.returncode == 5 and "Permission denied" in done.stderr and "result.json" in done.stderr
        assert list(fixed.iterdir()) == []


def test_killed_at_any_moment(tmp_path):
    """kill -9 in a loop: the file is the old one, the new one, or not there; never a part of one."""
    path = tmp_path / "result.json"
    started = time.monotonic()
    assert write(path).returncode == 0
    usual = time.monotonic() - started
    path.unlink()
    seen = set()
    for i in range(40):
        child = subprocess.Popen([WRITER, "write", path, "2"], stderr=subprocess.DEVNULL)
        try:
            child.wait(timeout=usual * 1.5 * i / 40)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
        if path.exists():
            whole(path)
            path.unlink()
            seen.add("whole")
        else:
            seen.add("absent")
        for left in tmp_path.glob("*.tmp.*"):
            left.unlink()
    assert "absent" in seen
