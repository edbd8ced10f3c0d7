"""A QMP server for tests: as much of a source QEMU as steering asks for, with parameters that are kept, refused or bent."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

GREETING = {"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 8}, "package": ""}, "capabilities": ["oob"]}}
CAPABILITIES = ("return-path", "postcopy-ram")


class FakeQmp:
    """Serves one client at a time, as QEMU does. Change the attributes at any time."""

    def __init__(self, path: Path, parameters: dict[str, int]) -> None:
        self.path = path
        self.parameters = dict(parameters)
        self.set_values: list[dict[str, int]] = []
        self.asked: list[str] = []
        self.refuses: str | None = None
        self.bends: dict[str, int] = {}
        self.mute = False
        self.drops: tuple[str, str] | None = (
            None  # the connection ends at this command, "before" or "after" it is done, once
        )
        self.state = "running"
        self.capabilities: set[str] = set()
        self.migrating = {"status": "active", "ram": {"mbps": 800.0}}
        self.changed = threading.Condition()
        self._client: socket.socket | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> FakeQmp:
        return self

    def __exit__(self, *_: object) -> None:
        self.go()
        self._listener.close()

    def go(self) -> None:
        """As a QEMU that is killed: the connection ends, and there is no other."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self.die()

    def die(self) -> None:
        """The connection ends; a new one is taken."""
        if self._client is not None:
            with contextlib.suppress(OSError):
                self._client.shutdown(socket.SHUT_RDWR)

    def tell(self, event: str, **data: object) -> None:
        """An event, to the client that is there."""
        stamp = {"seconds": int(time.time()) + 1, "microseconds": 0}
        with self.changed:
            _say(self._client, {"event": event, "data": data, "timestamp": stamp})

    def wait_for(self, condition) -> None:
        """Until ``condition()`` holds after some command."""
        with self.changed:
            assert self.changed.wait_for(condition, 120)

    def _serve(self) -> None:
        while True:
            try:
                self._client, _ = self._listener.accept()
            except OSError:
                return
            with self._client as client, contextlib.suppress(OSError):
                self._talk(client)

    def _talk(self, client: socket.socket) -> None:
        _say(client, GREETING)
        for asked in _messages(client):
            with self.changed:
                if drops := self.drops is not None and self.drops[0] == asked["execute"]:
                    (_, when), self.drops = self.drops, None
                    if when == "before":
                        return
                answer = self._answer(asked["execute"], asked.get("arguments", {}))
                if drops:
                    return
                if not self.mute:
                    _say(client, answer | {key: asked[key] for key in ("id",) if key in asked})
                self.asked.append(asked["execute"])
                self.changed.notify_all()

    def _answer(self, command: str, arguments: dict[str, int]) -> dict[str, Any]:
        if self.refuses in (command, *arguments):
            return {"error": {"class": "GenericError", "desc": f"{self.refuses} is not for you"}}
        if command == "query-status":
            return {"return": {"status": self.state, "running": self.state == "running"}}
        if command == "query-migrate":
            return {"return": self.migrating() if callable(self.migrating) else self.migrating}
        if command == "query-migrate-capabilities":
            return {"return": [{"capability": name, "state": name in self.capabilities} for name in CAPABILITIES]}
        if command == "query-migrate-parameters":
            return {"return": self.parameters}
        if command == "migrate-set-parameters":
            self.set_values.append(arguments)
            self.parameters |= arguments | {name: self.bends[name] for name in arguments if name in self.bends}
        return {"return": {}}


def _messages(client: socket.socket) -> Iterator[dict[str, Any]]:
    """What the client says: JSON that nothing need separate."""
    text = ""
    while data := client.recv(1 << 16):
        text += data.decode()
        while text := text.lstrip():
            try:
                message, end = json.JSONDecoder().raw_decode(text)
            except ValueError:
                break  # the rest is still to come
            text = text[end:]
            yield message


def _say(client: socket.socket, message: dict[str, Any]) -> None:
    client.sendall(json.dumps(message).encode() + b"\r\n")
