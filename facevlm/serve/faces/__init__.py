"""The face API: from a picture to a record for each face."""
