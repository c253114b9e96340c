"""A Prometheus that scrapes: a process of its own, which says when each scrape began and when it had all of it.

`scraper.py host:port scrapes`. After every fourth scrape it is quiet for as long as the scrape took, so that what the
machine does by itself is seen in the same minutes.
"""

from __future__ import annotations

import http.client
import json
import sys
import time

# As Prometheus 3 asks, on a connection that it keeps.
HEADERS = {
    "Accept": (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "application/openmetrics-text;version=0.0.1;q=0.5,"
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
    ),
    "Accept-Encoding": "gzip",
}
REST_SECONDS = 0.01
"""What a scrape leaves behind, such as a garbage collection, is still its own."""


def main(address: str, scrapes: int) -> None:
    connection = http.client.HTTPConnection(address, timeout=30)
    scraped, quiet = [], []
    for number in range(scrapes):
        begun = time.monotonic()
        connection.request("GET", "/metrics", headers=HEADERS)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"the scrape was answered with {answer.status}")
        if answer.will_close:
            connection.close()
        took = time.monotonic() - begun
        time.sleep(REST_SECONDS)
        scraped.append((begun, begun + took + REST_SECONDS))
        if number % 4 == 3:
            since = time.monotonic()
            time.sleep(took + REST_SECONDS)
            quiet.append((since, time.monotonic()))
    json.dump({"scraped": scraped, "quiet": quiet}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
