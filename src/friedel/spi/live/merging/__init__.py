"""A merged intensity that grows during a watch, in a process of its own."""
