"""bench-repl says whose delay it is: known causes, each made by real software or by a fake that does just that."""
import json

import pytest

from peers import fake as fakes


@pytest.fixture
def findings(mpbench):
    """findings(target, case): the set of codes, and the document."""
    def run(*args):
        done = mpbench("bench-repl", "--json", *args)
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        return {f["code"] for f in document["findings"]}, document
    return run


# More than the first acknowledgements of a connection, which no kernel delays.
LONGER = ["--case", "raw-enter,raw-exit", "--runs", "1", "-n", "30"]
EXCHANGES = ["--case", "raw-enter,raw-exit,exec,print", "--runs", "1", "-n", "40", "--warmup", "0"]


def check_told(document, code, target):
    for finding in (f for f in document["findings"] if f["code"] == code):
        assert finding["target"] == target and finding["benchmark"].startswith("repl.")
        assert finding["evidence"] and finding["remedy"]


@pytest.mark.quiet
def test_ser2net_by_default_waits_for_more_characters(findings, device, ser2net, mpbench):
    server = ser2net(device().path, tuned=False, nodelay=True)
    codes, document = findings(f"lab={server.socket}", *EXCHANGES)
    assert codes == {"chardelay"}
    check_told(document, "chardelay", "lab")
    assert any("chardelay: false" in f["remedy"] for f in document["findings"])
    # A server of its own: ser2net may not have let go of the terminal yet, and then turns a client of its other port away.
    codes, _ = findings(ser2net(device().path, tuned=False, nodelay=True).rfc2217, *EXCHANGES)
    assert "chardelay" in codes
    # The table tells it too.
    told = mpbench("bench-repl", server.socket, *EXCHANGES).stdout
    assert "chardelay: false" in " ".join(told.split())


@pytest.mark.quiet
def test_ser2net_with_all_defaults(findings, device, ser2net):
    codes, _ = findings(ser2net(device().path, tuned=False).socket, *EXCHANGES)
    assert "chardelay" in codes and codes <= {"chardelay", "delayed-ack"}


def test_ser2net_without_nodelay_meets_the_delayed_acknowledgement(findings, device, ser2net):
    server = ser2net(device().path, tuned=True, nodelay=False)
    codes, document = findings(f"lab={server.socket}", *LONGER)
    assert codes == {"delayed-ack"}
    check_told(document, "delayed-ack", "lab")
    assert any("nodelay" in f["remedy"] for f in document["findings"])


@pytest.mark.parametrize("ms", [10, 50])
@pytest.mark.parametrize("mode", ["raw", "paste"])
def test_bridge_that_sleeps(findings, fake, mpbench, ms, mode):
    server = fake(fakes.device(mpbench.path, relay=fakes.sleeper(ms / 1000)))
    codes, document = findings(f"lab={server.url()}", "--mode", mode, *EXCHANGES)
    assert codes == {f"sleep-{ms}ms"}
    check_told(document, f"sleep-{ms}ms", "lab")


def test_server_that_is_deaf_after_each_session(findings, fake, mpbench):
    server = fake(fakes.device(mpbench.path), rest=1.0)
    codes, document = findings(f"lab={server.url()}", "--case", "reconnect", "--gaps", "0s,300ms,600ms", "--runs", "2",
                               "-n", "1", "--warmup", "0")
    assert codes == {"dead-time"}
    check_told(document, "dead-time", "lab")
    waits = {b["params"]["gap_ms"]: b["metrics"]["latency.median"]["summary"]["median"] / 1e6
             for b in document["benchmarks"]}
    assert waits[0] > 900 and 600 < waits[300] < waits[0] and 300 < waits[600] < waits[300]


def test_tuned_servers_have_no_such_delay(findings, device, ser2net, fake, mpbench):
    server, twin = ser2net(device().path), ser2net(device().path)
    plain = fake(fakes.device(mpbench.path))
    codes, document = findings(f"raw={server.socket}", f"rfc={twin.rfc2217}", f"plain={plain.url()}", "--case",
                               "connect,raw-enter,raw-exit,exec,print,reconnect", "--gaps", "0s,200ms", "--runs", "1",
                               "-n", "6", "--warmup", "0")
    assert codes == set(), document["findings"]


def test_waits_that_are_imitated_are_not_blamed_on_the_target(findings, fake, mpbench):
    server = fake(fakes.device(mpbench.path))
    codes, document = findings(f"lab={server.url()}", "--client-style", "native,mpremote", *EXCHANGES)
    assert codes == {"imitated"}
    assert {f["target"] for f in document["findings"]} == {"lab@mpremote"}
    assert all("--client-style native" in f["remedy"] for f in document["findings"])
