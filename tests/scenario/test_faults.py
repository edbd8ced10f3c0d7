"""What is wrong in a scenario is named with its place, key, value and remedy."""

import pytest
from small_scenario import load_minimal, message_of

from harness.guests.stress import StressConfig, layout


@pytest.fixture
def load(tmp_path):
    """Loads MINIMAL with the given text before (top-level keys) and behind (tables)."""
    return lambda top="", tables="", **kwargs: load_minimal(tmp_path, top, tables, **kwargs)


@pytest.mark.parametrize(
    ("top", "tables", "words"),
    [
        ("repeets = 3", "", ["mine.toml: repeets: ", "unknown key", "did you mean 'repeats'", "known: description"]),
        ("repeats = 0", "", ["repeats: 0", "greater than or equal to 1"]),
        ("repeats = 1001", "", ["repeats: 1001", "less than or equal to 1000"]),
        ("repeats = true", "", ["repeats: true", "integer"]),
        ("repeats = '5'", "", ["repeats: '5'", "integer"]),
        ("timeout = 120", "", ["timeout: 120", "a number needs a unit", '"300ms"']),
        ("timeout = '120 parsecs'", "", ["timeout", "'parsecs'", "known: us, ms, s"]),
        ("downtime_limit = '1h'", "", ["downtime_limit", "3600", "2000"]),
        ("name = 'x'", "", ["name: 'x'", "remove the key"]),
        ("guest = 3", "", ["guest: 3", "[guest]"]),
        ("", "[guest]\nmemory = 536870912", ["guest.memory: 536870912: a number needs a unit"]),
        ("", "[guest]\nmemory = '-5MiB'", ["guest.memory: '-5MiB'", "write a number and a unit"]),
        ("", "[guest]\nmemory = '512Mbit/s'", ["guest.memory", "unknown unit 'Mbit/s'", "MiB"]),
        ("", "[guest]\nmemory = '100000001B'\nworking_set='1MiB'", ["guest.memory", "whole pages"]),
        ("", "[guest]\nmemory = '1MiB'", ["guest.memory: 1 MiB", "16 MiB"]),
        ("", "[guest]\nmemory = '513MiB'", ["guest.memory: 513 MiB", "multiple of 2 MiB"]),
        ("", "[guest]\nmemory = '61GiB'", ["guest.memory: 61 GiB", "60 GiB at most"]),
        ("", "[guest]\nnuma = 3", ["guest.memory: 512 MiB", "whole pages of 4 KiB in each of 3 nodes"]),
        ("", "[guest]\nhugepages = '1GiB'", ["guest.memory: 512 MiB", "whole pages of 1 GiB"]),
        ("", "[guest]\nhugepages = true", ["guest.hugepages: true: must be false, '2MiB' or '1GiB'"]),
        ("", "[guest]\ncpus = 3\nnuma = 2", ["guest.cpus: 3", "a multiple of numa (2 nodes), or 1"]),
        ("", "[guest]\ncpus = 2", ["guest.cpus: 2: the stress guest uses one processor"]),
        ("", "[guest]\nchanged_bytes_per_page = 60", ["guest.changed_bytes_per_page: 60", "multiple of 8"]),
        ("", "[guest]\nmemory_bytes = 536870912", ["guest.memory_bytes", "did you mean 'memory'"]),
        ("", "[guest]\nworking_set = '300MiB'", ["guest.working_set: 300 MiB", "half of memory (512 MiB)"]),
        ("", "[guest]\nfill = {zero = 0.5}", ["guest.fill", "sum to 0.5", "must sum to 1"]),
        ("", "[guest]\nfill = {zero = nan}", ["guest.fill.zero: nan", "0 to 1"]),
        ("", "[guest]\nfill = {zero = 2.0, text = -1.0}", ["guest.fill.zero: 2.0", "0 to 1"]),
        ("", "[guest]\nfill = {zeros = 1.0}", ["guest.fill.zeros", "'zero'"]),
        (
            "",
            "[guest]\nkind = 'windows'",
            ["guest.kind: 'windows': unknown guest kind", "known: stress, "],
        ),
        ("", "[guest]\npath = 'x'", ["guest.path: 'x'", 'kind = "stream"']),
        ("", "[guest]\nkind = 'stream'", ["guest.path", "is missing"]),
        (
            "",
            "[guest]\nkind = 'stream'\npath = 'x'\nmemory = '1GiB'",
            ["guest.memory: '1GiB': kind = \"stream\" has no such key", 'kind = "stress"'],
        ),
        ("", "[guest]\nkind = 'stream'\npath = 'gone'", ["guest.path", "gone'", "no such file"]),
        ("downtime = '300ms'", "", ["downtime: '300ms': must be \"shortest\"", 'downtime_limit = "300ms"']),
        ("downtime_cost = 0.1", "", ["downtime_cost: 0.1: a number needs a unit", '"10%"']),
        ("downtime_cost = '101%'", "", ["downtime_cost: ", "less than or equal to 1"]),
        ("pin = '0'", "", ["pin: '0': must be a table: write [pin]"]),
        ("", "[pin]\nsender = 'two'", ["pin.sender: 'two' is no list of processors", '"0-3,8"']),
        ("", "[pin]\nsource = '0'", ["pin.source", "known: source_qemu, destination_qemu, sender, receiver"]),
        (
            "",
            "[guest]\nkind = 'synthetic'\n[pin]\nsender = '0'\ndestination_qemu = '0'",
            ["pin.destination_qemu", 'a guest of kind "synthetic" has no QEMU'],
        ),
        ("", "[link]\nbandwidth = '0MB/s'", ["link.bandwidth: '0MB/s'", "above zero"]),
        ("", "[link]\nbandwidth = 1000", ["link.bandwidth: 1000: a number needs a unit"]),
        ("", "[link]\nspeed = 'x'", ["link.speed", "known: kind, bandwidth, delay, jitter"]),
        ("", "[link]\ndelay = 50", ["link.delay: 50: a number needs a unit", '"50ms"']),
        ("", "[link]\ndelay = '50'", ["link.delay: '50' is not a duration"]),
        ("", "[link]\njitter = 'no'", ["link.jitter: 'no' is not a duration"]),
        ("", "[link]\ndelay = '1min'", ["link.delay: 60 s", "at most 10 s in each direction"]),
        ("", "[link]\nkind = 'relay'\nloss = 0.01", ["link.loss: 0.01", 'kind = "netns"']),
        ("", "[link]\nloss = 1.5", ["link.loss: 1.5", "less than or equal to 0.5"]),
        ("", "[link]\nbandwidth = '10Gbit/s'\ndelay = '2s'", ["link.delay: 2000 ms at 10 Gbit/s", "at most 1 GiB"]),
    ],
)
def test_a_wrong_key_is_named_with_its_value_and_remedy(load, top, tables, words):
    message = message_of(load, f"{top}\n", tables)
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ('name = "original"\nengine = "qemu"', ["method.original.name", "two methods of one name"]),
        ('name = "b"\nengine = "qemu"\nbaseline = true', ["method.b.baseline", "'original' and 'b'", "keep one"]),
        ('name = "b"\nengine = "qemu"\nbackend = "zlib"', ["method.b.backend", 'engine = "pageferry"']),
        ('name = "b"\nengine = "qemu"\nlevel = 1', ["method.b.level", 'engine = "pageferry"']),
        ('name = "b"\nengine = "qemu"\nsteer = true', ["method.b.steer", 'engine = "pageferry"']),
        ('name = "b"\nengine = "pageferry"\nbackend = "zlib"\nsteer = 1', ["method.b.steer: 1"]),
        ('name = "b"\nengine = "qemu"\ncapabilities = ["multifd", "multifd"]', ["method.b.capabilities", "twice"]),
        ('name = "b"\nengine = "qemu"\nswitch = "soon"', ["method.b.switch: 'soon'", '"after 1 pass"']),
        ('name = "b"\nengine = "qemu"\nswitch = 1', ["method.b.switch: 1", '"after 1 pass"']),
        (
            'name = "b"\nengine = "qemu"\nswitch = "after 2 passes"\npause_at_pass = 1',
            ["method.b.pause_at_pass: 1", "switch", "keep one"],
        ),
        ('name = "b"\nengine = "pageferry"', ["method.b.backend: is missing", "isal"]),
        ('name = "b"\nengine = "pageferry"\nbackend = "isla"', ["method.b.backend: 'isla'", "did you mean 'isal'"]),
        (
            'name = "b"\nengine = "pageferry"\nbackend = "zlib"\ncapabilities = ["multifd"]',
            ["method.b.capabilities: 'multifd'", "write channels = 2"],
        ),
        (
            'name = "b"\nengine = "pageferry"\nbackend = "zlib"\nsource = {multifd-channels = 4}',
            ["method.b.source.multifd-channels: 4", "write channels = 2"],
        ),
        ('name = "b"\nengine = "pageferry"\nbackend = "zlib"\nlevel = 10', ["method.b.level: 10", "levels 0 to 9"]),
        ('name = "b"\nengine = "pageferry"\nbackend = "none"\nlevel = 1', ["method.b.level: 1", "no levels"]),
        ('name = "b"\nengine = "pageferry"\nbackend = "zlib"\nthreads = 0', ["method.b.threads: 0", "equal to 1"]),
        ('name = "b"\nengine = "pageferry"\nbackend = "zlib"\nthreads = 257', ["method.b.threads: 257", "256"]),
        ('name = "b"\nengine = "pageferry"\nbackend = "zlib"\nthreads = []', ["method.b.threads: []", "whole number"]),
        ('name = "b"\nengine = "pageferry"\nbackend = "zlib"\nbatch = "5000B"', ["method.b.batch", "whole pages"]),
        ('name = "b"\nengine = "pageferry"\nbackend = "zlib"\nbatch = "8MiB"', ["method.b.batch: 8 MiB", "4 MiB"]),
        (
            'name = "b"\nengine = "pageferry"\nbackend = "zlib"\nbatch = "1MiB"\ninflight = "64KiB"',
            ["method.b.inflight"],
        ),
        (
            'name = "b"\nengine = "pageferry"\nbackend = "zlib"\noptions = {x = 1}',
            ["method.b.options.x", "known: none"],
        ),
        ('name = "b"\nengine = "kvm"', ["method.b.engine: 'kvm'", "'qemu' or 'pageferry'"]),
        ('name = "b"', ["method.b.engine: is missing"]),
        ('name = "b"\nbackend = "zlib"', ["method.b.engine: is missing: write 'qemu' or 'pageferry'"]),
        (
            'name = "b"\nengine = "pageferri"\nbackend = "zlib"',
            ["method.b.engine: 'pageferri': must be 'qemu' or 'pageferry'"],
        ),
        ('name = "b"\nengine = ["qemu"]\nbackend = "zlib"', ["method.b.engine: ['qemu']: must be 'qemu'"]),
        ('engine = "qemu"', ["method.#3.name: is missing"]),
        ('name = "../b"\nengine = "qemu"', ["'../b'", "letter or digit"]),
        ('name = "b"\nengine = "qemu"\nbaseline = true\nlevel = [1, 2]', ["method.b.baseline", "one value"]),
    ],
)
def test_a_wrong_method_is_named(load, method, words):
    message = message_of(load, "", f"[[method]]\n{method}\n")
    assert message.count("mine.toml: ") == 1
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "guest", [{"memory": "60GiB"}, {"memory": "16MiB", "working_set": "8MiB"}], ids=["large", "small"]
)
def test_the_stress_guest_takes_what_the_limits_allow(load, guest):
    text = "".join(f'{key} = "{value}"\n' for key, value in guest.items())
    loaded = load("", f"[guest]\nchanged_bytes_per_page = 4080\n{text}").guest
    config = StressConfig(
        memory_bytes=loaded.memory_bytes,
        working_set_bytes=loaded.working_set_bytes,
        changed_bytes_per_page=loaded.changed_bytes_per_page,
    )
    assert layout(config).page_changed_bytes == 4096
