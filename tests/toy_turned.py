"""A transport of somebody else's that stands for encryption: TCP on which every byte is turned over. Found by its entry point."""

from harness.migrator.transport.tcp import TcpEndpoint, TcpTransport

TURNED = bytes(255 - n for n in range(256))


class Turned(TcpTransport):
    def send_parts(self, parts, timeout_s=None):
        return super().send_parts([bytes(part).translate(TURNED) for part in parts], timeout_s)

    def recv_into(self, buffer, timeout_s=None):
        count = super().recv_into(buffer, timeout_s)
        buffer[: count or 0] = bytes(buffer[: count or 0]).translate(TURNED)
        return count


class TurnedEndpoint(TcpEndpoint):
    transport = Turned
    in_the_clear = False
