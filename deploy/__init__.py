"""How the job runs elsewhere: Prism, Flink, containers. See README.md here."""
