"""The worker of a queue-based endpoint: it takes jobs, runs them, and delivers their results.

job-take -> TakenJob -> intake -> Job -> result body -> UndeliveredResults (disk) -> job-done
                                   |
job-stop -> cancel                 +-> progress (job-done), ping
"""
