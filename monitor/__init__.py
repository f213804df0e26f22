"""What shows a run: the report, the table in the terminal, the server with its live page.

All of it reads a run's folder (``model.runs``) and nothing else, so it works for a run on any
runner, while it runs and afterwards. It never imports ``pipeline``, which runs the job.
"""
