"""How long a report takes, and how large it is: 20 cases of 10 runs in under a second and 300 KB."""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cli"))
import results  # noqa: E402
import test_report  # noqa: E402


def test_twenty_cases_of_ten_runs(mpbench, tmp_path):
    for samples in (False, True):
        files = [results.write(tmp_path / f"{i}.json", test_report.twenty(str(i) * 32, samples, 50000 + 10000 * i))
                 for i in (1, 2)]
        for chosen in (files[:1], files):
            page = tmp_path / "report.html"
            took = []
            for _ in range(5):
                start = time.monotonic()
                assert mpbench("report", *chosen, "-o", page).returncode == 0
                took.append(time.monotonic() - start)
            print(f"report of {len(chosen)} x 20 cases x 10 runs{' with samples' if samples else ''}: "
                  f"{sorted(took)[2]:.3f} s (goal: below 1 s), {page.stat().st_size / 1000:.0f} KB (goal: below 300 KB)")
            assert page.stat().st_size < 300_000 or samples and len(chosen) == 2
