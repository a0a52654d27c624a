"""Checks mpbench result documents against results-schema/.

check(document) uses the closed variant, made here from the open schema that readers use: every key a writer emits must
be described, so that schema and program cannot drift apart. As a program: schema_check.py FILE...
"""
import copy
import json
import pathlib
import re
import sys

import jsonschema

ROOT = pathlib.Path(__file__).resolve().parent.parent
OPEN = json.loads((ROOT / "results-schema" / "result-1.json").read_text())


def close(schema):
    """The schema with every described object closed to further keys."""
    if isinstance(schema, list):
        return [close(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: close(part) for key, part in schema.items()}
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed


CLOSED = close(OPEN)
READER = jsonschema.Draft202012Validator(OPEN, format_checker=jsonschema.FormatChecker())
WRITER = jsonschema.Draft202012Validator(CLOSED, format_checker=jsonschema.FormatChecker())


def path_of(error):
    return "$" + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.absolute_path)


def check(document, validator=WRITER):
    """Raises ValueError that names the path of the first error."""
    error = jsonschema.exceptions.best_match(validator.iter_errors(document))
    if error:
        raise ValueError(f"{path_of(error)}: {error.message}")


def is_result(document):
    return isinstance(document, dict) and document.get("schema") == "mpbench.result"


VOLATILE = {"run_id": "0" * 32, "started_at": "2026-01-01T00:00:00.000Z", "finished_at": "2026-01-01T00:00:10.000Z",
            "boot_id": None, "version": "1.0", "compiler": "cc"}


def normalise(document):
    """A copy in which what differs from one invocation to the next is constant."""
    def walk(value):
        if isinstance(value, dict):
            return {k: VOLATILE[k] if k in VOLATILE and not isinstance(v, dict) else walk(v)
                    for k, v in value.items()}
        return [walk(v) for v in value] if isinstance(value, list) else value
    result = walk(copy.deepcopy(document))
    result["tool"]["libraries"] = {name: "1.0" for name in result["tool"].get("libraries", {})}
    return result


def text_of(document):
    """Indented, with arrays of plain values on one line."""
    text = json.dumps(document, indent=1, ensure_ascii=False)
    return re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: "[" + re.sub(r",\n\s+", ",", m.group(1)) + "]", text) + "\n"


def main(paths):
    wrong = 0
    for path in paths:
        try:
            check(json.loads(pathlib.Path(path).read_text()))
        except ValueError as error:
            print(f"{path}: {error}")
            wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
