"""The command line itself: lists, help, suggestions, exit statuses, completion scripts, man pages."""
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
MPBENCH = os.path.abspath(os.environ.get("MPBENCH", TOP / "build" / "mpbench"))


def run(*args, **kw):
    kw.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([MPBENCH, *args], capture_output=True, text=True, timeout=60, **kw)


def pages():
    return run("manpage", "--list").stdout.split()


def subcommands():
    """As typed, each of one word or two ("serve tftp"), by the usage line of its man page."""
    return [re.search(r"^\*mpbench ([^*]+)\*", run("manpage", p).stdout, re.M)[1] for p in pages() if p != "mpbench"]


def options_of(sub):
    """Long options of a subcommand as its full help names them."""
    text = run("help", "--all", *sub.split()).stdout
    return set(re.findall(r"^ +(?:-\w, )?--([a-z0-9-]+)", text, re.M))


SUBCOMMANDS = subcommands()


def test_there_are_subcommands():
    assert {"help", "completion"} <= set(SUBCOMMANDS)


def test_alone_it_lists_every_subcommand_and_what_to_type_next():
    r = run()
    assert r.returncode == 0 and r.stderr == ""
    for sub in SUBCOMMANDS:
        assert re.search(rf"\s{re.escape(sub)}\s", r.stdout)
    assert "Next:" in r.stdout and "--help" in r.stdout
    assert max(map(len, r.stdout.splitlines())) <= 80
    assert run("--help").stdout == r.stdout == run("help").stdout == run("-h").stdout


def test_version_is_one_line():
    r = run("--version")
    assert r.returncode == 0
    assert re.fullmatch(r"mpbench \S+\n", r.stdout)
    assert run("-V").stdout == r.stdout


@pytest.mark.parametrize("sub", SUBCOMMANDS)
def test_help_fits_a_screen_and_ends_with_examples(sub):
    r = run(*sub.split(), "--help")
    assert r.returncode == 0 and r.stderr == ""
    lines = r.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 50
    assert lines[0].startswith(f"Usage: mpbench {sub}")
    assert "Examples:" in lines
    assert run("help", *sub.split()).stdout == r.stdout
    assert run(*sub.split(), "-h").stdout == r.stdout


@pytest.mark.parametrize("sub", SUBCOMMANDS)
def test_examples_parse(sub):
    """Every example, with --help behind it: options and their values are read up to there."""
    text = run(*sub.split(), "--help").stdout.split("Examples:\n")[1]
    commands = [c for c in re.findall(r"mpbench [^#)\n]+", text) if not c.startswith("mpbench help --all")]
    assert commands
    for command in commands:
        # a command to be run is not run
        command = re.split(r"\s[|>&]|\s--\s", command)[0].strip()
        r = subprocess.run(["bash", "-c", f"mpbench() {{ \"$MPBENCH\" \"$@\" --help; }}; {command}"],
                           capture_output=True, text=True, env={**os.environ, "MPBENCH": MPBENCH}, timeout=60)
        assert r.returncode == 0, (command, r.stderr)


@pytest.mark.parametrize("typed,meant", [("hlep", "help"), ("completoin", "completion"), ("complete", "completion")])
def test_unknown_subcommand_suggests(typed, meant):
    r = run(typed)
    assert r.returncode == 2 and r.stdout == ""
    assert r.stderr == f"mpbench: unknown subcommand '{typed}', did you mean '{meant}'?\n"


def test_unknown_subcommand_without_a_near_one():
    r = run("xyzzy")
    assert r.returncode == 2
    assert r.stderr == "mpbench: unknown subcommand 'xyzzy' (mpbench lists them)\n"
    assert run("--nonsense").returncode == 2
    assert run("help", "xyzzy").returncode == 2


def test_control_characters_do_not_reach_the_terminal():
    assert "\x1b" not in run("a\x1b[31m").stderr


@pytest.mark.parametrize("sub", SUBCOMMANDS)
def test_unknown_option_is_usage(sub):
    r = run(*sub.split(), "--hepl")
    assert r.returncode == 2 and r.stdout == ""
    assert r.stderr.startswith(f"mpbench {sub}: unknown option '--hepl', did you mean '--help'?")
    assert r.stderr.count("\n") == 1


@pytest.mark.parametrize("args", [(), ("--version",), ("help", "help"), ("completion", "bash"), ("manpage", "mpbench")])
def test_full_disk_and_closed_stdout_are_errors(args):
    with open("/dev/full", "w") as full:
        r = subprocess.run([MPBENCH, *args], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert r.returncode == 5
    assert "standard output: No space left on device" in r.stderr
    r = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", MPBENCH, *args], stderr=subprocess.PIPE, text=True,
                       timeout=60)
    assert r.returncode == 5
    assert "standard output: Bad file descriptor" in r.stderr


def test_reader_that_went_away_is_an_error_not_a_signal():
    read, write = os.pipe()
    os.close(read)
    r = subprocess.run([MPBENCH, "completion", "bash"], stdout=write, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(write)
    assert r.returncode == 5
    assert "Broken pipe" in r.stderr


def test_closed_stdin_and_stderr_are_harmless():
    r = subprocess.run(["sh", "-c", 'exec "$@" <&- 2>&-', "sh", MPBENCH, "--version"], stdout=subprocess.PIPE,
                       timeout=60)
    assert r.returncode == 0 and r.stdout.startswith(b"mpbench ")


def on_terminal(args, env):
    """What a command writes to a terminal, stdout and stderr together."""
    master, slave = pty.openpty()
    p = subprocess.Popen([MPBENCH, *args], stdin=slave, stdout=slave, stderr=slave, env={**os.environ, **env})
    os.close(slave)
    out = b""
    while True:
        ready, _, _ = select.select([master], [], [], 60)
        assert ready, "no output and no end within 60 s"
        try:
            block = os.read(master, 65536)
        except OSError:  # EIO: the last writer closed
            break
        if not block:
            break
        out += block
    os.close(master)
    return p.wait(timeout=60), out


@pytest.mark.parametrize("env", [{"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "dumb", "NO_COLOR": ""}])
def test_no_escapes_where_no_colour_is_wanted(env):
    for args in ([], ["help", "completion"]):
        status, out = on_terminal(args, env)
        assert status == 0 and b"\x1b[" not in out


# Completion: every subcommand and option of the tables, and nothing that is not there.

def bash_complete(*words):
    """COMPREPLY for words as bash would split them (COMP_WORDBREAKS holds '=')."""
    script = f'''
source <("{MPBENCH}" completion bash)
compopt() {{ :; }}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_mpbench
printf '%s\\n' "${{COMPREPLY[@]}}"
'''
    r = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, timeout=60)
    assert r.returncode == 0 and r.stderr == "", r.stderr
    return [w for w in r.stdout.split("\n") if w]


def test_bash_completes_subcommands():
    assert set(bash_complete("mpbench", "")) == {s for s in SUBCOMMANDS if " " not in s} | {"--help", "--version"}
    assert bash_complete("mpbench", "compl") == ["completion"]


@pytest.mark.parametrize("sub", SUBCOMMANDS)
def test_bash_completes_every_option(sub):
    assert {w.removeprefix("--").rstrip("=") for w in bash_complete("mpbench", *sub.split(), "--")} == options_of(sub) | {"help"}


def test_bash_completes_operands():
    assert set(bash_complete("mpbench", "completion", "")) == {"bash", "zsh", "fish"}
    assert bash_complete("mpbench", "help", "hel") == ["help"]


def enum_options():
    for sub in SUBCOMMANDS:
        for name, choices in re.findall(r"--([a-z-]+)=([a-z0-9-]+(?:\|[a-z0-9-]+)+)\b(?!\|)", run("help", "--all", *sub.split()).stdout):
            yield sub, name, choices.split("|")


def test_bash_completes_choices():
    for sub, name, choices in enum_options():
        assert bash_complete("mpbench", *sub.split(), f"--{name}", "=", "") == choices
        assert bash_complete("mpbench", *sub.split(), f"--{name}", "=") == choices
        assert bash_complete("mpbench", *sub.split(), f"--{name}", "") == choices


def test_bash_completes_files(tmp_path):
    (tmp_path / "result one.json").touch()
    script = f'''
source <("{MPBENCH}" completion bash)
compopt() {{ :; }}
cd "$1"; shift; COMP_WORDS=(mpbench "$@" --output res); COMP_CWORD=$(($# + 2))
_mpbench; printf '%s\\n' "${{COMPREPLY[@]}}"
'''
    for sub in SUBCOMMANDS:
        if "output" not in options_of(sub):
            continue
        r = subprocess.run(["bash", "-c", script, "bash", str(tmp_path), *sub.split()], capture_output=True, text=True,
                           timeout=60)
        assert r.stdout == "result one.json\n", (sub, r.stderr)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_everything(shell):
    r = run("completion", shell)
    assert r.returncode == 0
    for sub in SUBCOMMANDS:
        assert all(word in r.stdout for word in sub.split())
        for option in options_of(sub):
            assert re.search(rf"(--|-l ){re.escape(option)}\b", r.stdout), (sub, option)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_valid(shell, tmp_path):
    script = tmp_path / f"mpbench.{shell}"
    script.write_text(run("completion", shell).stdout)
    if shell == "bash" and shutil.which("shellcheck"):
        # the word splitting of compgen's answer is how completions are written
        subprocess.run(["shellcheck", "-s", "bash", "-e", "SC2207", str(script)], check=True, timeout=60)
    if shutil.which(shell):
        flag = "--no-execute" if shell == "fish" else "-n"
        subprocess.run([shell, flag, str(script)], check=True, timeout=60)
    else:
        # without the shell: quotes are balanced on every line, and in zsh the brackets of every spec
        for line in script.read_text().splitlines():
            if line.startswith("#"):
                continue
            bare = re.sub(r"'[^']*'|\\'|\"[^\"]*\"", "", line)
            assert "'" not in bare, line
            spec = re.sub(r"\\.", "", line)
            if shell == "zsh" and spec.lstrip().startswith("'*-"):
                assert spec.count("[") == spec.count("]") == 1, line


# Man pages.

@pytest.mark.parametrize("page", pages())
def test_man_page(page, tmp_path):
    prose = TOP / "docs" / "man" / f"{page}.1.scd"
    source = run("manpage", page, *([str(prose)] if prose.exists() else []))
    assert source.returncode == 0, source.stderr
    for heading in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "SEE ALSO"):
        assert f"\n# {heading}\n" in source.stdout
    if page != "mpbench":
        sub = re.search(r"^\*mpbench ([^*]+)\*", source.stdout, re.M)[1]
        for heading in ("OPTIONS", "EXAMPLES"):
            assert f"\n# {heading}\n" in source.stdout
        for option in options_of(sub):
            assert re.search(rf"--(\[no-\])?{re.escape(option)}\b", source.stdout)
    for status in ("0", "1", "2", "3", "4", "5"):
        assert f"*{status}*" in source.stdout
    if not shutil.which("scdoc"):
        pytest.skip("scdoc is missing")
    roff = subprocess.run(["scdoc"], input=source.stdout, capture_output=True, text=True, timeout=60)
    assert roff.returncode == 0, roff.stderr
    out = tmp_path / f"{page}.1"
    out.write_text(roff.stdout)
    if not shutil.which("mandoc"):
        pytest.skip("mandoc is missing")
    # scdoc puts paragraph macros that mandoc calls redundant: warnings, not errors
    lint = subprocess.run(["mandoc", "-Tlint", "-W", "error", str(out)], capture_output=True, text=True, timeout=60)
    assert lint.returncode == 0, lint.stdout


def test_man_page_errors():
    assert run("manpage").returncode == 2
    assert run("manpage", "mpbench-xyzzy").returncode == 2
    assert run("manpage", "mpbench", "/nonexistent").returncode == 2
