"""The machine: devices, memory, threads, processes, clusters, and what is installed."""
