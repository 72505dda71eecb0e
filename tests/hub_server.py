"""As much of a hub's HTTP interface as an upload of small files takes, on a loopback port, with what it was sent."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Hub:
    url: str = ""
    token: str = "hf_right"
    private: dict[str, bool] = field(default_factory=dict)  # by "datasets/OWNER/NAME" or "models/OWNER/NAME"
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    status: int = 200  # of a commit


@contextmanager
def hub_server(hub: Hub) -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def answer(self, told: object, status: int = 200) -> None:
            data = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def allowed(self) -> bool:
            return self.headers.get("Authorization") == f"Bearer {hub.token}"

        def do_GET(self) -> None:
            parts = urlsplit(self.path).path.split("/")
            key = "/".join(parts[2:5])
            if key not in hub.private:
                self.answer({"error": "Repository not found"}, 404)
            else:
                name = "/".join(parts[3:5])
                self.answer({"id": name, "private": hub.private[key], "siblings": [], "sha": "0" * 40, "tags": []})

        def do_POST(self) -> None:
            path, body = urlsplit(self.path).path, self.body()
            if not self.allowed():
                self.answer({"error": "Forbidden"}, 403)
            elif path == "/api/repos/create":
                told = json.loads(body)
                key = f"{told.get('type', 'model')}s/{told['organization']}/{told['name']}"
                status = 409 if key in hub.private else 200
                hub.private.setdefault(key, told.get("private") or told.get("visibility") == "private")
                self.answer({"url": f"{hub.url}/{key}", "name": told["name"]}, status)
            elif "/preupload/" in path:
                named = [{"path": one["path"], "uploadMode": "regular"} for one in json.loads(body)["files"]]
                self.answer({"files": [one | {"shouldIgnore": False, "oid": None} for one in named]})
            elif "/commit/" in path and hub.status == 200:
                lines = [json.loads(line) for line in body.splitlines()]
                sent = {one["value"]["path"]: one["value"] for one in lines if one["key"] == "file"}
                key = "/".join(path.split("/")[2:5])
                hub.files[key] = {name: base64.b64decode(one["content"]) for name, one in sent.items()}
                self.answer({"commitUrl": f"{hub.url}/{key}/commit/{'1' * 40}", "commitOid": "1" * 40})
            elif "/commit/" in path:
                self.answer({"error": "no"}, hub.status)
            else:
                self.answer({"type": "regular"})  # validate-yaml and the like

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
