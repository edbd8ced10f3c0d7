"""What we and an agent say to each other. Each message may have a payload of bytes behind it, where its docstring says which."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Number = Annotated[int, Field(ge=0)]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Request(_Message):
    """Has an ``Answer`` or a ``Failure`` with its number."""

    number: Number = 0


class Ping(Request):
    """That we are there. The answer is the agent's wall clock in seconds."""

    kind: Literal["ping"] = "ping"


class Call(Request):
    """A function of ours, "module:name", is to be called. The payload is its last argument where that is of bytes."""

    kind: Literal["call"] = "call"
    function: str
    arguments: list[Any]


class Start(Request):
    """A child process. The answer is its process id; ``Output`` and one ``Ended`` follow."""

    kind: Literal["start"] = "start"
    child: Number
    argv: list[str]


class Spent(Request):
    """The answer is the child's CPU time in seconds."""

    kind: Literal["spent"] = "spent"
    child: Number


class Signal(_Message):
    """To a child, if it still runs."""

    kind: Literal["signal"] = "signal"
    child: Number
    signal: int


class Listen(Request):
    """At a unix socket there; each connection comes as ``Accepted``."""

    kind: Literal["listen"] = "listen"
    listener: Number
    path: str


class Connect(Request):
    """To a unix socket there; the channel's number is ours to choose, and even. ``stamped``: what comes from it travels as ``Ear``
    has it, with when it came, a few times a second."""

    kind: Literal["connect"] = "connect"
    channel: Number
    path: str
    stamped: bool = False


class Data(_Message):
    """The payload are a channel's bytes, either way."""

    kind: Literal["data"] = "data"
    channel: Number


class Close(_Message):
    """Of a channel, either way; of a listener, with all that it accepts."""

    kind: Literal["close"] = "close"
    channel: Number | None = None
    listener: Number | None = None


class Hello(_Message):
    """The agent's first message. ``program``: how pageferry is started there. ``network``: which network namespace it is in."""

    kind: Literal["hello"] = "hello"
    version: str
    code: str
    machine: str
    network: str
    program: list[str]


class Answer(_Message):
    """To a request. The payload is the answer where that is of bytes."""

    kind: Literal["answer"] = "answer"
    number: Number
    value: Any = None


class Failure(_Message):
    """Of a request: the error's class and words; ``errno`` where the system said it."""

    kind: Literal["failure"] = "failure"
    number: Number
    error: str
    words: str
    errno: int | None = None


class Output(_Message):
    """The payload is what a child wrote."""

    kind: Literal["output"] = "output"
    child: Number


class Ended(_Message):
    """A child; everything that it wrote came before."""

    kind: Literal["ended"] = "ended"
    child: Number
    status: int
    cpu_s: float


class Accepted(_Message):
    """Somebody connected to a listener; the channel's number is odd."""

    kind: Literal["accepted"] = "accepted"
    listener: Number
    channel: Number


Message = (
    Ping | Call | Start | Spent | Signal | Listen | Connect | Data | Close
    | Hello | Answer | Failure | Output | Ended | Accepted
)  # fmt: skip
_ANY: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


def dumped(message: Message) -> bytes:
    """As JSON."""
    return message.model_dump_json().encode()


def parsed(data: bytes) -> Message:
    """:raises ValueError: it is none of them."""
    return _ANY.validate_json(data)
