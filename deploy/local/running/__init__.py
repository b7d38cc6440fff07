"""The running system of a machine: its processes and what stands beside them."""
