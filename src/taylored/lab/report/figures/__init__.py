"""The figures of the report, each as SVG that follows the page."""
