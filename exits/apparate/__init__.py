"""Apparate: early answers that are tuned online, from the feedback that every input gives by running on to the end.

Source: arXiv 2312.05385 and the authors' released code. `compat` says whose rules are followed: `released` those of
that code, quirks included, `fixed` those it plainly meant.
"""
