"""The registry, with real distributions installed into a folder on sys.path."""

from __future__ import annotations

import itertools
import textwrap

import pytest
from distributions import leave

from backends import registry
from backends.api import BackendError, BackendUnavailable
from backends.zlib_ import ZlibBackend

serial = itertools.count()
"""Python keeps a module once imported: each test's plug-in has a name of its own."""

PLUGIN = """
from backends.api import Backend, BackendInfo, BackendUnavailable

class Plugin(Backend):
    info = BackendInfo(name="{name}", device="card 7", levels=(1, 3), default_level=2, options=("queue",))

    @classmethod
    def probe(cls):
        {probe}

    def compress(self, data):
        return bytes(data)[::-1]

    def decompress(self, data, raw_bytes):
        return bytes(data)[::-1]
"""

OURS = ["none", "zlib", "isal", "zlib-ng", "libdeflate", "lz4", "zstd", "zstd-long", "opencl"]


@pytest.fixture
def install(tmp_path, monkeypatch):
    """install(distribution, name, source, attribute="Plugin") -> a distribution with one entry point, as pip leaves it."""
    monkeypatch.syspath_prepend(tmp_path)

    def install_one(distribution, name, source, attribute="Plugin"):
        module = f"{distribution.replace('-', '_')}_{next(serial)}"
        points = f"[pageferry.backends]\n{name} = {module}:{attribute}\n"
        leave(tmp_path, distribution, points, version="1.5", **{module: textwrap.dedent(source)})
        monkeypatch.syspath_prepend(tmp_path)  # importlib caches a folder's listing
        return module

    return install_one


def plugin(name, probe='return "firmware 3"'):
    return PLUGIN.format(name=name, probe=probe)


def status_of(name):
    return [status for status in registry.survey() if status.name == name]


def test_names_lists_ours_first():
    assert registry.names()[:9] == OURS


@pytest.mark.parametrize("name", OURS)
def test_a_name_loads_the_class_that_bears_it(name):
    assert registry.load(name).info.name == name


def test_create_hands_on_the_level():
    assert registry.create("zlib", 7).level == 7
    assert registry.create("zlib").level == 1


@pytest.mark.parametrize(
    ("name", "level", "options", "says"),
    [
        ("zlib", 10, {}, "backend 'zlib': level 10 is outside 0..9"),
        ("zlib", -1, {}, "backend 'zlib': level -1 is outside 0..9"),
        ("none", 1, {}, "backend 'none': has no levels, but level 1 was asked for"),
        ("zlib", 1, {"window": 9}, "backend 'zlib': unknown option 'window'; known: none"),
    ],
)
def test_create_refuses_what_the_backend_has_not(name, level, options, says):
    with pytest.raises(BackendError) as caught:
        registry.create(name, level, **options)
    assert str(caught.value) == says


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(BackendError, match="unknown backend 'zlip'; did you mean 'zlib'\\? known: none, zlib, isal, "):
        registry.load("zlip")


def test_a_plug_in_is_found_loaded_and_given_its_options(install):
    install("acme-deflate", "acme", plugin("acme"))
    assert registry.names()[-1] == "acme"
    backend = registry.create("acme", 3, queue=64)
    assert (backend.level, backend.options) == (3, {"queue": 64})
    assert backend.compress(b"abc") == b"cba"
    (status,) = status_of("acme")
    assert status == registry.BackendStatus("acme", "acme-deflate 1.5", True, "firmware 3", "card 7", (1, 3), 2)
    with pytest.raises(BackendError, match="unknown option 'queues'; known: queue"):
        registry.create("acme", queues=64)


def test_names_imports_no_plug_in(install):
    install("acme-deflate", "acme", 'raise SystemExit("imported")')
    assert "acme" in registry.names()
    assert registry.load("zlib") is ZlibBackend


def test_two_plug_ins_of_one_name_are_both_refused_and_named(install):
    first = install("acme-deflate", "acme", plugin("acme"))
    second = install("other-card", "acme", plugin("acme"))
    with pytest.raises(BackendError) as caught:
        registry.load("acme")
    assert str(caught.value) == (
        f"backend name 'acme' is claimed by acme-deflate 1.5 ({first}:Plugin) and other-card 1.5 ({second}:Plugin); "
        "uninstall all but one of them"
    )
    rows = status_of("acme")
    assert [(row.origin, row.available) for row in rows] == [("acme-deflate 1.5", False), ("other-card 1.5", False)]
    assert all("acme-deflate 1.5" in row.reason and "other-card 1.5" in row.reason for row in rows)
    assert registry.names().count("acme") == 1


def test_a_plug_in_cannot_take_a_name_of_ours(install):
    module = install("acme-deflate", "zlib", plugin("zlib"))
    with pytest.raises(BackendError, match=f"claimed by pageferry .* and acme-deflate 1.5 .{module}:Plugin."):
        registry.create("zlib")
    assert [row.available for row in status_of("zlib")] == [False, False]
    assert registry.create("none").info.name == "none"


@pytest.mark.parametrize(
    ("source", "attribute", "says"),
    [
        pytest.param("import acme_driver_that_is_not_here", "Plugin", "ModuleNotFoundError: No module", id="import"),
        pytest.param('raise RuntimeError("no\\n card")', "Plugin", "RuntimeError: no card", id="raises"),
        pytest.param("Plugin = 3", "Plugin", "is not a subclass of backends.api.Backend", id="not-a-backend"),
        pytest.param("", "Plugin", "AttributeError", id="no-such-class"),
        pytest.param(plugin("acne"), "Plugin", "calls itself 'acne' in its info", id="other-name"),
        pytest.param("from backends.api import Backend", "Backend", "calls itself None in its info", id="no-info"),
    ],
)
def test_a_broken_plug_in_is_a_reason_not_a_crash(install, source, attribute, says):
    install("acme-deflate", "acme", source, attribute)
    (status,) = status_of("acme")
    assert not status.available
    assert says in status.reason
    assert "\n" not in status.reason
    assert status.remedy == "fix or uninstall acme-deflate 1.5"
    with pytest.raises(BackendError, match=r"backend 'acme' of acme-deflate 1\.5"):
        registry.load("acme")
    assert len(registry.survey()) == len(registry.names())


def test_a_plug_in_without_its_card_tells_what_it_lacks(install):
    install("acme-deflate", "acme", plugin("acme", 'raise BackendUnavailable("acme", "no card", "plug one in")'))
    (status,) = status_of("acme")
    assert (status.available, status.reason, status.remedy) == (False, "no card", "plug one in")
    assert (status.device, status.levels) == ("card 7", (1, 3))
    with pytest.raises(BackendUnavailable, match="backend 'acme' is not available: no card; plug one in"):
        registry.load("acme").probe()


def test_a_probe_that_crashes_is_a_reason(install):
    install("acme-deflate", "acme", plugin("acme", 'raise OSError(5, "register\\nread")'))
    (status,) = status_of("acme")
    assert (status.available, status.reason) == (False, "its probe failed: OSError: [Errno 5] register read")
