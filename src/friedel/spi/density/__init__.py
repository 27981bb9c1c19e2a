"""A particle's density from its merged intensity."""
