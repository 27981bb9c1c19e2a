"""The same jobs on a stream: sources → stages → ledger → sinks; record and replay. Nothing is lost unseen."""
