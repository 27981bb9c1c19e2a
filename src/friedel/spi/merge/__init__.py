"""The job: from files of hits to a merged intensity, a report, a density."""
