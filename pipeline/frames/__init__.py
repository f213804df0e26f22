"""Tables in this process in the place of files: ``pipeline.backtest`` and ``pipeline.sweep``."""
