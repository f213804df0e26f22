"""Where rows come from: a planner of tickets, and what reads them."""
