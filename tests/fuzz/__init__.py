"""Everything that strangers can send, thrown at the node's entry points: `python -m tests.fuzz`, or `make fuzz`."""
