"""What everyone agrees on: units, the one FFT pair, errors, events, strict options."""
