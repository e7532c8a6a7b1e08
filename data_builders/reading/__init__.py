"""What the readers of data sets share: label files, cells, folders, FACS codes, folds."""
