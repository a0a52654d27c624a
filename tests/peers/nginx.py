"""Debian's nginx on loopback ports of its own, plain and TLS, with a certificate made for the occasion."""
import os
import pathlib
import subprocess

from peers.device import stop
from peers.ser2net import free_port, wait_listening

CONFIG = """daemon off;
{user}
pid {dir}/nginx.pid;
error_log {dir}/error.log;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
    keepalive_requests {keepalive};
    server {{
        listen 127.0.0.1:{plain};
        listen 127.0.0.1:{tls} ssl http2;
        ssl_certificate {dir}/cert.pem;
        ssl_certificate_key {dir}/key.pem;
        root {dir}/www;
    }}
}}
"""


def make_certificate(key, cert):
    """Of localhost and 127.0.0.1, signed by itself."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert], check=True,
                   capture_output=True, stdin=subprocess.DEVNULL)


class Nginx:
    """`plain` and `tls` are URLs without a path; `cert` is what --cacert needs (for localhost and 127.0.0.1)."""

    def __init__(self, program, directory, keepalive=1000, prefix=()):
        self.dir = pathlib.Path(directory)
        ports = (free_port(), free_port())
        (self.dir / "www").mkdir()
        (self.dir / "www" / "index.html").write_text("x" * 612)
        (self.dir / "www" / "1m").write_bytes(bytes(range(256)) * 4096)
        for one in (self.dir, self.dir / "www"):
            one.chmod(0o755)
        make_certificate(self.dir / "key.pem", self.dir / "cert.pem")
        self.cert = self.dir / "cert.pem"
        config = self.dir / "nginx.conf"
        config.write_text(CONFIG.format(user="user root;" if os.getuid() == 0 else "", dir=self.dir, plain=ports[0], tls=ports[1], keepalive=keepalive))
        self.process = subprocess.Popen([*prefix, program, "-c", str(config)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            wait_listening(self.process, ports, seconds=60)
        except RuntimeError:
            self.close()
            raise
        self.plain = f"http://127.0.0.1:{ports[0]}"
        self.tls = f"https://127.0.0.1:{ports[1]}"
        self.port = ports[0]

    def close(self):
        stop(self.process)
