"""When it happens: one verb each. Flows know the outside only as ports."""
