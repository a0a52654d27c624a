"""mpbench pair of a benchmark against itself: the verdict "regression" must be rare on a real machine."""
import json

BENCH = "bench-repl --case exec -n 300 builtin:"


def test_pair_against_itself_raises_no_alarm(mpbench, soak):
    times = soak(20)
    regressions = 0
    for _ in range(times):
        r = mpbench("pair", "--rounds", "10", "--json", BENCH, BENCH, timeout=280)
        assert r.returncode in (0, 1), r.stderr
        regressions += json.loads(r.stdout)["gating"]["regression"] > 0
    print(f"\n{regressions} of {times} pairs of a benchmark with itself gave a regression verdict")
    assert regressions <= 1, f"{regressions} of {times}"
