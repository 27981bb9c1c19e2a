"""What both sciences stand on: units, the one FFT pair, errors, plans, events, devices, files, networks, training."""
