"""What any series has: members alike, conditions they were measured under, a trend, and a report along it."""
