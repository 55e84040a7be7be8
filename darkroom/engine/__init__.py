"""Where the emulated AWS runs: the embedded engine, behind one small interface."""
