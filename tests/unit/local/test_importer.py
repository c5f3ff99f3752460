"""Importing a file, against a stub of the service."""

from __future__ import annotations

import io
import json
import os
import re
import socket
import sys
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.local.importer import LINE_BYTES_MAX, ImportFailedError, import_file


if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.local.importer import Summary

TOKEN = "head.body.signature"
ROWS = "id,time,quantity\na,2026-11-22T09:00:00Z,1\nb,2026-11-22T09:00:01Z,2\nc,2026-11-22T09:00:02Z,3\n"


@dataclass
class Step:
    """An answer that the stub gives instead of its own; *takes* tells whether it takes the events all the same."""

    status: int | None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    takes: bool = False


DROPPED = Step(status=None)
DROPPED_AFTER_TAKING = Step(status=None, takes=True)


class Stub(ThreadingHTTPServer):
    """
    Take events as the service does: each id once, those named in *refused* never.

    *steps* are answered first; *requests* and *batches* hold what came.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.steps: deque[Step] = deque()
        self.refused: set[str] = set()
        self.requests: list[dict[str, str]] = []
        self.batches: list[list[dict[str, Any]]] = []
        self.taken: set[str] = set()
        self.connections = 0
        self.asked = threading.Event()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def ids(self) -> list[list[str]]:
        """The ids of the events of each request."""
        return [[event["id"] for event in batch] for batch in self.batches]

    def take(self, batch: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the answer to a batch."""
        results = []
        for index, event in enumerate(batch):
            if event["id"] in self.refused:
                detail = f"no row matches {event['id']}"
                results.append({"index": index, "status": "rejected", "code": "no_rate", "detail": detail})
            elif event["id"] in self.taken:
                results.append({"index": index, "status": "duplicate", "code": "duplicate", "detail": None})
            self.taken.add(event["id"])
        statuses = [result["status"] for result in results]
        return {
            "accepted": len(batch) - len(results),
            "duplicates": statuses.count("duplicate"),
            "rejected": statuses.count("rejected"),
            "results": results,
        }


class Handler(BaseHTTPRequestHandler):
    """One connection to the stub."""

    server: Stub
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Count the connection."""
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        """Answer the next step, or take the events."""
        batch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append({"path": self.path, **self.headers})
        self.server.batches.append(batch)
        self.server.asked.set()
        step = self.server.steps.popleft() if self.server.steps else None
        if step is None or step.takes:
            answer = self.server.take(batch)
        if step is None:
            step = Step(200, {"Content-Type": "application/json"}, json.dumps(answer).encode())
        if step.status is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(step.status)
        for name, value in {**step.headers, "Content-Length": str(len(step.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(step.body)

    def log_message(self, *args: object) -> None:
        """Be silent."""


@pytest.fixture
def stub() -> Iterator[Stub]:
    """Give a running stub."""
    with Stub() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Waits(list[float]):
    """The pauses that were asked for, which pass at once on its own clock."""

    def now(self) -> float:
        """Return how long the pauses took together."""
        return sum(self)


@pytest.fixture
def waits() -> Waits:
    """Give the pauses of the import."""
    return Waits()


@dataclass
class Importer:
    """Imports texts."""

    folder: Path
    stub: Stub
    waits: Waits

    def run(self, content: str | bytes, name: str = "usage.csv", **options: Any) -> Summary:
        """Import *content* as a file called *name*."""
        file = self.folder / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        defaults = {"account": "acme", "resource": "call", "url": self.stub.url, "token": TOKEN}
        return import_file(file, pause=self.waits.append, monotonic=self.waits.now, **{**defaults, **options})


@pytest.fixture
def importer(tmp_path: Path, stub: Stub, waits: Waits) -> Importer:
    """Give what imports texts into the stub."""
    return Importer(tmp_path, stub, waits)


def problem(status: int, detail: str, **headers: str) -> Step:
    """Return a problem document as the service answers it."""
    document = {"status": status, "code": "some_code", "detail": detail}
    return Step(status, {"Content-Type": "application/problem+json", **headers}, json.dumps(document).encode())


class TestCsv:
    """What a CSV file becomes."""

    def test_row(self, importer: Importer) -> None:
        """A row is an event of the account's product, with the cells that are filled."""
        importer.run(
            "quantity,id,time,direction,resolution,country_code,number,category,type,interaction_id\n"
            "95,c-1,2026-11-22T14:03:11Z,outbound, answered ,US,+12065550100,,byoc,\n",
            source="/archive",
        )

        assert importer.stub.batches == [
            [
                {
                    "specversion": "1.0",
                    "id": "c-1",
                    "source": "/archive",
                    "type": "call",
                    "subject": "acme",
                    "time": "2026-11-22T14:03:11Z",
                    "data": {
                        "quantity": "95",
                        "direction": "outbound",
                        "resolution": "answered",
                        "country_code": "US",
                        "number": "+12065550100",
                        "type": "byoc",
                    },
                }
            ]
        ]

    def test_request(self, importer: Importer) -> None:
        """A batch goes to the events of the service, as what it is and with the token."""
        importer.run(ROWS, url=f"{importer.stub.url}/")
        (request,) = importer.stub.requests

        assert request["path"] == "/v1/events"
        assert request["Content-Type"] == "application/cloudevents-batch+json"
        assert request["Authorization"] == f"Bearer {TOKEN}"

    def test_batches(self, importer: Importer) -> None:
        """Rows are posted in batches over one connection, the last as large as it happens to be."""
        summary = importer.run(ROWS, batch=2)

        assert importer.stub.ids == [["a", "b"], ["c"]]
        assert importer.stub.connections == 1
        assert (summary.accepted, summary.duplicates, summary.rejected) == (3, 0, 0)
        assert summary.text() == "3 accepted, 0 duplicates, 0 rejected"

    def test_batch_of_many_bytes(self, importer: Importer) -> None:
        """A batch is cut before it is larger than the service takes."""
        long = "x" * 100_000
        rows = "".join(f"{long}{row},2026-11-22T09:00:00Z,1\n" for row in range(50))
        importer.run(f"id,time,quantity\n{rows}")

        assert [len(batch) for batch in importer.stub.batches] == [41, 9]

    def test_twice(self, importer: Importer) -> None:
        """The second import of a file finds duplicates alone, which are no failure."""
        importer.run(ROWS)
        summary = importer.run(ROWS)

        assert (summary.accepted, summary.duplicates, summary.rejected) == (0, 3, 0)

    def test_byte_order_mark(self, importer: Importer) -> None:
        """The mark that some programs begin a file with is no part of the first column's name."""
        importer.run(b"\xef\xbb\xbf" + ROWS.encode())

        assert importer.stub.ids == [["a", "b", "c"]]

    def test_windows_lines_and_blank_ones(self, importer: Importer) -> None:
        """Lines may end as on Windows; blank ones and rows of blank cells are none."""
        importer.run("id,time,quantity\r\n\r\na,2026-11-22T09:00:00Z,1\r\n,,\r\n")

        assert importer.stub.ids == [["a"]]

    def test_quoted_cells(self, importer: Importer) -> None:
        """A quoted cell may hold commas, quotes and line ends, and other alphabets."""
        importer.run('id,time,quantity\n"é, ""1""\nnext",2026-11-22T09:00:00Z,1\n')

        assert importer.stub.ids == [['é, "1"\nnext']]

    def test_header_alone(self, importer: Importer) -> None:
        """A file without rows is imported by doing nothing."""
        assert importer.run("id,time,quantity\n").answered == 0
        assert importer.stub.batches == []

    def test_left_to_the_service(self, importer: Importer) -> None:
        """What a filled cell holds is the service's to judge, and a blank id is left out like any other cell."""
        importer.stub.steps.append(
            Step(
                200,
                body=b'{"accepted":0,"duplicates":0,"rejected":1,"results":'
                b'[{"index":0,"status":"rejected","code":"invalid_event","detail":"no id"}]}',
            )
        )
        summary = importer.run("id,time,quantity\n,yesterday,many\n")

        assert importer.stub.batches[0][0]["data"] == {"quantity": "many"}
        assert "id" not in importer.stub.batches[0][0]
        assert summary.rejected_by_code == {"invalid_event": 1}

    def test_streams(self, importer: Importer, tmp_path: Path) -> None:
        """The first batch is posted before the rest of the file exists."""
        pipe = tmp_path / "pipe.csv"
        os.mkfifo(pipe)
        posted_early = []

        def write() -> None:
            with pipe.open("w") as file:
                file.write("id,time,quantity\na,2026-11-22T09:00:00Z,1\n")
                file.flush()
                posted_early.append(importer.stub.asked.wait(10))
                file.write("b,2026-11-22T09:00:01Z,1\n")

        writer = threading.Thread(target=write)
        writer.start()
        summary = import_file(pipe, account="acme", resource="call", url=importer.stub.url, token=TOKEN, batch=1)
        writer.join()

        assert posted_early == [True]
        assert summary.accepted == 2


class TestColumns:
    """Headers that are refused before anything is sent."""

    @pytest.mark.parametrize(
        ("header", "fault"),
        [
            ("id,time,quantity,colour", "there is no column 'colour'"),
            ("id,time,quantity,", "there is no column ''"),
            ("id;time;quantity", "there is no column 'id;time;quantity'"),
            ("id,time", "the column 'quantity' is missing"),
            ("id,time,quantity,id", "the column 'id' stands twice"),
            ("", "the column 'id' is missing"),
        ],
    )
    def test_refused(self, importer: Importer, header: str, fault: str) -> None:
        """The message names the column and all that there are; nothing is posted."""
        with pytest.raises(ImportFailedError, match=re.escape(fault)) as failed:
            importer.run(f"{header}\na,2026-11-22T09:00:00Z,1,red\n")

        assert "the columns are id, time, quantity, direction, resolution" in str(failed.value)
        assert importer.stub.batches == []


class TestNdjson:
    """CloudEvents, one on each line."""

    EVENTS = '{"id": "a", "data": {"quantity": "1"}, "own": 1e2}\n\n{"id":"b"}\n'

    @pytest.mark.parametrize("name", ["usage.ndjson", "usage.JSONL", "usage.txt"])
    def test_posted_as_they_are(self, importer: Importer, name: str) -> None:
        """The ending tells the format, or else the first character does, and nothing is added to an event."""
        importer.run(self.EVENTS, name)

        assert importer.stub.batches == [[{"id": "a", "data": {"quantity": "1"}, "own": 100.0}, {"id": "b"}]]

    def test_broken_line(self, importer: Importer) -> None:
        """A line that is no JSON is rejected without the service, which gets the others."""
        summary = importer.run('{"id":"a"}\n{"id":\n{"id":"b"}\n', "usage.ndjson")

        assert importer.stub.ids == [["a", "b"]]
        assert (summary.accepted, summary.rejected_by_code) == (2, {"invalid_line": 1})
        assert "line 2: invalid_line: the line is not JSON" in summary.text()

    def test_byte_order_mark(self, importer: Importer) -> None:
        """A mark at the start is no part of the first event."""
        importer.run(b'\xef\xbb\xbf{"id":"a"}', "usage.txt")

        assert importer.stub.ids == [["a"]]


class TestRejections:
    """What the summary tells of lines that were not taken."""

    def test_named_by_line(self, importer: Importer) -> None:
        """A rejected event is named by the line it begins on, with code and detail, and counted by code."""
        importer.stub.refused = {"two\nlines", "c"}
        summary = importer.run(
            'id,time,quantity\n\na,2026-11-22T09:00:00Z,1\n"two\nlines",2026-11-22T09:00:00Z,1\n'
            "short,2026-11-22T09:00:00Z\nc,2026-11-22T09:00:00Z,1\n",
            batch=2,
        )

        assert summary.text().splitlines() == [
            "1 accepted, 0 duplicates, 3 rejected",
            "  2 no_rate",
            "  1 invalid_line",
            "line 4: no_rate: no row matches two lines",
            "line 6: invalid_line: the line has 2 cells for 3 columns",
            "line 7: no_rate: no row matches c",
        ]

    def test_first_ones_shown(self, importer: Importer) -> None:
        """All are counted, ten are shown."""
        importer.stub.refused = {f"e-{row}" for row in range(1500)}
        rows = "".join(f"e-{row},2026-11-22T09:00:00Z,1\n" for row in range(1500))
        lines = importer.run(f"id,time,quantity\n{rows}").text().splitlines()

        assert lines[:3] == [
            "0 accepted, 0 duplicates, 1,500 rejected",
            "  1,500 no_rate",
            "line 2: no_rate: no row matches e-0",
        ]
        assert lines[11:] == ["line 11: no_rate: no row matches e-9", "and 1,490 more"]


class TestTryingAgain:
    """Requests that are repeated."""

    def test_busy(self, importer: Importer) -> None:
        """A busy service is asked again, not before it said."""
        importer.stub.steps += [problem(503, "busy", **{"Retry-After": "3"}), problem(503, "busy")]
        summary = importer.run(ROWS, batch=2)

        assert importer.stub.ids == [["a", "b"], ["a", "b"], ["a", "b"], ["c"]]
        assert len(importer.waits) == 2
        assert 3 < importer.waits[0] < 4
        assert 0 < importer.waits[1] < 1
        assert summary.accepted == 3

    @pytest.mark.parametrize("value", ["Wed, 21 Oct 2015 07:28:00 GMT", "soon", ""])
    def test_retry_after_of_no_use(self, importer: Importer, value: str) -> None:
        """A time that is past, and one that cannot be read, ask for no wait of their own."""
        importer.stub.steps.append(problem(503, "busy", **{"Retry-After": value}))
        importer.run(ROWS)

        assert importer.waits.now() < 1

    def test_retry_after_as_a_date(self, importer: Importer) -> None:
        """A time too far ahead ends the import, as a number of seconds would."""
        importer.stub.steps.append(problem(503, "busy", **{"Retry-After": "Tue, 01 Jan 2999 00:00:00 GMT"}))

        with pytest.raises(ImportFailedError, match="503"):
            importer.run(ROWS)

    def test_connection_dropped(self, importer: Importer) -> None:
        """After a lost connection the batch is posted again, and the import goes on from there."""
        importer.stub.steps += [Step(200, body=b'{"accepted":1,"duplicates":0,"rejected":0,"results":[]}'), DROPPED]
        summary = importer.run(ROWS, batch=1)

        assert importer.stub.ids == [["a"], ["b"], ["b"], ["c"]]
        assert (summary.accepted, summary.duplicates) == (3, 0)

    def test_answer_lost(self, importer: Importer) -> None:
        """A batch whose answer was lost is posted again, and was taken once."""
        importer.stub.steps.append(DROPPED_AFTER_TAKING)
        summary = importer.run(ROWS)

        assert importer.stub.taken == {"a", "b", "c"}
        assert (summary.accepted, summary.duplicates) == (0, 3)

    def test_gives_up(self, importer: Importer) -> None:
        """A service that stays busy is given up after a bounded time; the message says what is done."""
        importer.stub.steps += [
            Step(200, body=b'{"accepted":1,"duplicates":0,"rejected":0,"results":[]}'),
            *[problem(503, "the account is busy")] * 100,
        ]

        with pytest.raises(ImportFailedError) as failed:
            importer.run(ROWS, batch=1)
        assert str(failed.value) == (
            f"{importer.stub.url}/v1/events answered 503: the account is busy. "
            "Events answered before: 1; it is safe to run the import again."
        )
        assert 60 < importer.waits.now() <= 90
        assert max(importer.waits) <= 8
        assert importer.waits[0] < importer.waits[4]

    def test_unreachable(self, importer: Importer) -> None:
        """A service that never answered is given up sooner."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]

        with pytest.raises(ImportFailedError, match=r"cannot be reached: Connection refused\."):
            importer.run(ROWS, url=f"http://127.0.0.1:{port}")
        assert 2 < importer.waits.now() <= 10


class TestFailures:
    """What ends an import at once."""

    @pytest.mark.parametrize(
        ("status", "meaning"),
        [
            (400, "the request is refused"),
            (401, "the token is not accepted"),
            (403, "it needs the scope events:write"),
            (404, "nothing at this address that takes events"),
            (413, "a smaller --batch may help"),
            (500, "the request was not completed"),
        ],
    )
    def test_refused(self, importer: Importer, status: int, meaning: str) -> None:
        """A refusal is not tried again; the message has its meaning and the service's own words, not the token."""
        importer.stub.steps.append(problem(status, "because"))

        with pytest.raises(ImportFailedError) as failed:
            importer.run(ROWS)
        assert f"answered {status}, " in str(failed.value)
        assert f"{meaning}: because. Events answered before: 0; it is safe" in str(failed.value)
        assert TOKEN not in str(failed.value)
        assert len(importer.stub.requests) == 1

    def test_not_followed(self, importer: Importer) -> None:
        """The token is not taken to where an answer points."""
        importer.stub.steps.append(Step(307, {"Location": f"{importer.stub.url}/elsewhere"}))

        with pytest.raises(ImportFailedError, match="answered 307"):
            importer.run(ROWS)
        assert [request["path"] for request in importer.stub.requests] == ["/v1/events"]

    @pytest.mark.parametrize(
        "body",
        [
            b"<html>welcome</html>",
            b'{"accepted": 3}',
            b'{"accepted":2,"duplicates":0,"rejected":0,"results":[]}',
            b'{"accepted":3,"duplicates":0,"rejected":0,"results":[{"index":3,"status":"rejected"}]}',
        ],
    )
    def test_not_the_service(self, importer: Importer, body: bytes) -> None:
        """An answer that does not account for the batch is not taken for one."""
        importer.stub.steps.append(Step(200, body=body))

        with pytest.raises(ImportFailedError, match="does not answer as the service does"):
            importer.run(ROWS)

    @pytest.mark.parametrize(
        "url", ["", "127.0.0.1:8000", "ftp://host", "http://", "http://a:99999", "http://u:secret@host", "http://a?b"]
    )
    def test_address(self, importer: Importer, url: str) -> None:
        """An address that cannot be one is refused without being repeated, for it may hold a secret."""
        with pytest.raises(ImportFailedError, match="--url must be an http or https address") as failed:
            importer.run(ROWS, url=url)
        assert "secret" not in str(failed.value)

    @pytest.mark.parametrize("token", ["", "two parts", "line\nend", "…"])
    def test_token(self, importer: Importer, token: str) -> None:
        """A token that no header could hold is refused without being repeated."""
        with pytest.raises(ImportFailedError, match=r"^--token holds characters that no token has$"):
            importer.run(ROWS, token=token)

    def test_not_trusted(self, importer: Importer) -> None:
        """A connection that cannot be made secure is not tried again."""
        with pytest.raises(ImportFailedError, match="cannot be trusted"):
            importer.run(ROWS, url=importer.stub.url.replace("http", "https"))
        assert importer.waits == []

    def test_not_utf_8(self, importer: Importer) -> None:
        """A file in another encoding fails at the line that shows it."""
        with pytest.raises(ImportFailedError, match=r"line 3 is not UTF-8\. Events answered before: 1;"):
            importer.run(b"id,time,quantity\na,2026-11-22T09:00:00Z,1\n\xe9,2026-11-22T09:00:00Z,1\n", batch=1)

    @pytest.mark.parametrize("row", ['"a,2026-11-22T09:00:00Z,1\nb', '"a"b,2026-11-22T09:00:00Z,1'])
    def test_not_csv(self, importer: Importer, row: str) -> None:
        """A row that cannot be told apart from the next is an error of the line where it begins."""
        with pytest.raises(ImportFailedError, match="line 2 is not CSV"):
            importer.run(f"id,time,quantity\n{row}\n")

    def test_endless_line(self, importer: Importer) -> None:
        """A line that is too long for an event is not read to its end."""
        with pytest.raises(ImportFailedError, match=r"line 2 is longer than 1,048,576 bytes"):
            importer.run('{"id":"a"}\n' + "x" * (LINE_BYTES_MAX + 1), "usage.ndjson")

    def test_unreadable(self, importer: Importer) -> None:
        """A file that cannot be opened is named."""
        with pytest.raises(ImportFailedError, match=r"missing\.csv cannot be read: No such file"):
            import_file(Path("missing.csv"), account="acme", resource="call", url=importer.stub.url, token=TOKEN)


class Terminal(io.StringIO):
    """Keeps what a terminal would show."""

    def isatty(self) -> bool:
        """Be a terminal."""
        return True


class TestProgress:
    """The bar on standard error."""

    def test_on_a_terminal(self, importer: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
        """A terminal shows the file and how many events are answered."""
        terminal = Terminal()
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sys, "stderr", terminal)
        importer.run(ROWS, "[red]usage.csv")

        assert "[red]usage.csv" in terminal.getvalue()
        assert "3 events" in terminal.getvalue()

    def test_elsewhere(self, importer: Importer, capsys: pytest.CaptureFixture[str]) -> None:
        """Without a terminal nothing is written."""
        importer.run(ROWS)

        assert capsys.readouterr() == ("", "")
