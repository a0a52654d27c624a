"""An RPyC server that misbehaves as told, in threads; and brine enough for that."""
import socket
import struct
import threading


def frame(payload, compressed=0, end=b"\n"):
    return struct.pack("!LB", len(payload), compressed) + payload + end


def small(n):
    """A small int in brine."""
    return bytes([0x50 + n])


# ("mpbench.Fake", 1, 2) and a reference to it
ID = b"\x12\x08\x0e\x0cmpbench.Fake\x51\x52"
REFERENCE = b"\x11\x54" + ID


def reply(seq, box=b"\x11\x51\x00", kind=2, layout=5):
    """kind 1: a request, 2: a reply, 3: an exception."""
    if layout == 5:
        return frame(b"\x12" + small(kind) + seq + box)
    return frame(bytes([kind]) + b"\x11" + seq + box)


def request(seq, handler, box=b"\x11\x51\x02", layout=5):
    return reply(small(seq), b"\x11" + small(handler) + box, 1, layout)


class Connection:
    def __init__(self, sock):
        self.sock = sock
        self.bytes = b""

    def read(self, n):
        while len(self.bytes) < n:
            more = self.sock.recv(65536)
            if not more:
                raise EOFError
            self.bytes += more
        out, self.bytes = self.bytes[:n], self.bytes[n:]
        return out

    def receive(self):
        """(layout, seq in brine, handler) of the next request; EOFError where the client has left."""
        length, _ = struct.unpack("!LB", self.read(5))
        payload = self.read(length + 1)[:-1]
        layout = 5 if payload[0] == 0x12 else 6
        at = 2
        end = at + (2 + payload[at + 1] if payload[at] == 0x16 else 1)
        return layout, payload[at:end], payload[end + 1] - 0x50

    def send(self, data):
        self.sock.sendall(data)

    def give_root(self):
        """Answers the first requests, up to the root."""
        while True:
            layout, seq, handler = self.receive()
            if handler == 3:
                self.send(reply(seq, REFERENCE, layout=layout))
                return
            self.send(reply(seq, layout=layout))

    def answer_version(self):
        """The question about a name that nothing has: answered by a plain value. True when the request was that."""
        layout, seq, handler = self.receive()
        if handler == 4:
            self.send(reply(seq, layout=layout))
            return None
        return layout, seq, handler


class Fake:
    """`behave(connection)` runs in a thread for each connection; its EOFError and OSError are the client's leaving."""

    def __init__(self, behave):
        self.behave = behave
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.errors = []
        self.sockets = []
        threading.Thread(target=self.run, daemon=True).start()

    def url(self):
        return f"rpyc://127.0.0.1:{self.port}"

    def run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.sockets.append(sock)
            threading.Thread(target=self.one, args=(sock,), daemon=True).start()

    def one(self, sock):
        try:
            self.behave(Connection(sock))
        except (EOFError, OSError):
            pass
        except Exception as e:  # told by close()
            self.errors.append(e)
        finally:
            sock.close()

    def close(self):
        self.listener.close()
        for sock in self.sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        assert not self.errors, self.errors
