"""Where frames come from while the beam is on: one plug-in a kind of source, behind one small interface."""
