"""Boots other kernels under QEMU and holds resetbench against them; `scripts/kernel-matrix` is the command."""
