"""ser2net over a terminal: a raw TCP port and an RFC 2217 port, with its default options or tuned ones, or only half."""
import pathlib
import select
import socket
import subprocess
import time

from peers.device import stop

# The defaults send what a device says after a few milliseconds of silence, with Nagle's algorithm; the tuned port at once.
CONNECTION = """\
connection: &{name}
  accepter: {telnet}tcp{nodelay},127.0.0.1,{port}
  connector: serialdev,{device},115200n81,local
  options:
    {option}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listening(port):
    wanted = f":{port:04X} "
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = pathlib.Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and (fields[1] + " ").endswith(wanted):
                return True
    return False


def wait_listening(process, ports, seconds=10):
    """Until the process listens on all ports; without connecting, which a server may count as a client."""
    end = time.monotonic() + seconds
    while not all(listening(p) for p in ports):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with status {process.returncode}")
        if time.monotonic() > end:
            raise RuntimeError(f"{process.args[0]} does not listen on {ports}")
        select.select([], [], [], 0.01)


class Ser2net:
    """Ports: `socket` and `rfc2217` are the URLs; both lead to the same terminal, one client at a time."""

    def __init__(self, program, device, directory, tuned=True, nodelay=None):
        self.ports = (free_port(), free_port())
        nodelay = tuned if nodelay is None else nodelay
        config = pathlib.Path(directory) / f"ser2net-{self.ports[0]}.yaml"
        config.write_text("".join(
            CONNECTION.format(name=name, telnet=telnet, port=port, device=device,
                              nodelay="(nodelay)" if nodelay else "",
                              option="chardelay: false" if tuned else "chardelay: true")
            for name, telnet, port in (("raw", "", self.ports[0]), ("rfc", "telnet(rfc2217),", self.ports[1]))))
        self.log = open(config.with_suffix(".log"), "wb")
        # -n stays in the foreground, -u leaves the machine's lock files alone.
        self.process = subprocess.Popen([program, "-n", "-u", "-c", str(config)], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, start_new_session=True)
        try:
            wait_listening(self.process, self.ports)
        except RuntimeError:
            self.close()
            raise
        self.socket = f"socket://127.0.0.1:{self.ports[0]}"
        self.rfc2217 = f"rfc2217://127.0.0.1:{self.ports[1]}"

    def close(self):
        stop(self.process)
        self.log.close()
