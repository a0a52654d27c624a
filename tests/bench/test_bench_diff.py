"""How long diff takes: two files of 1,000 metrics with 20 runs each, in under a second."""
import json
import pathlib
import random
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cli"))
import results  # noqa: E402

TIMES = 11


def test_a_thousand_metrics_of_twenty_runs(mpbench, tmp_path):
    r = random.Random(1)
    paths = []
    for i in range(2):
        cases = [results.case(f"repl.case{c}", {f"m{m}": results.metric(r.gauss(1000, 20) for _ in range(20))
                                                for m in range(50)}, headline="m0") for c in range(20)]
        paths.append(results.write(tmp_path / f"{i}.json", results.document(*cases)))
    seconds = []
    for _ in range(TIMES):
        begin = time.monotonic()
        done = mpbench("diff", *paths, "--json")
        seconds.append(time.monotonic() - begin)
        assert done.returncode in (0, 1) and len(json.loads(done.stdout)["rows"]) == 1000
    print(f"\ndiff of 1,000 metrics x 20 runs a side: median {statistics.median(seconds):.3f} s, "
          f"{min(seconds):.3f} to {max(seconds):.3f} of {TIMES} (goal: below 1 s)")
