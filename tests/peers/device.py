"""A REPL device behind a terminal that others may open: what a serial port with a board at it looks like."""
import os
import signal
import subprocess
import tty


def stop(process):
    """Ends a process and its group, which it leads."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            pass
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            continue
    process.wait(timeout=5)


class PtyDevice:
    """`command` (a list of words) runs on the master side; `path` (/dev/pts/N) is the port.

    Our own open descriptor of the port keeps it alive between clients, as a board stays powered between them.
    """

    def __init__(self, command):
        master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.path = os.ttyname(self.slave)
        self.process = subprocess.Popen(command, stdin=master, stdout=master, stderr=subprocess.DEVNULL,
                                        start_new_session=True)
        os.close(master)

    def close(self):
        stop(self.process)
        os.close(self.slave)
