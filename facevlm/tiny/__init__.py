"""The embedded default: schematic faces with exact truth, and a small model that ships with the package."""
