"""The handlers of a team's app: Python functions that run in processes of their own, behind `POST /handlers/NAME`."""
