"""Where rows come from: a planner of work items, and what reads them."""
