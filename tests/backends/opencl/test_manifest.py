"""Manifests of programs that others saved, and ones that are garbage."""

import contextlib
import dataclasses
import json

import faulty_opencl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.opencl import manifest as manifests
from backends.opencl.binary import check_binary, describe_binary, save_binary
from backends.opencl.devices import DeviceConfig
from backends.opencl.errors import OpenclError, OpenclMissing
from backends.opencl.host import open_device, self_test


def config(path, **settings):
    return DeviceConfig(binary=str(path), **{"block_bytes": 4096} | settings)


def one_line(raised):
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_manifest_for_a_file_of_other_tools(copy, real_device):
    style = check_binary(copy).style
    manifests.manifest_path(copy).unlink()
    made = describe_binary(DeviceConfig(real_device.selector, str(copy), 4096, style))
    assert made == check_binary(copy)
    assert made.made_with == "the device's own tools"
    with contextlib.closing(open_device(config(copy))) as device:
        self_test(device)


def test_a_manifest_that_would_be_refused_is_not_written(copy, real_device):
    manifests.manifest_path(copy).unlink()
    with pytest.raises(OpenclError, match="lacks the kernels gather_blocks"):
        describe_binary(DeviceConfig(real_device.selector, str(copy), 4096, "task"), ["deflate_blocks", "deflate_info"])
    with pytest.raises(OpenclMissing, match="no OpenCL device fits 'opencl:99'"):
        describe_binary(DeviceConfig("opencl:99", str(copy), 4096, "task"))
    assert not manifests.manifest_path(copy).exists()


def test_a_program_of_any_source_can_be_saved(real_device, tmp_path):
    path = tmp_path / "faulty.bin"
    built = DeviceConfig(real_device.selector, block_bytes=4096, style="wi")
    manifest = save_binary(built, path, source=faulty_opencl.SOURCE)
    assert manifest == check_binary(path)
    with contextlib.closing(open_device(config(path))) as device:
        self_test(device)


def test_a_device_that_is_wrong_is_not_saved(real_device, tmp_path, monkeypatch):
    spoilt = faulty_opencl.SOURCE.replace(
        "in[0] > 0xF0 ? in[0] - 0xF0 : 0", f"in_bytes > BLOCK ? {faulty_opencl.SPOILT} : 0"
    )
    monkeypatch.setattr("backends.opencl.contract.source", lambda: spoilt)
    with pytest.raises(OpenclError, match="restores to other bytes"):
        save_binary(DeviceConfig(real_device.selector, block_bytes=4096, style="wi"), tmp_path / "deflate.bin")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written(saved, tmp_path):
    manifest = check_binary(saved)
    with pytest.raises(OpenclError, match="cannot be written: No such file or directory"):
        manifests.write_manifest(manifest, tmp_path / "no" / "deflate.bin")
    with pytest.raises(OpenclError, match="is a binary already"):
        save_binary(config(saved), tmp_path / "again.bin")
    assert not list(tmp_path.iterdir())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = [field.name for field in dataclasses.fields(manifests.Manifest)]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    garbage=st.binary(max_size=200)
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries(dict.fromkeys(FIELDS, json_values)).map(lambda value: json.dumps(value).encode())
)
def test_a_manifest_of_garbage_is_an_error_of_one_line(tmp_path, garbage):
    path = tmp_path / "F.json"
    path.write_bytes(garbage)
    with pytest.raises(OpenclError) as raised:
        check_binary(tmp_path / "F")
    one_line(raised)
