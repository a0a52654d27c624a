"""Servers that behave in exactly one bad or slow way, on loopback, one thread per connection."""
import select
import socket
import subprocess
import threading
import time

from peers.device import stop

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
COM_PORT = 44


class Fake:
    """`serve(conn)` runs for each connection; `url(scheme)` is the target. Ended by close()."""

    def __init__(self, serve, rest=0.0, port=0):
        """`rest`: seconds of deafness after each session, in which nobody is accepted (one client at a time then)."""
        self.serve, self.rest = serve, rest
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.ended = threading.Event()
        self.connections, self.threads = [], []
        self.accepts = threading.Thread(target=self.accept, daemon=True)
        self.accepts.start()

    def url(self, scheme="socket"):
        return f"{scheme}://127.0.0.1:{self.port}"

    def accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.append(conn)
            if self.rest:
                self.session(conn)
                self.ended.wait(self.rest)
            else:
                self.threads.append(threading.Thread(target=self.session, args=(conn,), daemon=True))
                self.threads[-1].start()

    def session(self, conn):
        try:
            self.serve(conn)
        except OSError:
            pass
        finally:
            conn.close()

    def close(self):
        self.ended.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for conn in self.connections:
            try:
                conn.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in [self.accepts, *self.threads]:
            thread.join(timeout=10)


def until_closed(conn):
    while conn.recv(65536):
        pass


def silent(conn):
    """Reads, never says a word."""
    until_closed(conn)


def says(data, again=False):
    """Says `data` at once (for ever with `again`), and reads what comes."""
    def serve(conn):
        conn.sendall(data)
        while again:
            conn.sendall(data)
        until_closed(conn)
    return serve


def hangs_up(conn):
    """Closes as soon as the first byte came."""
    conn.recv(1)


def device(program, *options, relay=None):
    """mpbench's own device behind the connection; `relay(conn, other)` stands between the two."""
    def serve(conn):
        ours, theirs = socket.socketpair()
        process = subprocess.Popen([program, "serve-repl", *options], stdin=theirs, stdout=theirs,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        theirs.close()
        try:
            (relay or pump)(conn, ours)
        finally:
            ours.close()
            stop(process)
    return serve


def pump(conn, other):
    """Both ways at once, until either side ends."""
    sides = {conn: other, other: conn}
    while True:
        for ready in select.select(list(sides), [], [])[0]:
            data = ready.recv(65536)
            if not data:
                return
            sides[ready].sendall(data)


def sleeper(seconds):
    """A bridge whose reader of the device sleeps whenever it finds nothing; what the client sends goes on at once."""
    def relay(conn, other):
        def read_device():
            while True:
                time.sleep(seconds)
                while select.select([other], [], [], 0)[0]:
                    data = other.recv(65536)
                    if not data:
                        return
                    conn.sendall(data)

        reader = threading.Thread(target=quietly(read_device), daemon=True)
        reader.start()
        while data := conn.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_RDWR)
        reader.join(timeout=10)
    return relay


def quietly(work):
    def run():
        try:
            work()
        except OSError:
            pass
    return run


def refuses_com_port(conn):
    """A telnet server that wants no option at all."""
    while True:
        data = conn.recv(4096)
        if not data:
            return
        for at in range(0, len(data) - 2, 3):
            if data[at] == IAC:
                answer = {DO: WONT, WILL: DONT}.get(data[at + 1])
                if answer:
                    conn.sendall(bytes((IAC, answer, data[at + 2])))
