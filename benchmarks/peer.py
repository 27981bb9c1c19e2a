"""cohere-core, the field's own program, as benchmarks call it (`friedel.bcdi.evaluation.cohere` runs it)."""

from friedel.bcdi.evaluation.cohere import SCHEDULE, CohereResult, cohere_installed, misfit, run_cohere

__all__ = ["SCHEDULE", "PeerResult", "available", "chi", "phase"]

PeerResult = CohereResult
phase = run_cohere
chi = misfit


def available() -> bool:
    """Return whether cohere-core is installed; say how to install it if not."""
    found = cohere_installed()
    if not found:
        print("cohere-core is not installed: no peer beside the figures. pip install 'friedel[peers]'")
    return found
