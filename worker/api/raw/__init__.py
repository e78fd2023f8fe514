"""Answers of the synchronous route that are one file of the job, for clients whose `Accept` header asks for it."""
