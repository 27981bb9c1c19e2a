"""Many runs, classified alike and seen together along a shift: hit rate, sizes, fluence."""
