"""Many scans of one crystal, treated alike and seen together: against temperature, time, dose or any motor."""
