"""An API that costs nothing to answer: Unleashed's products, rendered to a file beforehand and sent from there.

    python -m benchmarks.served_pages FOLDER ROWS

`/Products/{page}` gives page by page; with `modifiedSince` only every hundredth row, changed. Signatures and limits
are not looked at. It prints its port, and serves until it is killed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from benchmarks.records import PAGE, product

SHARE = 100
"""One row in so many has changed."""


def render(path: Path, numbers: range, modified: str) -> list[tuple[int, int]]:
    """Writes all pages into one file; gives where each begins and how long it is."""
    pages = -(-len(numbers) // PAGE)
    places = []
    with path.open("wb") as file:
        for page in range(pages):
            rows = [product(number, modified) for number in numbers[page * PAGE : (page + 1) * PAGE]]
            head = {
                "NumberOfItems": len(numbers),
                "PageSize": PAGE,
                "PageNumber": page + 1,
                "NumberOfPages": pages,
            }
            body = json.dumps({"Pagination": head, "Items": rows}, default=_number).encode()
            places.append((file.tell(), len(body)))
            file.write(body)
    return places


def serve(folder: Path, rows: int) -> None:
    """Renders, then answers on a free port."""
    lists = {
        False: (folder / "all", render(folder / "all", range(rows), "/Date(1772368200000)/")),
        True: (folder / "some", render(folder / "some", range(0, rows, SHARE), "/Date(1780317000000)/")),
    }
    files = {which: path.open("rb") for which, (path, _) in lists.items()}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            query = parse_qs(address.query)
            which = "modifiedSince" in query
            number = int(address.path.rsplit("/", 1)[-1])
            if query.get("pageSize") == ["1"]:  # only the number of rows is wanted
                body = json.dumps({"Pagination": {"NumberOfItems": rows, "NumberOfPages": rows}, "Items": []}).encode()
            else:
                start, length = lists[which][1][number - 1]
                body = os.pread(files[which].fileno(), length, start)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


@contextmanager
def served_pages(folder: Path, rows: int) -> Iterator[str]:
    """The API in a process of its own; gives its base URL."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.served_pages", str(folder), str(rows)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def _number(value: object) -> float:
    if not isinstance(value, Decimal):
        raise TypeError(f"no JSON for {value!r}")
    return float(value)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
