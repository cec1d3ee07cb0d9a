"""A stand-in for the service of Weights & Biases: as much of its protocol as the client (0.31) speaks in a run.

It takes settings, points and files of runs and remembers them. It can be disturbed: answer 429, drop connections, be
down. Operations are named as in core/api/graphql of github.com/wandb/wandb, files as in core/internal/filestream.
"""

import json
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from dbn.runs.wandb_parts import parts_of

KEY = "0123456789" * 4
"""A key of the form that the client accepts."""
ENTITY = "someone"
OPERATION = re.compile(r"(?:query|mutation)\s+(\w+)")
FILE_STREAM = re.compile(r"/files/[^/]+/[^/]+/([^/]+)/file_stream")
HISTORY, SUMMARY, EVENTS, OUTPUT = "wandb-history.jsonl", "wandb-summary.json", "wandb-events.jsonl", "output.log"
TOO_MANY, DROPPED, UNANSWERED = 429, 0, -1
"""Disturbances: a status; the connection is closed before the request is taken, or after it and without an answer."""


@dataclass
class ServedRun:
    """What the service knows of a run.

    Attributes:
        settings: variables of ``UpsertBucket`` that had a value, the last ones.
        files: lines of each streamed file, by their number; points by their step.
        uploaded: content of each uploaded file.
        exit_code: None until the run has ended.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    files: dict[str, dict[int, str]] = field(default_factory=dict)
    uploaded: dict[str, bytes] = field(default_factory=dict)
    exit_code: int | None = None

    @property
    def history(self) -> list[dict[str, Any]]:
        """The points in the order of their steps."""
        return [json.loads(line) for _, line in sorted(self.files.get(HISTORY, {}).items())]

    @property
    def summary(self) -> dict[str, Any]:
        """The summary; empty until there is one."""
        lines = self.files.get(SUMMARY, {})
        return dict(json.loads(lines[max(lines)])) if lines else {}

    def tail(self, name: str) -> str:
        """The last line of a streamed file, as a JSON list."""
        lines = self.files.get(name, {})
        return json.dumps([lines[max(lines)]] if lines else [])


class Service:
    """What the service has been told. Requests come from several threads.

    Attributes:
        runs: by identity.
        disturb: given a request's number and kind, one of the disturbances, or None for an answer.
        requests: kind and status (or disturbance) of each request; kinds are names of operations, ``file_stream``,
            ``upload``.
        unknown: operations that it was asked for and does not know.
        open, most_open: runs that are being written, and the largest number that were at once.
        url: of its host.
        is_up: connections from before it went down are closed at their next request.
    """

    def __init__(self) -> None:
        self.runs: dict[str, ServedRun] = {}
        self.disturb: Callable[[int, str], int | None] = lambda number, kind: None
        self.requests: list[tuple[str, int]] = []
        self.unknown: Counter[str] = Counter()
        self.open: set[str] = set()
        self.most_open = 0
        self.lock = threading.RLock()
        self.url = ""
        self.is_up = False

    def statuses(self) -> Counter[int]:
        """How often each status, or disturbance, was the outcome."""
        return Counter(status for _, status in self.requests)

    def operate(self, name: str, variables: Mapping[str, Any]) -> Any:
        """The data that an operation returns; None for an unknown one."""
        operation = {
            "Viewer": self.viewer, "ServerFeaturesQuery": self.features, "RunResumeStatus": self.resume_status,
            "UpsertBucket": self.upsert, "CreateRunFiles": self.create_files, "ArtifactType": self.artifact_type,
            "CreateArtifact": self.create_artifact,
        }.get(name)  # fmt: skip
        if operation is None:
            self.unknown[name] += 1
            return None
        return operation(variables)

    def viewer(self, variables: Mapping[str, Any]) -> Any:
        """Whose key it is."""
        own = {"id": "1", "entity": ENTITY, "username": ENTITY, "email": "", "flags": "{}", "teams": {"edges": []}}
        return {"viewer": own}

    def features(self, variables: Mapping[str, Any]) -> Any:
        """Nothing but the oldest part of the protocol."""
        return {"serverInfo": {"features": []}}

    def resume_status(self, variables: Mapping[str, Any]) -> Any:
        """How far a run has come."""
        name = variables["name"]
        run = self.runs.get(name)
        bucket = run and {
            "id": name, "name": name, "summaryMetrics": json.dumps(run.summary), "displayName": name,
            "logLineCount": len(run.files.get(OUTPUT, {})), "historyLineCount": len(run.files.get(HISTORY, {})),
            "eventsLineCount": len(run.files.get(EVENTS, {})), "historyTail": run.tail(HISTORY),
            "eventsTail": run.tail(EVENTS), "config": run.settings.get("config", "{}"),
            "tags": run.settings.get("tags", []), "notes": None, "wandbConfig": '{"t": {}}',
        }  # fmt: skip
        return {"model": {**project(variables), "bucket": bucket}}

    def upsert(self, variables: Mapping[str, Any]) -> Any:
        """Create a run, or change its settings."""
        name = variables["name"]
        inserted = name not in self.runs
        run = self.runs.setdefault(name, ServedRun())
        run.settings.update({key: value for key, value in variables.items() if value is not None})
        self.open.add(name)
        self.most_open = max(self.most_open, len(self.open))
        bucket = {
            "id": name, "name": name, "displayName": run.settings.get("displayName"), "description": None,
            "config": run.settings.get("config"), "sweepName": None, "project": project(variables),
            "historyLineCount": len(run.files.get(HISTORY, {})),
        }  # fmt: skip
        return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}

    def create_files(self, variables: Mapping[str, Any]) -> Any:
        """Where files are to be uploaded."""
        run = variables["run"]
        files = [{"name": name, "uploadUrl": f"{self.url}/storage/{run}/{name}"} for name in variables["files"]]
        return {"createRunFiles": {"runID": run, "uploadHeaders": [], "files": files}}

    def artifact_type(self, variables: Mapping[str, Any]) -> Any:
        """No artifact is known; the client asks before it creates one."""
        return {"project": {"artifact": None}}

    def create_artifact(self, variables: Mapping[str, Any]) -> Any:
        """Say that it is there already: the content of a table comes as a file of the run, too."""
        found = {"id": "1", "state": "COMMITTED", "artifactSequence": {"latestArtifact": {"id": "1"}}}
        return {"createArtifact": {"artifact": found}}

    def stream(self, run: str, request: Mapping[str, Any]) -> Any:
        """Take lines of streamed files; a line that comes again replaces itself."""
        served = self.runs[run]
        for name, part in request.get("files", {}).items():
            lines = served.files.setdefault(name, {})
            if name == HISTORY:  # a point that comes again, as of a part that is sent twice, has the step that it had
                lines.update((json.loads(line)["_step"], line) for line in part["content"])
            else:
                lines.update(enumerate(part["content"], part["offset"]))
        if request.get("complete"):
            served.exit_code = request["exitcode"]
            self.open.discard(run)
        return {"exitcode": None, "limits": {}}

    def upload(self, path: str, content: bytes) -> Any:
        """Take an uploaded file."""
        _, _, run, name = path.split("/", 3)
        self.runs[run].uploaded[name] = content
        return {}


def project(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The project that an operation names."""
    return {"id": "1", "name": variables["project"], "entity": {"id": "1", "name": ENTITY}}


class Handler(BaseHTTPRequestHandler):
    """Takes requests for ``service``."""

    service: Service
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        """Answer requests until the client is gone; how it leaves does not matter."""
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def content(self) -> bytes:
        """The request's body."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def do_POST(self) -> None:
        """An operation, or lines of streamed files; other posts are statistics of the client about itself."""
        content = self.content()
        if self.path == "/graphql":
            asked = json.loads(content)
            found = OPERATION.search(asked["query"])
            name, variables = found[1] if found else asked["query"], asked.get("variables") or {}
            self.answer(name, lambda: self.service.operate(name, variables), graphql=True)
        elif stream := FILE_STREAM.fullmatch(self.path):
            self.answer("file_stream", lambda: self.service.stream(stream[1], json.loads(content)))
        else:
            self.send(200, {})

    def do_PUT(self) -> None:
        """A file."""
        content = self.content()
        self.answer("upload", lambda: self.service.upload(self.path, content))

    def answer(self, kind: str, take: Callable[[], Any], graphql: bool = False) -> None:
        """Take the request and answer it, unless it is disturbed."""
        with self.service.lock:
            asked = len(self.service.requests)
            disturbance = self.service.disturb(asked, kind) if self.service.is_up else DROPPED
            taken = take() if disturbance in (None, UNANSWERED) else None
            status = disturbance if disturbance is not None else 400 if graphql and taken is None else 200
            self.service.requests.append((kind, status))
        if status <= 0:
            self.close_connection = True
        elif graphql:
            self.send(status, {"data": taken} if status == 200 else {"errors": [{"message": f"{kind}: {status}"}]})
        else:
            self.send(status, taken if status == 200 else {"error": "too many requests"})

    def send(self, status: int, answer: Any) -> None:
        """Send an answer."""
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Ends with its connections."""

    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def served(service: Service) -> Iterator[Service]:
    """Within it, the service is up; it comes up again at the address that it had."""
    port = int(service.url.rsplit(":", 1)[1]) if service.url else 0
    server = Server(("127.0.0.1", port), type("Own", (Handler,), {"service": service}))
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    service.is_up = True
    try:
        yield service
    finally:
        service.is_up = False
        server.shutdown()
        server.server_close()
        thread.join()


def processes_of(service: Service) -> list[str]:
    """Other processes that know the service's address: what a job has left behind, by their commands."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if int(process.name) != os.getpid() and f"WANDB_BASE_URL={service.url}\0" in process.joinpath(
                "environ"
            ).read_text(errors="replace"):
                found.append(process.joinpath("cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def closed_parts(directory: Path, number: int = 1) -> list[Path]:
    """The parts of a run's directory; the client writes their ends a moment after a run has finished."""
    end = time.monotonic() + 10
    while len(found := parts_of(directory)) != number:
        assert time.monotonic() < end
        time.sleep(0.02)
    return found
