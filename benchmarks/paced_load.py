"""Sign-in requests that come at their own pace, as readers do: nobody waits for the answer of somebody else.

A request that has to wait for its turn is late by that wait, so its latency counts from when it was due.
"""

import contextlib
import http.client
import json
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count

ACCEPTED = 202
MOST_AT_ONCE = 32


class SignIns:
    """Asks for so many sign-in links a second, each for another of the known readers, until the `with` block ends."""

    def __init__(self, port: int, *, per_second: float, first_reader: int) -> None:
        self._port = port
        self._apart = 1 / per_second
        self._first_reader = first_reader
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(MOST_AT_ONCE)
        self._answers: list[Future[float]] = []
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> "SignIns":
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        self._thread.join()
        self._pool.shutdown()

    @property
    def latencies(self) -> list[float]:
        """Seconds to each answer. Raises what a request raised."""
        return [answer.result() for answer in self._answers]

    def _ask(self) -> None:
        began = time.perf_counter()
        for number in count():
            due = began + number * self._apart
            if self._over.wait(max(0.0, due - time.perf_counter())):
                return
            self._answers.append(self._pool.submit(self._post, self._first_reader + number, due))

    def _post(self, reader: int, due: float) -> float:
        # A connection for each, as each reader has a browser of their own.
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        with contextlib.closing(connection):
            body = json.dumps({"email": f"reader{reader}@example.org"})
            connection.request("POST", "/signin", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
        if response.status != ACCEPTED:
            raise RuntimeError(f"POST /signin was answered with {response.status}")
        return time.perf_counter() - due
