"""Doubting a plan: a simulated deployment of replica groups that batch, exit early and queue.

`arrivals` makes requests, `service` draws how long a batch takes from the measured seconds, `replica` and
`routing` queue them, `requests` keeps what happened to each, `checks` holds it against the promise, and
`simulate` does all of that for a plan.
"""
