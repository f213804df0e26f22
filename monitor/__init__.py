"""What shows, serves and steers a run: report, table in the terminal, server with its page, pins.

All of it goes by a run's folder (``model.runs``) and nothing else, so it works for a run on any
runner, while it runs and afterwards. It never imports ``pipeline``, which runs the job.
"""
