"""The job of a classification: a run in, a folder of scores, selected frames and a report out."""
