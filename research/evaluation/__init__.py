"""How good the models are: metrics, significance, records, tables, figures."""
