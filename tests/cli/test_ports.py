"""`mpbench ports` on a made-up /sys and /dev."""
import json
import os
import pathlib
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
MPBENCH = os.path.abspath(os.environ.get("MPBENCH", TOP / "build" / "mpbench"))


def ports(*args):
    return subprocess.run([MPBENCH, "ports", *args], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def root(tmp_path):
    tty = tmp_path / "sys/class/tty"
    usb = tmp_path / "sys/devices/usb1/1-2"
    for name in ("tty0", "ttyS0", "ttyUSB2"):
        (tty / name).mkdir(parents=True)
    (tmp_path / "sys/devices/platform/serial8250").mkdir(parents=True)
    (tty / "ttyS0/device").symlink_to("../../../devices/platform/serial8250")
    write(tty / "ttyS0/type", "4\n")
    (tty / "ttyUSB2/device").symlink_to("../../../devices/usb1/1-2/1-2:1.0/ttyUSB2")
    write(usb / "1-2:1.0/ttyUSB2/latency_timer", "16\n")
    (usb / "1-2:1.0/ttyUSB2/driver").symlink_to("../../../../../bus/usb-serial/drivers/ftdi_sio")
    write(usb / "idVendor", "0403\n")
    write(usb / "idProduct", "6001\n")
    write(usb / "product", "FT232R \x1b[31mUART\n")
    write(usb / "serial", "A50285BI\n")
    by_id = tmp_path / "dev/serial/by-id"
    by_id.mkdir(parents=True)
    (by_id / "usb-FTDI_FT232R-if00").symlink_to("../../ttyUSB2")
    return tmp_path


def test_the_table_names_driver_usb_id_and_stable_name(root):
    r = ports("--root", str(root))
    assert r.returncode == 0 and r.stderr == ""
    lines = r.stdout.splitlines()
    assert len(lines) == 3
    assert lines[0].split()[0].endswith("ttyS0")
    for part in ("ttyUSB2", "ftdi_sio", "0403:6001", "#A50285BI", "latency timer 16 ms"):
        assert part in lines[1]
    assert lines[2].strip() == "/dev/serial/by-id/usb-FTDI_FT232R-if00"
    assert "\x1b" not in r.stdout and "\\x1b" in lines[1]


def test_json_has_the_same_facts(root):
    r = ports("--root", str(root), "--json")
    assert r.returncode == 0
    plain, usb = json.loads(r.stdout)
    assert plain["name"].endswith("ttyS0") and "vid" not in plain
    assert usb["name"].endswith("ttyUSB2")
    del usb["name"], usb["product"]
    assert usb == {"driver": "ftdi_sio", "vid": "0403", "pid": "6001", "serial": "A50285BI",
                   "by_id": "usb-FTDI_FT232R-if00", "latency_timer_ms": 16}


def test_no_port_is_said_and_no_sysfs_is_an_error(tmp_path):
    (tmp_path / "sys/class/tty").mkdir(parents=True)
    r = ports("--root", str(tmp_path))
    assert (r.returncode, r.stdout) == (0, "no serial port found\n")
    assert json.loads(ports("--root", str(tmp_path), "--json").stdout) == []
    r = ports("--root", str(tmp_path / "gone"))
    assert r.returncode not in (0, 2) and str(tmp_path / "gone") in r.stderr
    assert r.stdout == ""


def test_this_machine_and_wrong_arguments():
    r = ports("--json")
    assert r.returncode == 0 and isinstance(json.loads(r.stdout), list)
    r = ports("/dev/ttyUSB0")
    assert r.returncode == 2 and "/dev/ttyUSB0" in r.stderr
