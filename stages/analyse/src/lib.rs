//! Stage events to a Delta lake, exactly once, and one read-only SQL session over stored and recent rows.
