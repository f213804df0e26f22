"""The dashboard, the server's page at ``/``: a run as it goes on, in a browser.

The page itself (``page.html``, ``page.css``, ``page.js``, ``icon.svg``) holds nothing of the run
and is open to all; what it shows it asks for, with the API key if there is one. It listens to
``/events``, and then asks for what is new: ``/refreshes``, ``/models`` and ``/status`` as any
client may, and, by the routes here, for alerts (``alerts``), the form of a prediction (``form``)
and the report's pictures (``pictures``), which are drawn once for all who look (``drawing``).
"""

from monitor.serve.page.routes import router

__all__ = ["router"]
