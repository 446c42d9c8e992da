"""A TCP connection that can be made slow, cut, stalled or refused, between a process and a server on this machine."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Proxy:
    """Listens on a port of 127.0.0.1 and passes bytes on to `target`, a port or the path of a Unix socket."""

    def __init__(self, target: int | str) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.latency = 0.0  # seconds before each block of an answer
        self.cut_after: int | None = None  # bytes of answers, over all connections, after which all are reset
        self.refusing = False
        self.answered = 0

    def stall(self) -> None:
        """Pass nothing more on, with the connections open: a cable that was pulled."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def flow(self) -> None:
        """Pass on again."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def refuse(self) -> None:
        """Reset every connection, and each new one at once."""
        self.refusing = True
        self._loop.call_soon_threadsafe(self._reset)

    def accept(self) -> None:
        """Take connections again."""
        self.refusing = False

    def _reset(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, ready: threading.Event) -> None:
        server = await asyncio.start_server(self._connected, sock=self._listening)
        ready.set()
        async with server:
            await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        if isinstance(self._target, int):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        else:
            far_reader, far_writer = await asyncio.open_unix_connection(self._target)
        ends = {writer, far_writer}
        self._open |= ends
        try:
            await asyncio.gather(self._pass(reader, far_writer, 0), self._pass(far_reader, writer, 1))
        except OSError:
            pass  # one end is gone, and takes the other with it
        finally:
            self._open -= ends
            for end in ends:
                end.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: int) -> None:
        while block := await reader.read(1 << 16):
            await self._flowing.wait()
            if answer:
                self.answered += len(block)
                if self.latency:
                    await asyncio.sleep(self.latency)
                if self.cut_after is not None and self.answered > self.cut_after:
                    self._reset()
                    return
            writer.write(block)
            await writer.drain()
        writer.close()

    def run(self, ready: threading.Event) -> None:
        """Serve in this thread until `stop()`."""
        with suppress(asyncio.CancelledError):
            self._task = self._loop.create_task(self._serve(ready))
            self._loop.run_until_complete(self._task)
        if rest := asyncio.all_tasks(self._loop):
            self._loop.run_until_complete(asyncio.wait(rest, timeout=5))

    def stop(self) -> None:
        """Reset what is open and listen no more."""

        def end() -> None:
            self._flowing.set()
            self._reset()
            self._task.cancel()  # connections end because they are reset

        self._loop.call_soon_threadsafe(end)

    def close(self) -> None:
        """Give the loop back, once its thread has ended."""
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()
        self._listening.close()


@contextmanager
def proxied(target: int | str) -> Iterator[Proxy]:
    """A proxy in a thread of its own, for as long as the context is open."""
    proxy, ready = Proxy(target), threading.Event()
    thread = threading.Thread(target=proxy.run, args=[ready], daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join(10)
        proxy.close()
