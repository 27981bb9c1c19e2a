"""The page that shows a running watch: a server in a process of its own, and a page without dependencies."""
