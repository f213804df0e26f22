"""Where the package ``reading`` stood in version 0.1: only what savepoints name is here."""
