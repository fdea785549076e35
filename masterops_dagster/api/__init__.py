"""The status page: what is up, since when, how fresh the figures are and what runs, as one page that updates itself."""
