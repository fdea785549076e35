"""How soon faults are told: 200 of ten kinds over simulated weeks, by an injected clock, and 30 in a running platform.

Each fault's kind, its moment and that of its detection stand in `detection.jsonl`, or where `--faults FILE` says. A
fault's time runs from when it can be seen: at once, or from the bound that its rule declares (two hours ten minutes for
a stream that is not read, a quarter of an hour for a run that is silent). What else an incident was opened for is a
false alarm; a second incident or a second message for the same is a double. `--simulated` or `--real` runs one part.
"""
