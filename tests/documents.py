"""Every JSON document that mpbench writes in any test is validated against results-schema/.

The collector sees each process that a test starts. Where it is mpbench, the file named by -o (of FILE.jsonl each line), and standard
output when it is a document, are kept in mind and validated when the test ends. A schema that no document ever exercised fails the
whole run: then nobody knows whether it is true.
"""
import json
import os
import pathlib
import subprocess

import jsonschema

TOP = pathlib.Path(__file__).resolve().parents[1]
SCHEMAS = TOP / "results-schema"


def schema_names():
    return sorted(p.stem for p in SCHEMAS.glob("*.json"))


def validator(name):
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def schema_of(document):
    """"mpbench.result" of version "1.0" is described by result-1.json."""
    name = document["schema"].removeprefix("mpbench.")
    return f"{name}-{document['schema_version'].split('.')[0]}"


class Collector:
    def __init__(self, program):
        self.program = os.path.realpath(program)
        self.validators = {}
        self.exercised = set()
        self.files = []
        self.texts = []

    def is_ours(self, args):
        if isinstance(args, (str, bytes, os.PathLike)) or not args:
            return False
        return os.path.realpath(os.fspath(args[0])) == self.program

    def started(self, args, cwd):
        if not self.is_ours(args):
            return
        args = [os.fspath(a) for a in args]
        for i, arg in enumerate(args):
            name = None
            if arg in ("-o", "--output") and i + 1 < len(args):
                name = args[i + 1]
            elif arg.startswith("--output="):
                name = arg.split("=", 1)[1]
            elif arg.startswith("-o") and len(arg) > 2:
                name = arg[2:]
            if name and name != "-":
                self.files.append(os.path.join(cwd or os.getcwd(), name))

    def printed(self, args, stdout):
        if self.is_ours(args) and stdout and stdout[:1] in ("{", b"{"):
            # watch prints one document a line
            self.texts += stdout.splitlines() if "watch" in args[1:2] else [stdout]

    def check(self):
        """Validates what the test made; the first violation raises. Other JSON than ours is passed over."""
        texts, self.texts = self.texts, []
        for path in dict.fromkeys(self.files):
            if os.path.isfile(path) and os.path.getsize(path):
                text = pathlib.Path(path).read_bytes()
                texts += text.splitlines() if path.endswith(".jsonl") else [text]
        self.files = []
        for text in texts:
            if text[:1] not in ("{", b"{"):
                continue
            self.validate(json.loads(text))

    def validate(self, document):
        if not str(document.get("schema", "")).startswith("mpbench."):
            return
        name = schema_of(document)
        if name not in self.validators:
            self.validators[name] = validator(name)
        best = jsonschema.exceptions.best_match(self.validators[name].iter_errors(document))
        if best is not None:
            raise AssertionError(f"a document violates {name}: {best.json_path}: {best.message[:500]}")
        self.exercised.add(name)

    def watch(self):
        """From now on every process that Python starts is seen."""
        init, run = subprocess.Popen.__init__, subprocess.run
        collector = self

        def popen_init(popen, args, *rest, **kw):
            collector.started(args, kw.get("cwd"))
            init(popen, args, *rest, **kw)

        def watched_run(args, *rest, **kw):
            done = run(args, *rest, **kw)
            collector.printed(args, done.stdout)
            return done

        subprocess.Popen.__init__ = popen_init
        subprocess.run = watched_run
