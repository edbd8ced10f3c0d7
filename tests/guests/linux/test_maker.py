"""The guest's files: made once, kept, made anew where they were changed; and what apt's refusals come to. No network."""

import hashlib
import shutil
import subprocess
import threading

import pytest

from harness.errors import MissingError
from harness.guests import freestanding
from harness.guests.linux import heart, maker
from harness.guests.linux.cpio import data_file, symlink
from harness.guests.linux.debian import Debian, Package
from harness.guests.linux.gather import Gathered
from harness.guests.linux.maker import make
from harness.guests.linux.recipe import KERNEL, Recipe, initrd
from harness.guests.linux.workloads import WORKLOADS

RECIPE = Recipe("some.cpio", ("some",), ("usr/bin/some",), {"init": data_file(b"#!/bin/sh\n")})


@pytest.fixture
def made(monkeypatch):
    """Which recipes were made, in order; nothing is fetched."""
    recipes = []

    def gather(debian, packages, wanted):
        recipes.append(packages)
        return Gathered({"boot/vmlinuz-6.1": data_file(b"kernel")}, {"some": "1.0"})

    monkeypatch.setattr(maker, "Debian", lambda folder, tell: None)
    monkeypatch.setattr(maker, "gather", gather)
    return recipes


def test_a_file_is_made_once_and_then_found(made, tmp_path):
    told = []
    first = make(RECIPE, tmp_path, told.append)
    assert make(RECIPE, tmp_path, told.append) == first
    assert first.path.read_bytes().startswith(b"070701")
    assert first.sha256 == hashlib.sha256(first.path.read_bytes()).hexdigest()
    assert (first.packages, len(made), told) == ({"some": "1.0"}, 1, ["making some.cpio of the linux guest, once"])


def test_the_kernel_is_the_package_s_own_file(made, tmp_path):
    assert make(KERNEL, tmp_path).path.read_bytes() == b"kernel"


def test_the_same_packages_give_the_same_bytes(made, tmp_path):
    assert make(RECIPE, tmp_path / "one").sha256 == make(RECIPE, tmp_path / "two").sha256


@pytest.mark.parametrize("spoil", ["cut", "changed", "no note", "cut note", "a note of something else"])
def test_what_was_spoilt_is_made_anew(spoil, made, tmp_path):
    path = make(RECIPE, tmp_path).path
    whole, note = path.read_bytes(), path.with_name("some.cpio.json")
    if spoil == "cut":
        path.write_bytes(whole[:-1])
    elif spoil == "changed":
        path.write_bytes(whole.replace(b"kernel", b"colonel"[:6]))
    elif spoil == "no note":
        note.unlink()
    else:
        note.write_text('{"sha256"' if spoil == "cut note" else "[1]")
    assert make(RECIPE, tmp_path).path.read_bytes() == whole
    assert len(made) == 2


def test_another_recipe_under_the_same_name_is_made_anew(made, tmp_path):
    other = Recipe(RECIPE.name, RECIPE.packages, RECIPE.wanted, {"init": data_file(b"#!/bin/true\n")})
    assert make(RECIPE, tmp_path).sha256 != make(other, tmp_path).sha256
    assert len(made) == 2


def test_two_that_ask_at_once_get_one_file(made, tmp_path):
    found = []
    askers = [threading.Thread(target=lambda: found.append(make(RECIPE, tmp_path))) for _ in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert (len(made), len(set(map(str, found)))) == (1, 1)


def test_a_folder_that_cannot_be_written_is_named(made, tmp_path):
    (tmp_path / "linux").write_text("")
    with pytest.raises(MissingError, match=r"linux: cannot keep the linux guest there: .*set XDG_CACHE_HOME"):
        make(RECIPE, tmp_path)


def fake(folder, name, script):
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """A PATH with nothing but apt and dpkg, which do as they are told here."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    fake(folder, "dpkg", "echo amd64")
    for name in ("apt-get", "apt-cache", "dpkg-deb"):
        fake(folder, name, "exit 0")
    return folder


@pytest.fixture
def packages(tmp_path):
    folder = tmp_path / "packages"
    folder.mkdir()
    return folder


def test_a_package_that_is_not_there_is_one_line_with_the_remedy(tools, packages):
    fake(
        tools, "apt-get", 'case "$*" in *update*) ;; *) echo "E: Unable to locate package nosuch" >&2; exit 100 ;; esac'
    )
    told = []
    with pytest.raises(MissingError, match=r"^apt-get: E: Unable to locate package nosuch; run apt-get update"):
        Debian(packages, told.append).fetch(["nosuch"])
    assert told == ["fetching nosuch", "fetching lists of packages, as this machine's are absent or too old"]


def test_lists_that_are_too_old_are_fetched_into_a_folder_of_our_own(tools, packages):
    """As in a container whose image is older than Debian's last update."""
    script = 'echo "$*" >>calls; case "$*" in *update*) ;; *State::lists*) ;; *) echo "E: 404" >&2; exit 100 ;; esac'
    fake(tools, "apt-get", script)
    debian = Debian(packages, lambda _: None)
    assert (debian.fetch(["one"]), debian.fetch(["two"])) == ([], [])
    words = [line.split()[-1] for line in (packages / "calls").read_text().splitlines()]
    assert words == ["one", "update", "one", "two"]


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not here: no Debian")
def test_a_package_s_files_are_read_through_links_and_where_they_are_since_usr_was_merged(packages):
    root = packages / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        "Package: tool\nVersion: 1:2.0-1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: a\n"
    )
    (root / "lib").mkdir()
    (root / "lib/one").write_bytes(b"contents")
    (root / "lib/two").hardlink_to(root / "lib/one")
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/three").symlink_to("/lib/one")
    file = packages / "tool_1%3a2.0-1_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", root, file], check=True, capture_output=True)
    package = Package(file)
    assert (package.name, package.version) == ("tool", "1:2.0-1")
    assert sorted(package.paths) == ["usr/bin/three", "usr/lib/one", "usr/lib/two"]
    assert package.read("usr/lib/one") == package.read("usr/lib/two") == data_file(b"contents")
    assert package.read("usr/bin/three") == symlink("/lib/one")


def test_what_packages_depend_on_leaves_out_names_that_stand_for_several(tools, packages):
    told = "tool\\n  PreDepends: init\\n  Depends: liba\\n |Depends: libb\\n  Depends: <virtual>\\n    libc\\n"
    fake(tools, "apt-cache", f'printf "{told}"')
    assert Debian(packages, lambda _: None).depends(["tool"]) == ["init", "liba", "libb"]


def test_another_distribution_is_told_what_to_do(tmp_path, packages, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingError, match=r'^apt-get is not here: .*use guest\.kind = "stress"'):
        Debian(packages, lambda _: None)


def test_another_processor_s_packages_are_refused(tools, packages):
    fake(tools, "dpkg", "echo arm64")
    with pytest.raises(MissingError, match=r"^Debian's packages for arm64: "):
        Debian(packages, lambda _: None)


def test_the_committed_heart_is_what_its_source_gives(tmp_path):
    if (major := freestanding.compiler_major()) != freestanding.COMPILER_MAJOR:
        pytest.skip(f"gcc is {major or 'missing'}, the committed heart.elf is of gcc {freestanding.COMPILER_MAJOR}")
    heart.build(tmp_path / "heart.elf")
    assert (tmp_path / "heart.elf").read_bytes() == heart.HEART.read_bytes()


@pytest.mark.parametrize("name", WORKLOADS)
def test_each_workload_has_its_script_the_heart_and_a_first_process(name):
    own = initrd(name).own
    assert own["init"].data.startswith(b"#!/usr/bin/busybox sh\n")
    assert own["heart"].data.startswith(b"\x7fELF")
    assert own["workload"].data.startswith(b"# ")
    assert b"ready" in b"".join(entry.data for path, entry in own.items() if path.endswith((".py", "workload")))
