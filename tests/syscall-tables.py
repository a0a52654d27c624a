#!/usr/bin/python3
"""Writes or checks the system call name tables of src/measure against the kernel's headers.

    syscall-tables.py ARCH          prints the table's C source (x86_64, i386, aarch64)
    syscall-tables.py --check ARCH  compares the file in the tree with the headers; exit 77 without headers

The headers of a machine may be older than the kernels the tracer meets, so NEWER continues them: since Linux 5.1
new calls have the same number on every architecture.
"""

import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
HEADERS = {
    "x86_64": ["/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/x86_64-linux-gnu/include/asm/unistd_64.h",
               "/usr/include/asm/unistd_64.h"],
    "i386": ["/usr/include/x86_64-linux-gnu/asm/unistd_32.h", "/usr/i686-linux-gnu/include/asm/unistd_32.h",
             "/usr/include/i386-linux-gnu/asm/unistd_32.h"],
    "aarch64": ["/usr/aarch64-linux-gnu/include/asm/unistd.h", "/usr/include/aarch64-linux-gnu/asm/unistd.h"],
}
NEWER = {
    451: "cachestat", 452: "fchmodat2", 453: "map_shadow_stack", 454: "futex_wake", 455: "futex_wait",
    456: "futex_requeue", 457: "statmount", 458: "listmount", 459: "lsm_get_self_attr", 460: "lsm_set_self_attr",
    461: "lsm_list_modules", 462: "mseal", 463: "setxattrat", 464: "getxattrat", 465: "listxattrat",
    466: "removexattrat", 467: "open_tree_attr", 468: "file_getattr", 469: "file_setattr",
}
NOT_CALLS = {"syscalls", "arch_specific_syscall"}


def from_headers(arch):
    for header in HEADERS[arch]:
        if not pathlib.Path(header).exists():
            continue
        include = pathlib.Path(header).parent.parent
        text = subprocess.run(["gcc", "-E", "-dM", "-x", "c", f"-I{include}", header], check=True,
                              capture_output=True, text=True).stdout
        macros = dict(re.findall(r"^#define (__NR(?:3264)?_\w+) (\w+)$", text, re.M))
        found = {}
        for name, value in macros.items():
            value = macros.get(value, value)  # aarch64: __NR_lseek is __NR3264_lseek is 62
            name = name.removeprefix("__NR_")
            if value.isdigit() and name not in NOT_CALLS and not name.startswith("__NR"):
                found[int(value)] = name
        return found
    return None


def from_tree(arch):
    text = (TOP / f"src/measure/syscall-names-{arch}.c").read_text()
    return {int(n): name for n, name in re.findall(r'\[(\d+)\] = "(?:i386\.)?(\w+)"', text)}


def source(arch, table):
    prefix = "i386." if arch == "i386" else ""  # seen only as the second table of an x86_64 machine
    out = [f"/* Numbers of {arch}, printed by tests/syscall-tables.py from the kernel's headers. */",
           '#include "measure/syscall-names.h"', "", "/* clang-format off */",
           f"const char *const syscall_names_{arch}[SYSCALL_NUMBERS] = {{"]
    line = "\t"
    for nr in sorted(table):
        item = f'[{nr}] = "{prefix}{table[nr]}",'
        if len(line.expandtabs(8)) + len(item) > 99:
            out.append(line.rstrip())
            line = "\t"
        line += item + " "
    out += [line.rstrip(), "};", "/* clang-format on */"]
    return "\n".join(out)


def main(argv):
    arch = argv[-1]
    table = from_headers(arch)
    if table is None:
        print(f"no kernel headers for {arch} on this machine", file=sys.stderr)
        return 77
    if argv[1] != "--check":
        print(source(arch, {**NEWER, **table}))
        return 0
    have = from_tree(arch)
    wrong = [f"{nr}: {have.get(nr)} in the tree, {name} in the headers" for nr, name in sorted(table.items())
             if have.get(nr) != name]
    wrong += [f"{nr}: {name} is in no header" for nr, name in sorted(have.items())
              if nr not in table and not (nr > max(table) and NEWER.get(nr) == name)]
    print("\n".join(wrong) or f"{arch}: {len(have)} names agree with the headers (to {max(table)})")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
