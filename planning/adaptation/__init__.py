"""Adapting a running service: predictors of load, controllers that decide anew, and what they did on a trace."""
