import errno
from collections.abc import Iterator

import pytest

from router.devices import Side, Verdict
from router.host.dataplane.faults import Faults
from router.host.dataplane.pump import BURST, Port, make_pump
from tests.lab.scripted import FAULT, MISS_THEN, FrameSocket, ScriptedForwarder, Transmit, frame

NOW = 50.0
TO_LAN, TO_WAN, DROP, ANSWERED = (
    int(verdict) for verdict in (Verdict.TO_LAN, Verdict.TO_WAN, Verdict.DROP, Verdict.ANSWERED)
)


class Router:
    """Two ports and the pump of each."""

    def __init__(self) -> None:
        self.lan_tun, self.wan_tun = FrameSocket("lan0"), FrameSocket("wan0")
        self.lan = Port(Side.LAN, "lan0", self.lan_tun.fileno())
        self.wan = Port(Side.WAN, "wan0", self.wan_tun.fileno())
        self.forwarder = ScriptedForwarder()
        self.faults = Faults()

    def pump(self, side: Side) -> None:
        here, there = (self.lan, self.wan) if side is Side.LAN else (self.wan, self.lan)
        make_pump(here, there, self.forwarder, self.faults)(NOW)


@pytest.fixture
def router() -> Iterator[Router]:
    router = Router()
    yield router
    router.lan_tun.close()
    router.wan_tun.close()


@pytest.mark.parametrize(
    ("side", "code", "leaves_by"),
    [
        (Side.LAN, TO_WAN, Side.WAN),
        (Side.LAN, MISS_THEN + TO_WAN, Side.WAN),
        (Side.LAN, MISS_THEN + TO_LAN, Side.LAN),  # hairpin, or one LAN network to another
        (Side.WAN, TO_LAN, Side.LAN),
        (Side.WAN, MISS_THEN + TO_LAN, Side.LAN),
        (Side.WAN, MISS_THEN + TO_WAN, Side.WAN),
        (Side.LAN, DROP, None),
        (Side.WAN, MISS_THEN + DROP, None),
    ],
)
def test_a_frame_goes_where_its_verdict_says(
    router: Router, side: Side, code: int, leaves_by: Side | None
) -> None:
    tuns = {Side.LAN: router.lan_tun, Side.WAN: router.wan_tun}
    tuns[side].put(frame(code, b"payload"))
    router.pump(side)
    edited = b"\x8fayload" if code >= MISS_THEN else b"payload"
    expected = {way: [frame(code, edited)] if way is leaves_by else [] for way in Side}
    assert {way: tun.got() for way, tun in tuns.items()} == expected


def test_counts_leave_out_the_virtio_header(router: Router) -> None:
    router.lan_tun.put(frame(TO_WAN, b"x" * 99), frame(DROP), frame(MISS_THEN + TO_LAN, b"x" * 9))
    router.pump(Side.LAN)
    lan, wan = router.lan, router.wan
    assert (lan.received_packets, lan.received_bytes, lan.cache_misses) == (3, 111, 1)
    assert (wan.sent_packets, wan.sent_bytes) == (1, 100)
    assert (lan.sent_packets, lan.sent_bytes) == (1, 10)


def test_a_burst_ends_after_its_share(router: Router) -> None:
    router.wan_tun.far.setblocking(True)
    for _ in range(BURST + 2):
        router.wan_tun.put(frame(TO_LAN))
    router.pump(Side.WAN)
    assert (len(router.lan_tun.got()), router.wan.received_packets) == (BURST, BURST)
    router.pump(Side.WAN)
    assert (len(router.lan_tun.got()), router.wan.received_packets) == (2, BURST + 2)


def test_answers_leave_by_their_own_sides(router: Router) -> None:
    router.forwarder.on_answered = [
        Transmit(Side.LAN, frame(1, b"to lan")),
        Transmit(Side.WAN, frame(1, b"to wan")),
    ]
    router.lan_tun.put(frame(MISS_THEN + ANSWERED, b"?"))
    router.pump(Side.LAN)
    assert router.lan_tun.got() == [frame(1, b"to lan")]
    assert router.wan_tun.got() == [frame(1, b"to wan")]
    assert (router.lan.sent_packets, router.wan.sent_packets) == (1, 1)


def test_only_after_an_answer_is_it_told(router: Router) -> None:
    told: list[int] = []
    pump = make_pump(
        router.lan, router.wan, router.forwarder, router.faults, lambda: told.append(len(sent()))
    )
    sent = router.lan_tun.got
    router.forwarder.on_answered = [Transmit(Side.LAN, frame(1, b"to lan"))]
    router.lan_tun.put(
        frame(TO_WAN), frame(MISS_THEN + DROP, b"?"), frame(MISS_THEN + TO_WAN, b"?")
    )
    pump(NOW)
    assert told == []
    router.lan_tun.put(frame(MISS_THEN + ANSWERED, b"?"))
    pump(NOW)
    assert told == [1]


def test_a_forwarder_that_raises_costs_one_frame(
    router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        router.lan_tun.put(frame(FAULT, b"odd"))
    router.lan_tun.put(frame(TO_WAN, b"good"))
    router.pump(Side.LAN)
    assert router.wan_tun.got() == [frame(TO_WAN, b"good")]
    assert router.faults.count == 3
    (record,) = caplog.records  # three faults in an instant, one line
    assert "a packet from the LAN side" in record.message
    assert "ZeroDivisionError" in caplog.text


def test_a_full_queue_drops_and_counts(router: Router) -> None:
    big = frame(TO_WAN, bytes(60000))
    router.lan_tun.far.setblocking(True)
    put = 0
    while not router.wan.queue_drops:
        router.lan_tun.put(big)
        put += 1
        router.pump(Side.LAN)
        assert put < 100, "the queue never filled"
    assert router.wan.sent_packets == put - 1
    assert router.wan.lost is None


@pytest.mark.parametrize(
    ("code", "counter"),
    [
        (errno.EAGAIN, "queue_drops"),
        (errno.ENOBUFS, "queue_drops"),
        (errno.EIO, "down_drops"),
        (errno.ENETDOWN, "down_drops"),
        (errno.EINVAL, "refused_drops"),
    ],
)
def test_what_the_kernel_refuses_is_a_counter(router: Router, code: int, counter: str) -> None:
    def refuse(_fd: int, _frame: object) -> int:
        raise OSError(code, "refused")

    router.wan.write = refuse
    router.lan_tun.put(frame(TO_WAN), frame(TO_WAN))
    router.pump(Side.LAN)
    assert getattr(router.wan, counter) == 2
    assert (router.wan.sent_packets, router.wan.lost) == (0, None)


@pytest.mark.parametrize("code", [errno.EBADFD, errno.ENODEV])
def test_a_tun_that_is_gone_is_lost(router: Router, code: int) -> None:
    def gone(_fd: int, _buffer: object) -> int:
        raise OSError(code, "gone")

    router.lan.read = gone
    router.wan.write = gone
    router.pump(Side.LAN)
    router.wan.send(frame(1))
    assert router.lan.lost is not None
    assert router.wan.lost is not None


def test_an_interface_that_is_down_may_come_back(router: Router) -> None:
    def down(_fd: int, _buffer: object) -> int:
        raise OSError(errno.EIO, "down")

    router.lan.read = down
    router.pump(Side.LAN)
    assert router.lan.lost is None
