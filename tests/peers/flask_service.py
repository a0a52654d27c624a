"""The service that bench-rpc calls over HTTP, as a threaded Flask application: flask_service.py PORT."""
import sys

from flask import Flask, request

app = Flask(__name__)


@app.get("/ping")
def ping():
    return "pong"


@app.post("/echo")
def echo():
    return request.get_data(), {"Content-Type": "application/octet-stream"}


@app.post("/upload")
def upload():
    return {"size": len(request.get_data())}


@app.get("/download/<int:size>")
def download(size):
    return bytes(range(256)) * (size // 256) + bytes(range(size % 256)), {"Content-Type": "application/octet-stream"}


@app.get("/compute/<int:n>")
def compute(n):
    return str(sum(i * i for i in range(n)))


@app.route("/said", methods=["PUT", "POST", "PATCH"])
def said():
    return f"{request.method} {request.headers.get('X-Word')} {request.get_data(as_text=True)} {request.args.get('q')}"


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]), threaded=True)
