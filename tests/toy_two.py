"""A transport of somebody else's with several connections: one there, one back. Found by its entry point."""

from harness.migrator.transport.contract import Endpoint, Listener, Transport
from harness.migrator.transport.tcp import TcpEndpoint


class Two(Transport):
    def __init__(self, there, back):
        self.there, self.back = there, back

    def send_parts(self, parts, timeout_s=None):
        return self.there.send_parts(parts, timeout_s)

    def recv_into(self, buffer, timeout_s=None):
        return self.back.recv_into(buffer, timeout_s)

    def fileno(self):
        return self.back.fileno()

    def has_hung_up(self):
        return self.back.has_hung_up()

    def close(self):
        self.there.close()
        self.back.close()


class TwoListener(Listener):
    def __init__(self, one):
        self.one, self.first, self.address = one, None, one.address.replace("tcp:", "two:")

    def fileno(self):
        return self.one.fileno()

    def close(self):
        self.one.close()

    def accept(self):
        if self.first is None:
            self.first = self.one.accept()
            return None
        there, back, self.first = self.one.accept(), self.first, None
        return Two(there, back)


class TwoEndpoint(Endpoint):
    @classmethod
    def at(cls, text, option, *, insecure):
        endpoint = cls(text, option)
        endpoint.one = TcpEndpoint.at(text.replace("two:", "tcp:"), option, insecure=insecure)
        return endpoint

    def dial(self, timeout_s):
        return Two(self.one.dial(timeout_s), self.one.dial(timeout_s))

    def listen(self, access=None):
        return TwoListener(self.one.listen(access))
