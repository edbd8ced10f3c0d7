"""Which accelerator is taken where KVM is not there."""

import pytest

from harness.errors import MissingError
from harness.guests import accel
from harness.guests.accel import probe_accel
from harness.guests.qemu_kind import usual_kind

QEMU = "qemu-system-x86_64"


def test_kvm_that_is_absent_is_tcg_with_the_reason_and_an_error_where_kvm_was_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr(accel, "KVM", tmp_path / "kvm")
    accel._probe_kvm.cache_clear()
    try:
        assert probe_accel(QEMU, usual_kind()).name == "tcg"
        assert "/kvm is absent" in probe_accel(QEMU, usual_kind()).reason
        with pytest.raises(MissingError, match=r'guest\.accel "kvm": .*/kvm is absent'):
            probe_accel(QEMU, usual_kind(), "kvm")
    finally:
        accel._probe_kvm.cache_clear()


def test_kvm_that_is_there_and_does_not_open_is_named_with_the_reason(monkeypatch, tmp_path):
    monkeypatch.setattr(accel, "KVM", tmp_path)
    assert accel._why_closed() == "cannot be opened: Is a directory (load kvm_amd or kvm_intel)"
