"""The language of ttamer and its shelf: units, errors and the documents every room exchanges."""
