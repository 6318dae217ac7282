"""The published planners as programs: each module makes a `Problem` from what its paper starts from.

`ipa`: variant, batch and replicas of each stage of a pipeline. `infadapter`: several variants share the load of one.
`sponge`: cores and batch of one model within what the network leaves of the SLO. `joined`: all of it in one program,
exits included, on mixed fleets. `base_allocation`: how many cores a replica of a variant gets before planning.

    solution = solve(ipa.problem(stages, rate_rps=20, slo_s=1.0), "labels")
"""
