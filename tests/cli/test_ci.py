"""The recipes of docs/ci.md: each shell block is executed as it stands there."""
import os
import pathlib
import re
import shutil
import subprocess
import textwrap
import xml.etree.ElementTree

import pytest

import results

TOP = pathlib.Path(__file__).resolve().parents[2]
TEXT = (TOP / "docs" / "ci.md").read_text()
RECIPES = dict(re.findall(r"<!-- recipe: (\w+) -->\n```sh\n(.*?)```", TEXT, re.S))
BENCH = "bench-repl --case exec -n 20 --runs 5 builtin:"


@pytest.fixture
def recipe(mpbench, tmp_path):
    """recipe(name, **env): the finished process; its directory is recipe.dir, mpbench is on PATH."""
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    (bin_dir / "mpbench").symlink_to(mpbench.path)
    work = tmp_path / "work"
    work.mkdir()

    def run(name, **env):
        return subprocess.run(["bash", "-eu", "-c", RECIPES[name]], cwd=work, capture_output=True, text=True, timeout=120,
                              stdin=subprocess.DEVNULL,
                              env={**os.environ, "PATH": f"{bin_dir}:{os.environ['PATH']}", "BENCH": BENCH, **env})
    run.dir = work
    return run


def slower_than(mpbench, path, factor):
    """A result of the same benchmark whose values are `factor` times those of a fresh one."""
    import json
    r = mpbench(*BENCH.split(), "-q", "-o", path)
    assert r.returncode == 0, r.stderr
    d = json.loads(path.read_text())
    for m in d["benchmarks"][0]["metrics"].values():
        m["values"] = [v * factor if v else v for v in m["values"]]
    results.write(path, d)


def test_every_block_of_shell_is_a_recipe():
    assert set(RECIPES) == {"shell", "pair", "limits", "github", "gitlab", "parallel"}
    assert TEXT.count("```sh\n") == len(RECIPES)


def test_shell(recipe, mpbench):
    r = recipe("shell")
    assert r.returncode == 0 and "no baseline yet" in r.stdout
    slower_than(mpbench, recipe.dir / "base.json", 50)
    r = recipe("shell")
    assert r.returncode == 0 and "improvement" in r.stdout
    slower_than(mpbench, recipe.dir / "base.json", 0.02)
    r = recipe("shell")
    assert r.returncode == 1 and "REGRESSION" in r.stdout


def test_pair(recipe):
    r = recipe("pair", BENCH="bench-repl --case exec -n 5 builtin:", BENCH_NEW="bench-repl --case exec -n 5 builtin:")
    assert r.returncode in (0, 1) and "repl.exec latency.median" in r.stdout


def test_limits(recipe):
    (recipe.dir / "limits.txt").write_text("# promised\nrepl.exec latency.median < 10s\n")
    assert recipe("limits").returncode == 0
    (recipe.dir / "limits.txt").write_text("repl.exec latency.median < 1ns\n")
    assert recipe("limits").returncode == 1


@pytest.mark.parametrize("factor, status", [(50, 0), (0.02, 1)])
def test_github(recipe, mpbench, factor, status):
    summary = recipe.dir / "summary.md"
    env = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_REF": "refs/heads/topic"}
    slower_than(mpbench, recipe.dir / "base.json", factor)
    r = recipe("github", **env)
    assert r.returncode == status, r.stderr
    assert ("::error title=mpbench%3A regression::" in r.stdout) == bool(status)
    assert summary.read_text().startswith("### mpbench: 1 ") and summary.stat().st_size < 1024 * 1024
    before = (recipe.dir / "base.json").read_bytes()
    assert recipe("github", **{**env, "GITHUB_REF": "refs/heads/main"}).returncode == status
    assert (recipe.dir / "base.json").read_bytes() != before


def test_github_first_time_and_unlike(recipe, mpbench):
    env = {"GITHUB_STEP_SUMMARY": str(recipe.dir / "summary.md"), "GITHUB_REF": "refs/heads/main"}
    assert recipe("github", **env).returncode == 0
    assert (recipe.dir / "base.json").exists()
    results.write(recipe.dir / "base.json", results.latency(5))
    assert recipe("github", **env).returncode == 2


@pytest.mark.parametrize("factor, status", [(50, 0), (0.02, 1)])
def test_gitlab(recipe, mpbench, factor, status):
    slower_than(mpbench, recipe.dir / "base.json", factor)
    r = recipe("gitlab")
    assert r.returncode == status, r.stderr
    suite = xml.etree.ElementTree.parse(recipe.dir / "junit.xml").getroot()[0]
    assert int(suite.get("failures")) == status
    assert (recipe.dir / "metrics.txt").read_text().endswith("# EOF\n")


def test_parallel_over_two_hosts(recipe, netns, peer):
    parallel = shutil.which("parallel") or peer("parallel")
    (recipe.dir.parent / "bin" / "parallel").symlink_to(parallel)
    hosts = [netns() for _ in range(2)]
    (recipe.dir / "HOSTS").write_text("".join(" ".join(h.words()) + "\n" for h in hosts))
    r = recipe("parallel", BENCH="bench-repl --case exec --duration 0.5s --runs 2 builtin:")
    assert r.returncode == 0, r.stderr
    import json
    m = json.loads((recipe.dir / "all.json").read_text())["extensions"]["merge"]
    assert m["complete"] and len(m["workers"]) == 2 and m["overlap"] > 0  # they measured together


FAKE_GH = '''#!/bin/sh
echo "$*" >>gh.log
case "$1 $2" in
"run list") cat last.id ;;
"run download") cp artifact.json base.json ;;
esac
'''
FAKE_CURL = '''#!/bin/sh
echo "$*" >>curl.log
test -f artifact.json || exit 22
while test "$1" != -o; do shift; done
cp artifact.json "$2"
'''


def yaml_command(language, pattern):
    """The command that a YAML block itself has, beside ./benchmark.sh."""
    blocks = re.findall(r"```yaml\n(.*?)```", TEXT, re.S)
    return textwrap.dedent(re.search(pattern, blocks[language], re.S)[1])


@pytest.fixture
def fetch(recipe):
    """fetch(command, program, script): runs the command with that program in place of the real one."""
    def run(command, program, script):
        path = recipe.dir.parent / "bin" / program
        path.write_text(script)
        path.chmod(0o755)
        return subprocess.run(["bash", "-e", "-c", command], cwd=recipe.dir, capture_output=True, text=True, timeout=60, env={
            **os.environ, "PATH": f"{path.parent}:{os.environ['PATH']}", "CI_API_V4_URL": "https://gitlab.invalid/api/v4",
            "CI_PROJECT_ID": "7", "CI_DEFAULT_BRANCH": "main", "CI_JOB_TOKEN": "t"})
    return run


def test_the_github_baseline_is_fetched_when_there_is_one(recipe, fetch):
    command = yaml_command(0, r"run: \|\n(.*?)\n      - name")
    (recipe.dir / "last.id").write_text("")
    assert fetch(command, "gh", FAKE_GH).returncode == 0
    assert not (recipe.dir / "base.json").exists()
    (recipe.dir / "last.id").write_text("4711\n")
    r = fetch(command, "gh", FAKE_GH)
    assert r.returncode == 0 and "no baseline yet" in r.stdout
    (recipe.dir / "artifact.json").write_text("{}")
    assert fetch(command, "gh", FAKE_GH).returncode == 0 and (recipe.dir / "base.json").exists()
    assert "run download 4711 --name mpbench-baseline" in (recipe.dir / "gh.log").read_text()


def test_the_gitlab_baseline_is_fetched_when_there_is_one(recipe, fetch):
    command = yaml_command(1, r"- '(curl .*?)'\n")
    assert fetch(command, "curl", FAKE_CURL).returncode == 0
    assert not (recipe.dir / "base.json").exists()
    (recipe.dir / "artifact.json").write_text("{}")
    assert fetch(command, "curl", FAKE_CURL).returncode == 0 and (recipe.dir / "base.json").exists()
    assert "projects/7/jobs/artifacts/main/raw/new.json?job=benchmark" in (recipe.dir / "curl.log").read_text()


def test_the_yaml_is_yaml_and_calls_the_scripts():
    yaml = pytest.importorskip("yaml")
    jobs = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.S)]
    assert "benchmark" in jobs[0]["jobs"] and "benchmark" in jobs[1]
    steps = jobs[0]["jobs"]["benchmark"]["steps"]
    assert any(step.get("run") == "./benchmark.sh" for step in steps)
    assert "./benchmark.sh" in jobs[1]["benchmark"]["script"]
