"""HTTP/2 without TLS (prior knowledge) that honours GOAWAY: what is in flight ends there, the rest goes elsewhere.

The h2 library takes a GOAWAY for the end of the connection, so it does not get to see one here.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset

FRAME_HEAD_BYTES = 9
GOAWAY = 0x7
DIAL_SECONDS = 3.0


class NotProcessedError(Exception):
    """The server says that it has not looked at the request: it is safe to send it again on another connection."""


@dataclass
class Stream:
    """One request on its way; `ended` is set when the answer is complete, and fails when it will not be."""

    ended: asyncio.Future[None]
    status: int = 0
    body: bytearray = field(default_factory=bytearray)


class Http2:
    """One connection at a time for new requests; another is opened when it goes away or is closed.

    Attributes:
        went_away: how many connections said GOAWAY.
    """

    def __init__(self, host: str, port: int) -> None:
        self.went_away = 0
        self._host, self._port = host, port
        self._connection: Connection | None = None
        self._dialling = asyncio.Lock()

    async def ask(self, method: str, path: str, body: bytes | None, seconds: float) -> tuple[int, bytes]:
        """The status and the body of the answer, or as much of it as came before it broke off.

        Raises:
            NotProcessedError: it may be asked again.
            OSError, TimeoutError: there was no answer, or not in time.
        """
        connection = await self._usable()
        return await connection.ask(method, path, body, seconds)

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()

    async def _usable(self) -> Connection:
        async with self._dialling:
            if self._connection is None or not self._connection.is_open:
                dialled = asyncio.open_connection(self._host, self._port)
                reader, writer = await asyncio.wait_for(dialled, DIAL_SECONDS)
                self._connection = Connection(self, reader, writer)
            return self._connection


class Connection:
    """One connection, until every request on it has ended. `is_open`: it takes new requests."""

    def __init__(self, owner: Http2, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.is_open = True
        self._owner, self._reader, self._writer = owner, reader, writer
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._streams: dict[int, Stream] = {}
        self._h2.initiate_connection()
        self._flush()
        self._reading = asyncio.create_task(self._read())

    async def ask(self, method: str, path: str, body: bytes | None, seconds: float) -> tuple[int, bytes]:
        """See `Http2.ask`."""
        number = self._h2.get_next_available_stream_id()
        stream = self._streams[number] = Stream(asyncio.get_running_loop().create_future())
        pseudo = [(":method", method), (":path", path), (":scheme", "http"), (":authority", "nginx")]
        self._h2.send_headers(number, pseudo, end_stream=body is None)
        if body is not None:
            self._h2.send_data(number, body, end_stream=True)
        self._flush()
        try:
            await asyncio.wait_for(stream.ended, seconds)
        except OSError:
            if not stream.status:
                raise
        finally:
            del self._streams[number]
        return stream.status, bytes(stream.body)

    async def close(self) -> None:
        """Close the connection, whatever is on its way."""
        self._reading.cancel()
        await asyncio.wait([self._reading])

    async def _read(self) -> None:
        """Frame by frame, until the server closes."""
        error: Exception = ConnectionResetError("the HTTP/2 connection was closed under a request")
        try:
            while True:
                head = await self._reader.readexactly(FRAME_HEAD_BYTES)
                payload = await self._reader.readexactly(int.from_bytes(head[:3], "big"))
                if head[3] == GOAWAY:
                    self._go_away(payload)
                else:
                    for event in self._h2.receive_data(head + payload):
                        self._take(event)
                    self._flush()
        except asyncio.IncompleteReadError:
            pass
        except OSError as broken:
            error = broken
        finally:
            self.is_open = False
            for number in list(self._streams):
                self._fail(number, error)
            self._writer.close()

    def _go_away(self, payload: bytes) -> None:
        """No new requests here; those that came too late were not looked at, the others will still be answered."""
        last, code = struct.unpack(">II", payload[:8])
        self.is_open = False
        self._owner.went_away += 1
        for number in [each for each in self._streams if each > last]:
            self._fail(number, NotProcessedError() if code == ErrorCodes.NO_ERROR else OSError(f"GOAWAY {code}"))

    def _take(self, event: Event) -> None:
        number = getattr(event, "stream_id", None)
        if isinstance(event, DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        stream = self._streams.get(number or 0)
        if stream is None or stream.ended.done():
            return
        if isinstance(event, ResponseReceived):
            stream.status = int(dict(event.headers)[":status"])
        elif isinstance(event, DataReceived):
            stream.body += event.data
        elif isinstance(event, StreamEnded):
            stream.ended.set_result(None)
        elif isinstance(event, StreamReset):
            refused = event.error_code == ErrorCodes.REFUSED_STREAM
            self._fail(event.stream_id, NotProcessedError() if refused else OSError(f"RST_STREAM {event.error_code}"))

    def _fail(self, number: int, error: Exception) -> None:
        if not self._streams[number].ended.done():
            self._streams[number].ended.set_exception(error)

    def _flush(self) -> None:
        self._writer.write(self._h2.data_to_send())
