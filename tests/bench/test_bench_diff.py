"""How long diff and merge take: 1,000 metrics of 20 runs in under a second."""
import random
import resource
import sys
import pathlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cli"))
import results  # noqa: E402


def seconds(run):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_a_thousand_metrics_of_twenty_runs(mpbench, tmp_path):
    r = random.Random(1)
    paths = []
    for i in range(2):
        cases = [results.case(f"repl.case{c}", {f"m{m}": results.metric(r.gauss(1000, 20) for _ in range(20))
                                                for m in range(50)}, headline="m0") for c in range(20)]
        paths.append(results.write(tmp_path / f"{i}.json", results.document(*cases)))
    done, spent = seconds(lambda: mpbench("diff", *paths, "--json"))
    assert done.returncode in (0, 1) and done.stdout.count('"metric"') == 1000
    print(f"diff of 1,000 metrics x 20 runs: {spent:.2f} s of CPU time (goal: below 1 s)")
