"""The command line: parsing only, one thin file per command; the work is in the jobs of `bcdi` and `spi`."""
