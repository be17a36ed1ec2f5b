import json

from tests.router.cli.conftest import HEADER, STATUS, RunningRouter

OUT = "udp 192.168.1.10:4000 -> 198.51.100.7:53"


def test_status_tells_line_uptime_counts_and_reasons(running: RunningRouter) -> None:
    running.outbound(OUT, OUT)
    done = running.command("status")
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert lines[:4] == [
        "postroad 9.9, process 77, up 1h1m1s",
        "line isp: UP with 203.0.113.2 on wan0 for 1m1s, always",
        "LAN: 192.168.1.1/24 on eth1 by way of lan0",
        "1 sessions, 1 mappings",
    ]
    words = [line.split() for line in lines]
    assert ["LAN", "lan0", "2", "56", "bytes", "0", "0", "bytes", "0", "0", "0"] in words
    assert ["1", "new-session", *["opens", "a", "session", "from", "the", "LAN"]] in words


def test_status_as_json_is_the_answer_itself(running: RunningRouter) -> None:
    answer = json.loads(running.command("status", "--json").stdout)
    traffic = answer.pop("traffic")
    assert answer == STATUS
    assert (traffic["sessions"], traffic["lan"]["tun"]) == (0, "lan0")


def test_faults_are_mentioned(running: RunningRouter) -> None:
    running.plane._faults.count = 3
    assert "3 internal faults, see the router's log" in running.command("status").output


def test_malformed_packets_have_a_table_of_their_own_once_there_are_any(
    running: RunningRouter,
) -> None:
    assert "Malformed" not in running.command("status").output
    running.lan.put(HEADER + bytes([0x65]) + bytes(39), HEADER + bytes(3))
    running.lan.put(HEADER + bytes([0x65]) + bytes(39))
    running.outbound(OUT)
    lines = running.command("status").output.splitlines()
    words = [line.split() for line in lines]
    start = words.index(["Malformed", "Flaw", "Meaning"])
    assert words[start - 1] == []
    assert [line[:2] for line in words[start + 1 :] if line[1:]] == [
        ["2", "version"],
        ["1", "truncated"],
    ]
