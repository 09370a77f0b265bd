"""One module a measure: `measure()` runs it, ours and the peer, and returns what it found."""
