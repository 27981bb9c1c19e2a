"""Single-particle imaging: from the frames of an X-ray laser to the hits of single particles."""
