"""Scripted peers of the iperf3 protocol, in both roles: what real ones would do only by accident."""
import json
import socket
import struct
import threading

HELLO, REPLY, OLD_REPLY = b"9876", b"6789", b"\xb1\x68\xde\x3a"
RESULTS = {"cpu_util_total": 1, "cpu_util_user": 0.5, "cpu_util_system": 0.5, "sender_has_retransmits": 0,
           "streams": [{"id": 1, "bytes": 0, "retransmits": 0, "jitter": 0, "errors": 0, "packets": 0,
                        "start_time": 0, "end_time": 1}]}


def frame(value):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return struct.pack(">I", len(body)) + body


def take(s, n):
    out = b""
    while len(out) < n:
        part = s.recv(n - len(out))
        if not part:
            raise EOFError
        out += part
    return out


def take_frame(s):
    return json.loads(take(s, struct.unpack(">I", take(s, 4))[0]))


class Server:
    """One listening port; `behave(server, control)` runs for each connection in a thread of its own, until close."""

    def __init__(self, behave):
        self.behave = behave
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.sockets, self.seen = [], []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.sockets.append(s)
            threading.Thread(target=self.one, args=(s,), daemon=True).start()

    def one(self, s):
        try:
            self.behave(self, s)
        except (OSError, EOFError, ValueError):
            pass

    def close(self):
        self.listener.close()
        for s in self.sockets:
            s.close()


def says(*steps):
    """A server that reads the cookie and then says the bytes of each step; None waits for the parameters, "stop" closes,
    "hang" says nothing more. Data connections (the second one and later) are only read."""
    def behave(server, s):
        cookie = take(s, 37)
        if cookie in server.seen:
            while s.recv(65536):
                pass
            return
        server.seen.append(cookie)
        for step in steps:
            if step is None:
                take_frame(s)
            elif step == "stop":
                s.shutdown(socket.SHUT_RDWR)
                s.close()
                return
            elif step == "hang":
                while s.recv(65536):
                    pass
            elif step == "end":
                while take(s, 1) != b"\x04":
                    pass
            elif step == "results":
                take_frame(s)
            else:
                for i in range(len(step)):
                    s.sendall(step[i:i + 1])
    return behave


def micropython(server, s):
    """As MicroPython's iperf3.py serves UDP: it asks for the streams before its socket is there."""
    cookie = take(s, 37)
    s.sendall(b"\x09")
    params = take_frame(s)
    port = s.getsockname()[1]
    s.sendall(b"\x0a")
    # the client's own socket shows that it is about to ask, or has asked already
    wanted = f"0100007F:{port:04X}"
    while not any(line.split()[2] == wanted for line in open("/proc/net/udp")):
        pass
    server.refusals = server.refusals + 1 if hasattr(server, "refusals") else 1
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind(("127.0.0.1", port))
    _, peer = u.recvfrom(64)
    u.connect(peer)
    u.send(OLD_REPLY)
    s.sendall(b"\x01\x02")
    u.settimeout(0.05)
    n = highest = received = 0
    s.setblocking(False)
    while True:
        try:
            data = u.recv(65536)
            if len(data) >= 12:
                n, received = n + 1, received + len(data)
                highest = max(highest, struct.unpack(">I", data[8:12])[0])
        except TimeoutError:
            pass
        try:
            if s.recv(1) == b"\x04":
                break
        except BlockingIOError:
            pass
    s.setblocking(True)
    u.setblocking(False)
    try:
        while True:
            data = u.recv(65536)
            n, received = n + 1, received + len(data)
            highest = max(highest, struct.unpack(">I", data[8:12])[0])
    except BlockingIOError:
        pass
    s.sendall(b"\x0d")
    take_frame(s)
    stream = {"id": 1, "bytes": received, "retransmits": 0, "jitter": 0, "errors": 0, "packets": highest,
              "start_time": 0, "end_time": params["time"]}
    s.sendall(frame({**RESULTS, "streams": [stream]}))
    s.sendall(b"\x0e")
    take(s, 1)
    u.close()
