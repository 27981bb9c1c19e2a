"""How a stream comes in, and what became of every frame. Knows neither science."""
