"""The tables and the figure, each made of the content of a record."""
