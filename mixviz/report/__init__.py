"""The report: analyses of runs, their pictures and the HTML file that holds them."""
