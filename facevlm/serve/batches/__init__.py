"""Large uploads, answered in the background."""
