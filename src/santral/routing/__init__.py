"""Public model name -> deployments: which one next, which are healthy, what to do when one fails."""
