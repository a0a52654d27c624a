"""mpbench trend: many results in the order of time, and where their level changed."""
import json
import random

import pytest

import results


def history(directory, levels, seed=1, commit=True, cv=0.01, shuffle=True):
    """One result per level, a quarter of an hour apart; the names of the files do not tell their order."""
    names = list(range(len(levels)))
    if shuffle:
        random.Random(seed).shuffle(names)
    paths = []
    for i, level in enumerate(levels):
        d = results.latency(level, seed=seed * 1000 + i, cv=cv, run_id=f"{seed:016x}{i:016x}",
                            started_at=f"2026-01-{1 + i // 96:02d}T{i // 4 % 24:02d}:{i % 4 * 15:02d}:00.000Z")
        if commit:
            d["vcs"] = {"commit": f"{i:04d}abcdef0123456789"}
        paths.append(results.write(directory / f"r{names[i]:03d}.json", d))
    return paths


def test_a_change_names_its_first_result_and_commit(mpbench, tmp_path):
    paths = history(tmp_path, [50000] * 25 + [54000] * 15)
    r = mpbench("trend", tmp_path)
    assert r.returncode == 0 and r.stderr == ""
    text = " ".join(r.stdout.split())
    assert "repl.exec latency.median" in text and "40 results, median 50." in text and "MAD" in text
    assert "WORSE +8.0%" in text and "commit 0025abcdef01" in text and paths[25].name in text
    assert mpbench("trend", tmp_path, "--fail-on-change", "-q").returncode == 1
    # the very same, file by file
    assert mpbench("trend", *paths, "--fail-on-change", "-q").returncode == 1


def test_better_is_no_failure_and_worse_long_ago_neither(mpbench, tmp_path):
    history(tmp_path, [54000] * 20 + [50000] * 20)
    r = mpbench("trend", tmp_path, "--fail-on-change")
    assert r.returncode == 0 and "better" in r.stdout and "WORSE" not in r.stdout
    back = tmp_path / "back"
    back.mkdir()
    history(back, [50000] * 20 + [60000] * 20 + [50000] * 20, seed=2)
    r = mpbench("trend", back, "--fail-on-change")
    assert r.returncode == 0 and "WORSE" in r.stdout and "none worse than before" in r.stdout


def test_a_small_change_counts_only_when_asked_for(mpbench, tmp_path):
    history(tmp_path, [50000] * 30 + [51000] * 30, cv=0.001)
    assert mpbench("trend", tmp_path, "--fail-on-change", "-q").returncode == 0
    assert mpbench("trend", tmp_path, "--fail-on-change", "-q", "--magnitude", "1%").returncode == 1


def test_json_holds_what_the_text_shows(mpbench, tmp_path):
    history(tmp_path, [50000] * 20 + [60000] * 20)
    out = tmp_path / "out" / "trend.json"
    out.parent.mkdir()
    r = mpbench("trend", tmp_path, "--json", "-o", out)
    assert r.returncode == 0 and r.stdout == ""
    t = json.loads(out.read_text())
    row = t["rows"][0]
    assert t["worse"] == 1 and len(t["results"]) == 40 and row["n"] == 40 and row["newest"] == "worse"
    assert [c["at"] for c in row["changes"]] == [20]
    change = row["changes"][0]
    assert change["commit"].startswith("0020") and change["commit_before"].startswith("0019")
    assert t["results"][20]["name"] == change["first"]
    assert 1.15 < change["ratio"] < 1.25 and row["latest"] == change["after"]
    starts = [p["started_at"] for p in t["results"]]
    assert starts == sorted(starts)


def test_other_files_of_a_directory_are_skipped(mpbench, tmp_path):
    history(tmp_path, [50000] * 3)
    (tmp_path / "notes.json").write_text('{"a": 1}')
    (tmp_path / "broken.json").write_text('{"schema": ')
    (tmp_path / "read.me").write_text("nothing")
    (tmp_path / "copy.json").write_bytes((tmp_path / "r000.json").read_bytes())
    r = mpbench("trend", tmp_path)
    assert r.returncode == 0 and "3 results, 1 metric, none worse than before, 3 skipped" in r.stdout
    assert "fewer than 15 results show no change" in " ".join(r.stdout.split())
    r = mpbench("trend", tmp_path, "-v")
    assert "broken.json" in r.stderr and "notes.json" in r.stderr
    # a file that was named must be one
    r = mpbench("trend", tmp_path / "broken.json")
    assert r.returncode == 2 and "broken.json" in r.stderr and len(r.stderr.splitlines()) == 1


def test_what_cannot_be_read_is_one_clear_error(mpbench, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for words, why in ((["trend"], "no results given"), (["trend", empty], "no *.json"), (["trend", tmp_path / "x"], "open"),
                       (["trend", empty, "--magnitude", "-1"], "magnitude")):
        r = mpbench(*words)
        assert r.returncode == 2 and why in r.stderr and len(r.stderr.splitlines()) == 1
    history(tmp_path, [5] * 3)
    r = mpbench("trend", tmp_path, "--metric", "latency.p98")
    assert r.returncode == 2 and "--metric" in r.stderr


def test_other_options_are_kept_apart(mpbench, tmp_path):
    history(tmp_path, [50000] * 20)
    other = tmp_path / "other"
    other.mkdir()
    for p in history(other, [90000] * 20, seed=2):
        d = json.loads(p.read_text())
        d["config"]["what"]["chunk_bytes"] = 256
        results.write(p, d)
    r = mpbench("trend", tmp_path, other, "--fail-on-change")
    assert r.returncode == 0 and r.stdout.count("20 results, median") == 2
    assert "2 sets of options" in " ".join(r.stdout.split())


def test_another_machine_is_told(mpbench, tmp_path):
    for i, p in enumerate(history(tmp_path, [50000] * 20 + [70000] * 20)):
        d = json.loads(p.read_text())
        d["environment"]["fingerprint"] = ("a" if i < 20 else "b") * 16
        results.write(p, d)
    assert "another machine from there on" in " ".join(mpbench("trend", tmp_path).stdout.split())


@pytest.mark.parametrize("locale, spark", [("C.UTF-8", "\u2581"), ("C", "_")])
def test_lines_fit_and_follow_the_locale(mpbench, tmp_path, locale, spark):
    history(tmp_path, [50000] * 200 + [90000] * 200)
    import os
    r = mpbench("trend", tmp_path, env={**{k: v for k, v in os.environ.items() if not k.startswith("LC_")}, "LANG": locale})
    assert spark in r.stdout and max(map(len, r.stdout.splitlines())) <= 80
    assert r.stdout.isascii() == (locale == "C")


def test_hostile_texts_do_not_reach_the_terminal(mpbench, tmp_path):
    for p in history(tmp_path, [50000] * 20 + [70000] * 20):
        d = json.loads(p.read_text())
        d["vcs"]["commit"] = "\x1b[31m\u202e" + d["vcs"]["commit"]
        d["benchmarks"][0]["params"] = {"mode": "\x07\x1b]0;x\x07"}
        results.write(p, d)
    r = mpbench("trend", tmp_path, "-v")
    assert "WORSE" in r.stdout
    assert not any(c in r.stdout for c in "\x1b\x07\u202e")
