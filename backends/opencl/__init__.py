"""DEFLATE on an OpenCL device: a GPU, an FPGA, or, for tests and on request, this host's own processor through PoCL."""

from backends.opencl.backend import OpenclBackend

__all__ = ["OpenclBackend"]
