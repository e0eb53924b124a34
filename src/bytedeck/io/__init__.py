"""Everything that touches the outside: network, store, processes, clocks."""
