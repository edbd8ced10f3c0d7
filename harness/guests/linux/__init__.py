"""A guest with an unmodified Linux and real programs in it, made from Debian's packages when it is first asked for.

``maker`` makes kernel and initrd, from files that ``gather`` picks out of packages that ``debian`` fetches; ``heart`` beats inside;
``workloads`` says what runs there; ``console`` understands what it says; ``kind`` is what a scenario may say of it.
"""
